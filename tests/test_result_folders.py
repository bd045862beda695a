"""Names of result folders, and how such a folder comes to be."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from ftim.assets import sha256_of
from ftim.cli.folders import (
    JOURNAL,
    MARKER,
    REPORT,
    check_replaceable,
    clear_leftovers,
    face_folder,
    folder_names,
    result_folder,
    shown,
)
from ftim.errors import OutputError, ResultFolderError


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


def test_names_that_no_folder_may_have_are_changed() -> None:
    assert names("...jpg", "..jpg", ".hidden.jpg") == ["___jpg", "__jpg", "_hidden"]
    long = ["\u6c34" * 81 + "a.jpg", "b" * 251 + ".jpg", "b" * 250 + "c.jpg"]
    made = names(*long)
    assert len(set(made)) == 3 and all(len(os.fsencode(face_folder(name, 999))) < 220 for name in made)
    assert names(*long) == made and made[0].startswith("\u6c34\u6c34")
    assert shown(os.fsdecode(b"caf\xe9.jpg")) == "caf\\xe9.jpg"


def result(path: Path, overwrite: bool = False, **texts: str) -> None:
    """Make or replace a result with these files."""
    with result_folder(path, overwrite) as folder:
        for name, text in texts.items():
            (folder / name).write_text(text)
        files = {name: sha256_of(folder / name) for name in texts}
        (folder / REPORT).write_text(json.dumps({"ftim": "1", "files": files}))


def texts_in(path: Path) -> dict[str, str]:
    return {item.name: item.read_text() for item in path.iterdir() if item.name != REPORT}


def test_a_first_result_is_seen_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "result"
    with pytest.raises(RuntimeError), result_folder(target) as temporary:
        (temporary / "texture").write_text("half")
        assert not target.exists()
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    result(target, texture="first")
    assert texts_in(target) == {"texture": "first"} and [path.name for path in tmp_path.iterdir()] == ["result"]
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken"), result_folder(tmp_path / "taken" / "result"):
        pass


def test_what_the_user_put_beside_a_result_stays(tmp_path: Path) -> None:
    target = tmp_path / "result"
    result(target, texture="1", mesh="1")
    (target / "my_sculpt.blend").write_text("mine")
    (target / "more").mkdir()
    result(target, texture="2")
    assert (target / "my_sculpt.blend").read_text() == "mine" and (target / "more").is_dir()
    assert (target / "texture").read_text() == "2" and (target / "mesh").read_text() == "1", "no file is removed"
    with pytest.raises(ResultFolderError, match=r"my_sculpt\.blend"):
        result(target, False, **{"my_sculpt.blend": "ours"})
    assert (target / "my_sculpt.blend").read_text() == "mine"


def test_a_retouched_file_is_replaced_only_when_it_is_said(tmp_path: Path) -> None:
    target = tmp_path / "result"
    result(target, mesh="1", texture="1")
    (target / "texture").write_text("retouched")
    with pytest.raises(ResultFolderError, match=r"texture.*--overwrite"):
        result(target, mesh="2", texture="2")
    assert texts_in(target) == {"mesh": "1", "texture": "retouched"}, "all or nothing"
    result(target, overwrite=True, mesh="2", texture="2")
    assert texts_in(target) == {"mesh": "2", "texture": "2"} and len(list(tmp_path.iterdir())) == 1


def test_a_run_that_was_killed_between_two_files_is_gone_on_with(tmp_path: Path) -> None:
    target = tmp_path / "result"
    result(target, mesh="1", texture="1")
    (target / "mesh").write_text("2")
    (target / JOURNAL).write_text(json.dumps({"files": {"mesh": sha256_of(target / "mesh"), "texture": "another"}}))
    result(target, mesh="3", texture="3")
    assert texts_in(target) == {"mesh": "3", "texture": "3"}


def gone() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_unfinished_folders_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    cases = {
        ".unsaved.tmp": None,
        ".ftim-1-mine.tmp": None,
        ".ftim-2-running.tmp": (os.getpid(), socket.gethostname()),
        ".ftim-3-elsewhere.tmp": (gone(), "another"),
        ".ftim-4-gone.tmp": (gone(), socket.gethostname()),
        "deeper/.ftim-5-gone.tmp": (gone(), socket.gethostname()),
    }
    for name, marker in cases.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "work").write_text("")
        if marker is not None:
            (tmp_path / name / MARKER).write_text(json.dumps({"process": marker[0], "host": marker[1]}))
    clear_leftovers([tmp_path, tmp_path, tmp_path / "absent"])
    left = {name for name in cases if (tmp_path / name / "work").exists()}
    assert set(cases) - left == {".ftim-4-gone.tmp"}


def test_only_a_result_is_replaced(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "absent")
    check_replaceable(tmp_path)
    (tmp_path / "diary.txt").write_text("")
    for path in (tmp_path, tmp_path / "diary.txt"):
        with pytest.raises(ResultFolderError, match=path.name):
            check_replaceable(path)
    (tmp_path / REPORT).write_text("{}")
    with pytest.raises(ResultFolderError, match="no earlier result"):
        check_replaceable(tmp_path)
    (tmp_path / REPORT).write_text('{"ftim": "1"}')
    check_replaceable(tmp_path)
