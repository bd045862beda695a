"""Files appear whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from ftim.errors import OutputError, SettingsError
from ftim.outputs import whole_file
from ftim.reconstruction import Reconstruction


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "picture.png"
    with whole_file(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".png"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interruption_leaves_the_old_file(tmp_path: Path, interruption: type[BaseException]) -> None:
    path = tmp_path / "table.json"
    path.write_text("old")
    with pytest.raises(interruption), whole_file(path) as temporary:
        temporary.write_text("half")
        raise interruption
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    with pytest.raises(OutputError, match=r"table\.json.*No space left.*another folder"), whole_file(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="out"), whole_file(tmp_path / "out" / "a.png"):
        pass


@pytest.mark.parametrize(
    ("formats", "message"),
    [(("glb", "stl"), "no format stl; there are png, glb, obj, json"), ("glb", r"sequence such as \('glb',\)")],
)
def test_unknown_formats_are_named_before_anything_is_written(formats: Any, message: str, tmp_path: Path) -> None:
    result = Reconstruction.__new__(Reconstruction)  # nothing of it is needed for that
    with pytest.raises(SettingsError, match=message):
        result.save(tmp_path / "out", formats)
    assert not (tmp_path / "out").exists()
