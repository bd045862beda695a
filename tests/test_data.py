from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ftim.assets import sha256_of
from ftim.data import load_celeba, load_frll, load_portraits, load_webmorph
from ftim.data.frll import EXPRESSIONS, VIEWS
from ftim.data.photo_set import read_split
from ftim.data.portraits import split_portraits
from ftim.errors import AssetStorageError, DatasetError
from ftim.photo import read_photo


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40)).save(path)


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FTIM_DATA", raising=False)


def test_portrait_lists_follow_the_rule_and_share_nobody() -> None:
    train, test = read_split("portraits_train"), read_split("portraits_test")
    assert (len(train), len(test)) == (500, 109) and not set(train) & set(test)
    assert split_portraits([*test, *train]) == (list(train), list(test))


def test_portraits_are_unpacked_by_content(tmp_path: Path) -> None:
    photos = load_portraits("test", tmp_path / "portraits")
    assert len(photos) == 109 and len({photo.name for photo in photos.photos}) == 109
    assert [sha256_of(photo.path) for photo in photos.photos] == list(read_split("portraits_test"))
    assert sorted(path.name for path in (tmp_path / "portraits").iterdir()) == sorted(
        f"{p.name}.jpg" for p in photos.photos
    )
    assert read_photo(photos.photos[0].path).ndim == 3
    assert "MIT" in photos.licence and len(photos.first(5)) == 5 and len(photos.first(None)) == 109


def test_damaged_portrait_is_unpacked_again(tmp_path: Path) -> None:
    path = load_portraits("test", tmp_path).photos[3].path
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    load_portraits("test", tmp_path)
    assert path.read_bytes() == content


def test_portraits_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AssetStorageError, match="FTIM_CACHE"):
        load_portraits("test", tmp_path / "file" / "portraits")


def test_frll_people() -> None:
    train, validation = read_split("frll_train"), read_split("frll_validation")
    assert (len(train), len(validation)) == (70, 12) and not set(train) & set(validation)
    assert len({*train, *validation}) == 82 and all(len(person) == 3 for person in train)


def make_frll(folder: Path) -> Path:
    numbers = {"neutral": ["02", "03", "04"], "smiling": ["07", "08", "09"]}
    for person in read_split("frll_validation"):
        for expression in EXPRESSIONS:
            for view, number in zip(VIEWS, numbers[expression], strict=True):
                touch(folder / f"{expression}_{view}" / f"{person}_{number}.jpg")
    return folder


def test_frll_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_frll(tmp_path / "frll")
    monkeypatch.setenv("FTIM_DATA", str(tmp_path))
    frll = load_frll()
    assert frll == load_frll(tmp_path) == load_frll(tmp_path / "frll")
    photos = frll.photos("validation")
    assert len(photos) == 72 and photos.photos[0].name == "006_neutral_left_3quarter"
    assert [path.name for path in frll.triplet("006", "smiling")] == ["006_07.jpg", "006_08.jpg", "006_09.jpg"]
    assert len(frll.photos("validation", ("neutral",), ("front",))) == 12
    with pytest.raises(DatasetError, match=r"001_03\.jpg is missing"):
        frll.path("001", "neutral", "front")


def test_frll_without_one_view(tmp_path: Path) -> None:
    for expression in EXPRESSIONS:
        for view in VIEWS[:2]:
            (tmp_path / f"{expression}_{view}").mkdir()
    with pytest.raises(DatasetError, match=r"neutral_right_3quarter is missing.*figshare"):
        load_frll(tmp_path)


def test_celeba_is_its_test_part_only(tmp_path: Path) -> None:
    for number in (1, 182_637, 182_638, 202_599):
        touch(tmp_path / "celeba" / "img_celeba" / f"{number:06d}.jpg")
    touch(tmp_path / "celeba" / "img_celeba" / "notes.jpg")
    for folder in (tmp_path, tmp_path / "celeba", tmp_path / "celeba" / "img_celeba"):
        photos = load_celeba(folder)
        assert [photo.name for photo in photos.photos] == ["182638", "202599"]
    assert "non-commercial" in photos.licence


def test_celeba_without_its_test_part(tmp_path: Path) -> None:
    touch(tmp_path / "000001.jpg")
    with pytest.raises(DatasetError, match="no image of CelebA's test part"):
        load_celeba(tmp_path)


def test_webmorph_names_tell_the_collection(tmp_path: Path) -> None:
    touch(tmp_path / "canada" / "003f.jpg")
    with pytest.raises(DatasetError, match="3dsk is missing"):
        load_webmorph(tmp_path)
    touch(tmp_path / "3dsk" / "alex.png")
    assert [photo.name for photo in load_webmorph(tmp_path).photos] == ["canada/003f", "3dsk/alex"]


@pytest.mark.parametrize("load", [load_celeba, load_frll, load_webmorph])
def test_missing_data_set_names_folder_and_remedy(load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match="set FTIM_DATA"):
        load()
    with pytest.raises(DatasetError, match="absent is not a folder"):
        load(tmp_path / "absent")
    with pytest.raises(DatasetError, match=str(tmp_path)):
        load(tmp_path)
    monkeypatch.setenv("FTIM_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=f"does not exist, FTIM_DATA is {tmp_path}"):
        load()
