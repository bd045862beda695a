from __future__ import annotations

from pathlib import Path

import pytest

from ftim import __version__
from ftim.cli import main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ftim {__version__}\n"


def test_assets_lists_every_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTIM_CACHE", str(tmp_path))
    assert main(["assets"]) == 0
    output = capsys.readouterr().out
    for text in ("face_landmarker.task  (3.8 MB)  not present", "Apache-2.0", "NON-COMMERCIAL", f"Cache: {tmp_path}"):
        assert text in output
    assert list(tmp_path.iterdir()) == [], "listing fetches nothing"


def test_error_is_one_message_without_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTIM_CACHE", str(tmp_path))
    assert main(["assets", "--offline", "--fetch", "alexnet.ckpt"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("ftim: alexnet.ckpt is not in")
    assert main(["assets", "--fetch", "nothing"]) == 1
    assert "there is no asset 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["unknown"], ["assets", "--no-such-option"], []])
def test_misspelt_command_line_is_an_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code != 0
    assert capsys.readouterr().err


def test_help_of_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, word in ((["--help"], "assets"), (["assets", "--help"], "--fetch")):
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        assert exit_.value.code == 0 and word in capsys.readouterr().out
