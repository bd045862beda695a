from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from ftim.assets import sha256_of
from ftim.data import load_celeba, load_frll, load_official_portraits, load_portraits, load_webmorph
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
    more, test = read_split("portraits_more"), read_split("portraits_test")
    assert (len(more), len(test)) == (500, 109) and not set(more) & set(test)
    assert split_portraits([*test, *more]) == (list(more), list(test))


def test_portraits_are_unpacked_by_content(tmp_path: Path) -> None:
    photos = load_portraits("test", tmp_path / "portraits")
    assert len(photos) == 109 and len({photo.name for photo in photos.photos}) == 109
    assert [sha256_of(photo.path) for photo in photos.photos] == list(read_split("portraits_test"))
    assert sorted(path.name for path in (tmp_path / "portraits").iterdir()) == sorted(
        f"{p.name}.jpg" for p in photos.photos
    )
    assert read_photo(photos.photos[0].path).ndim == 3
    assert "MIT" in photos.licence and len(photos.first(5)) == 5 and len(photos.first(None)) == 109


def test_all_portraits_are_the_further_ones_and_the_benchmarks(tmp_path: Path) -> None:
    photos = load_portraits("all", tmp_path)
    assert len(photos) == len({sha256_of(photo.path) for photo in photos.photos}) == 609
    names = [photo.name for photo in photos.photos]
    assert names == [digest[:12] for name in ("more", "test") for digest in read_split(f"portraits_{name}")]
    assert photos.name == "portraits-all" and "nothing is trained on them" in photos.licence


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
    with pytest.raises(DatasetError, match="canada is missing"):
        load_webmorph(tmp_path)
    for place in ("canada/003f.jpg", "another/alex.png", "loose.jpg"):
        touch(tmp_path / place)
    assert [photo.name for photo in load_webmorph(tmp_path).photos] == ["canada/003f"]


def test_official_portraits_are_split_by_their_number(tmp_path: Path) -> None:
    for number in (108, 70, 69, 0, 7):
        touch(tmp_path / "official_portraits" / f"{number:03d}.jpg")
    (tmp_path / "official_portraits" / "README.md").touch()
    for folder in (tmp_path, tmp_path / "official_portraits"):
        train, validation = (load_official_portraits(split, folder) for split in ("train", "validation"))
        assert [photo.name for photo in train.photos] == ["000", "007", "069"]
        assert [photo.name for photo in validation.photos] == ["070", "108"]
    assert (train.name, validation.name) == ("official-portraits-train", "official-portraits-validation")
    assert "public domain" in train.licence


def test_only_files_named_by_three_digits_are_official_portraits(tmp_path: Path) -> None:
    """A copy under another name must not bring a validation portrait into training."""
    for name in ("000", "100", "0001", "1", "7 copy", "070 copy", "²²²"):
        touch(tmp_path / f"{name}.jpg")
    names = [
        [photo.name for photo in load_official_portraits(split, tmp_path).photos] for split in ("train", "validation")
    ]
    assert names == [["000"], ["100"]]


def test_official_portraits_without_a_split_say_so(tmp_path: Path) -> None:
    touch(tmp_path / "108.jpg")
    with pytest.raises(DatasetError, match=r"no portrait of the split train.*000\.jpg.*House"):
        load_official_portraits("train", tmp_path)


@pytest.mark.parametrize("load", [load_celeba, load_frll, load_webmorph, partial(load_official_portraits, "train")])
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
