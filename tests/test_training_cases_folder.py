"""Triplets of one's own, from the folder to the cases of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ftim.errors import DatasetError
from ftim.training.cases import OWN_LICENCE, Source, load_training_data, load_triplets
from ftim.training.config import TrainingConfig


def picture(path: Path, grey: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (grey, grey, grey)).save(path)
    return path


def triplet(folder: Path, *names: str, grey: int = 0) -> None:
    for index, name in enumerate(names or ("left.jpg", "front.jpg", "right.jpg")):
        picture(folder / name, grey + index)


def test_a_folder_of_triplets_is_read_in_order(tmp_path: Path) -> None:
    triplet(tmp_path / "bea", grey=100)
    triplet(tmp_path / "ada 2024", "Right.PNG", "left.jpeg", "FRONT.jpg")
    picture(tmp_path / "contact.jpg")
    picture(tmp_path / ".thumbnails" / "left.jpg")
    (tmp_path / "ada 2024" / "left.txt").touch()
    picture(tmp_path / "ada 2024" / "left_again.jpg")
    first, second = load_triplets(tmp_path)
    assert [photo.path.name for photo in first.photos] == ["left.jpeg", "FRONT.jpg", "Right.PNG"]
    assert [photo.name for photo in second.photos] == ["bea_left", "bea_front", "bea_right"]
    assert len(first.photos) == len(second.photos) == 3
    assert first.name.startswith("folder-ada 2024-") and second.name.startswith("folder-bea-")


def test_the_name_of_a_case_follows_the_content_of_its_photographs(tmp_path: Path) -> None:
    for folder, grey in (("one", 0), ("same", 0), ("other", 50)):
        triplet(tmp_path / folder / "ada", grey=grey)
    one, same, other = (load_triplets(tmp_path / folder)[0].name for folder in ("one", "same", "other"))
    assert one == same != other
    picture(tmp_path / "same" / "ada" / "right.jpg", 200)
    assert load_triplets(tmp_path / "same")[0].name != one


def test_they_are_a_source_of_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FTIM_DATA", raising=False)
    triplet(tmp_path / "ada")
    data = load_training_data(("folder",), own=tmp_path)
    assert data.triplets == data.cases == load_triplets(tmp_path) and not data.portraits
    assert data.licences == {"folder": OWN_LICENCE}


@pytest.mark.parametrize(("sources", "given"), [(("folder",), False), (("frll",), True), ((), True)])
def test_source_and_path_go_together(tmp_path: Path, sources: tuple[Source, ...], given: bool) -> None:
    triplet(tmp_path / "ada")
    with pytest.raises(DatasetError, match="--sources folder --triplets PATH"):
        load_training_data(sources, tmp_path, own=tmp_path if given else None)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("left.jpg", "front.jpg"), "ada needs one photograph right and has 0"),
        (("front.jpg", "right.jpg", "profile.jpg"), "ada needs one photograph left and has 0"),
        (("left.jpg", "front.jpg", "front.png", "right.jpg"), "ada needs one photograph front and has 2"),
        (("left.gif", "front.jpg", "right.jpg"), "ada needs one photograph left and has 0"),
    ],
)
def test_a_triplet_that_is_none_is_named_with_the_remedy(tmp_path: Path, names: tuple[str, ...], sentence: str) -> None:
    triplet(tmp_path / "ada", *names)
    triplet(tmp_path / "bea")
    with pytest.raises(
        DatasetError, match=rf"{sentence}\. A folder of triplets has a folder for each person and moment"
    ):
        load_triplets(tmp_path)


def test_a_folder_without_triplets_is_named_with_the_remedy(tmp_path: Path) -> None:
    picture(tmp_path / "left.jpg")
    with pytest.raises(DatasetError, match=rf"{tmp_path} holds no folder with a triplet\. A folder of triplets has"):
        load_triplets(tmp_path)
    with pytest.raises(DatasetError, match=r"absent is not a folder\. A folder of triplets has"):
        load_triplets(tmp_path / "absent")


def test_the_settings_say_which_source_and_not_where(tmp_path: Path) -> None:
    config = TrainingConfig(sources=("folder",), triplets=tmp_path)
    assert config.recorded()["sources"] == ["folder"] and "triplets" not in config.recorded()
    assert config.fingerprint() == TrainingConfig(sources=("folder",), triplets=tmp_path / "moved").fingerprint()
