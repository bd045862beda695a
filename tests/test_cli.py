from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ftim import __version__
from ftim.cli import main
from ftim.errors import RepositoryError
from ftim.repository import PROGRAMS, find_program, repository, run_program


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


@pytest.mark.parametrize("arguments", ["--help", "reconstruct --help", "assets --help", "demo", "completion --help"])
def test_what_needs_no_pytorch_does_not_wait_for_it(arguments: str) -> None:
    program = f"""
import os, sys
os.execv = lambda path, command: None
from ftim.cli import main
try:
    main({arguments.split()!r})
except SystemExit:
    pass
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=repository())


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository whose programs tell how they were started and end with status 7."""
    (tmp_path / "pyproject.toml").write_text("")
    for script in PROGRAMS.values():
        (tmp_path / script).parent.mkdir()
        (tmp_path / script).write_text("import sys; print(sys.argv); sys.exit(7)")
    return tmp_path


@pytest.mark.parametrize("command", ["benchmark", "demo"])
def test_programs_of_the_repository_get_all_arguments(command: str, checkout: Path) -> None:
    arguments = ["--help", "--methods", "all", "-x", "a b", "--version"]
    program = f"""
from pathlib import Path
from ftim.repository import run_program
run_program({command!r}, {arguments!r}, Path({str(checkout)!r}))
print("not reached")
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=repository())
    assert finished.returncode == 7, "the status is the program's own"
    assert finished.stdout == f"{[str(checkout / PROGRAMS[command]), *arguments]}\n"


@pytest.mark.parametrize("command", ["benchmark", "demo"])
def test_the_command_line_passes_everything_on(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr("ftim.cli.commands.run_program", lambda *call: calls.append(call))
    assert main([command, "--help", "--port", "1"]) == 0
    assert calls == [(command, ["--help", "--port", "1"])]


@pytest.mark.parametrize("command", ["benchmark", "demo"])
def test_without_the_repository_the_remedy_is_said(
    command: str, checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(path: str, arguments: list[str]) -> None:
        raise AssertionError(arguments)

    (checkout / "pyproject.toml").unlink()  # as where packages are installed, beside another one named benchmark
    with pytest.raises(RepositoryError, match=rf"{command} needs the repository.*Clone.*make {command}"):
        run_program(command, (), checkout, never)
    monkeypatch.setattr("ftim.repository.repository", lambda: tmp_path)
    assert main([command, "--help"]) == 1
    assert capsys.readouterr().err.startswith(f"ftim: {command} needs the repository of ftim, and {tmp_path} has no")


def test_the_benchmark_is_where_it_is_looked_for() -> None:
    assert find_program("benchmark") == Path(__file__).resolve().parents[1] / "benchmark" / "run.py"
