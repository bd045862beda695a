"""Which photographs the inputs of ``ftim reconstruct`` mean."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from ftim.cli.folders import REPORT
from ftim.cli.photo_search import Search, find_photos
from ftim.errors import PhotoError, SettingsError
from ftim.photo import read_photo, register_heif


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as they are found: two photographs, a result, and what else lies about."""
    root = tmp_path / "photos"
    for place in (
        "a.jpg",
        "deeper/b.PNG",
        "._a.jpg",
        ".hidden/c.jpg",
        "__MACOSX/d.jpg",
        "letter.txt",
        "e.cr2",
        "f.xyz",
    ):
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (root / "out" / "a").mkdir(parents=True)
    (root / "out" / "a" / "overlay.png").write_bytes(b"")
    (root / "out" / "a" / REPORT).write_text(json.dumps({"ftim": "0.2.0"}))
    return root


def places(search: Search) -> list[str]:
    return [place.as_posix() for place in search.photos.values()]


def test_a_folder_holds_its_photographs_and_the_rest_is_counted(folder: Path) -> None:
    search = find_photos((str(folder),))
    assert places(search) == ["a.jpg", "deeper/b.PNG"]
    assert search.left_alone == {".txt": 1, ".cr2": 1, ".xyz": 1} and search.results == 1
    remarks = "\n".join(search.remarks())
    assert "1 .cr2 left alone: convert to JPEG" in remarks and "1 folders of results" in remarks


def test_results_in_another_folder_are_no_photographs(folder: Path) -> None:
    """What went from 2 to 12 to 72 inputs: each run's output lies among the photographs."""
    for name in ("out2", "out3"):
        (folder / name / "a").mkdir(parents=True)
        (folder / name / "a" / "albedo.png").write_bytes(b"")
        (folder / name / "a" / REPORT).write_text(json.dumps({"ftim": "0.2.0"}))
        assert len(find_photos((str(folder),)).photos) == 2
    (folder / "deeper" / REPORT).write_text(json.dumps({"quarter": 3}))
    assert len(find_photos((str(folder),)).photos) == 2, "a report of someone else's hides nothing"


def test_what_is_named_is_taken(folder: Path) -> None:
    named = (str(folder / "out" / "a" / "overlay.png"), str(folder / "._a.jpg"), str(folder / "f.xyz"))
    assert len(find_photos(named).photos) == 3
    assert places(find_photos((str(folder / "*.jpg"),))) == ["a.jpg"]
    assert places(find_photos((str(folder), str(folder / "a.jpg")))) == ["a.jpg", "deeper/b.PNG"], "once each"


def test_nothing_to_do_is_an_error(folder: Path, tmp_path: Path) -> None:
    for wrong in ("nothing.jpg", "none*"):
        with pytest.raises(SettingsError, match=r"nothing\.jpg|none"):
            find_photos((str(folder / wrong),))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="no photograph to reconstruct"):
        find_photos((str(tmp_path / "empty"),))
    (tmp_path / "empty" / "scan.heic").write_bytes(b"")
    if not register_heif():
        with pytest.raises(SettingsError, match=r"1 \.heic left alone: pip install 'ftim\[heic\]'"):
            find_photos((str(tmp_path / "empty"),))
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / REPORT).write_text(json.dumps({"ftim": "0.2.0"}))
    with pytest.raises(SettingsError, match="1 folders of results left alone"):
        find_photos((str(tmp_path / "out"),))


def test_kinds_that_the_image_library_reads_are_photographs(tmp_path: Path) -> None:
    for suffix in ("jfif", "webp", "avif", "jp2", "mpo", "tif", "gif", "bmp", "pgm"):
        (tmp_path / f"a.{suffix}").write_bytes(b"")
    (tmp_path / "a.pdf").write_bytes(b"")
    Image.init()
    assert len(find_photos((str(tmp_path),)).photos) == 9


def test_an_unreadable_folder_is_accounted_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refuses(path: str) -> object:
        if str(path).endswith("deeper"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuses)
    search = find_photos((str(folder),))
    assert places(search) == ["a.jpg"]
    assert search.unreadable == {folder / "deeper": "PermissionError: Permission denied"}


def test_awkward_names_are_found(tmp_path: Path) -> None:
    made = [b"a.jpg", b"caf\xe9.jpg", b"...jpg", b"b" * 251 + b".jpg"]
    for name in made:
        (tmp_path / os.fsdecode(name)).write_bytes(b"")
    assert len(find_photos((str(tmp_path),)).photos) == len(made)


def test_links_are_accounted_for(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "z.jpg").write_bytes(b"")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (folder / "z.jpg").symlink_to(tmp_path / "elsewhere" / "z.jpg")
    search = find_photos((str(folder),))
    assert places(search) == ["a.jpg", "z.jpg", "deeper/b.PNG"]
    assert {"1 linked folder(s) left alone", "1 link(s) to nothing left alone"} <= set(search.remarks())


def test_a_pattern_passes_results_over(folder: Path) -> None:
    search = find_photos((str(folder / "**" / "*.[jpP]*[gG]"),))
    assert places(search) == ["a.jpg", "b.PNG"] and search.in_results == 1
    assert "1 files of results left alone" in search.remarks()


@pytest.mark.parametrize(
    "wrong", ["b" * 300 + ".jpg", "~nobody-of-this-name/a.jpg", "a\0.jpg", "photo.jpg/under/it.jpg"]
)
def test_names_that_cannot_be_are_named(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    text = wrong if wrong[0] == "~" else str(tmp_path / wrong)
    with pytest.raises(SettingsError, match="there is no such file or folder"):
        find_photos((text,))


def test_a_photograph_in_a_folder_that_cannot_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are done."""
    real = Path.stat

    def refuses(path: Path, **keywords: bool) -> os.stat_result:
        if "locked" in path.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **keywords)

    (tmp_path / "a.jpg").write_bytes(b"")
    monkeypatch.setattr(Path, "stat", refuses)
    locked = tmp_path / "locked" / "b.jpg"
    search = find_photos((str(locked), str(tmp_path / "a.jpg")))
    assert places(search) == ["a.jpg"] and search.unreadable == {locked: "PermissionError: Permission denied"}


def test_a_pipe_is_no_photograph(tmp_path: Path) -> None:
    """And nobody waits for its end."""
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(SettingsError, match="neither a file nor a folder"):
        find_photos((str(tmp_path / "pipe.jpg"),))
    with pytest.raises(PhotoError, match="a pipe or a device"):
        read_photo(tmp_path / "pipe.jpg")


def test_a_report_that_is_nested_without_end_is_none(folder: Path) -> None:
    (folder / "deeper" / REPORT).write_text("[" * 100_000)
    assert places(find_photos((str(folder),))) == ["a.jpg", "deeper/b.PNG"]
