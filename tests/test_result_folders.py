"""Names of result folders, and how such a folder comes to be."""

from __future__ import annotations

import itertools
from pathlib import Path, PurePosixPath

import pytest

from ftim.errors import OutputError, ResultFolderError
from ftim.result_folders import REPORT, check_replaceable, face_folder, folder_names, whole_folder


def names(*places: str) -> list[str]:
    return folder_names(PurePosixPath(place) for place in places)


def in_the_way(first: str, second: str) -> bool:
    """Whether a folder that one photograph may write is, or lies in, one that another may write, by trying them."""
    ours, theirs = (
        [PurePosixPath(folder.casefold()) for folder in (name, *(face_folder(name, index) for index in range(12)))]
        for name in (first, second)
    )
    return any(a == b or a in b.parents or b in a.parents for a in ours for b in theirs)


def test_a_photograph_gives_its_name_to_its_folder() -> None:
    assert names("a.jpg", "deeper/b.c.png", "grey") == ["a", "deeper/b.c", "grey"]
    assert names("a.jpg", "a.png", "a.png") == ["a", "a.png", "a.png-again"]


def test_no_folder_is_named_like_anothers_face() -> None:
    assert names("x.jpg", "x-face0.jpg") == ["x", "x-face0.jpg"]
    assert names("x-face0.jpg", "x.jpg", "x-face1.jpg") == ["x-face0", "x.jpg", "x-face1"]


def test_no_folder_lies_in_another() -> None:
    assert names("a.jpg", "a/b.jpg") == ["a.jpg", "a/b"]
    assert names("a.jpg", "a-face3/b.jpg") == ["a.jpg", "a-face3/b"]


def test_capitals_and_the_list_of_failures_are_kept_apart() -> None:
    assert names("A.jpg", "a.jpg", "failures.json.png") == ["A", "a.jpg", "failures.json.png"]


def test_no_two_photographs_are_in_each_others_way() -> None:
    stems = ("x", "X", "x-face0", "x-face0-face1", "x.jpg", "x/y", "x-face1/y", "x.jpg/x", "failures.json", "x-again")
    places = [stem + suffix for stem, suffix in itertools.product(stems, ("", ".jpg", ".png", ".jpg-again"))]
    for order in (places, places[::-1]):
        for first, second in itertools.combinations(names(*order), 2):
            assert not in_the_way(first, second), (first, second)
    assert in_the_way("x", "x-face3") and in_the_way("a", "A/b"), "the test can fail"


def test_a_folder_is_seen_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "result"
    with whole_folder(target) as temporary:
        (temporary / "file").write_text("first")
        assert not target.exists()
    with pytest.raises(RuntimeError), whole_folder(target) as temporary:
        (temporary / "file").write_text("second")
        raise RuntimeError
    assert (target / "file").read_text() == "first" and [path.name for path in tmp_path.iterdir()] == ["result"]
    with whole_folder(target) as temporary:
        (temporary / "file").write_text("third")
    assert (target / "file").read_text() == "third" and [path.name for path in tmp_path.iterdir()] == ["result"]

    def fails_at_the_second(before: Path, after: Path) -> None:
        if after == target:
            raise OSError(28, "No space left on device")
        before.replace(after)

    with pytest.raises(OutputError, match="No space"), whole_folder(target, fails_at_the_second) as temporary:
        (temporary / "file").write_text("fourth")
    assert (target / "file").read_text() == "third" and [path.name for path in tmp_path.iterdir()] == ["result"]
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken"), whole_folder(tmp_path / "taken" / "result"):
        pass


def test_only_an_earlier_result_is_replaced(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "absent")
    check_replaceable(tmp_path)
    (tmp_path / "diary.txt").write_text("")
    for path in (tmp_path, tmp_path / "diary.txt"):
        with pytest.raises(ResultFolderError, match=path.name):
            check_replaceable(path)
    (tmp_path / REPORT).write_text("{}")
    check_replaceable(tmp_path)
    (tmp_path / "another").mkdir()
    with pytest.raises(ResultFolderError, match="earlier result"):
        check_replaceable(tmp_path)
