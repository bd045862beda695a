"""Missing shared libraries are named with the command that installs them."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ftim import system
from ftim.errors import SystemLibraryError
from ftim.system import LIBRARIES, SystemLibrary, debian_packages, main, missing_libraries, require_libraries

ROOT = Path(system.__file__).parents[1]
PRESENT = SystemLibrary("libc.so.6", "libc6", "python")
ABSENT = SystemLibrary("libftim-absent.so.1", "libftim-absent1", "mediapipe")
ABSENT_TOO = SystemLibrary("libftim-absent.so.2", "libftim-absent1", "mediapipe")

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the check is about Linux")


@pytest.fixture
def apt_calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record what would be run as root on Debian instead of running it."""
    calls: list[list[str]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: calls.append(command))
    return calls


@linux
def test_only_the_absent_library_is_missing() -> None:
    assert missing_libraries([PRESENT, ABSENT]) == (ABSENT,)


def test_nothing_is_missing_elsewhere_than_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert missing_libraries([ABSENT]) == ()


def test_packages_are_listed_once() -> None:
    assert debian_packages([ABSENT, ABSENT_TOO, PRESENT]) == ["libftim-absent1", "libc6"]


@linux
def test_error_names_library_user_and_debian_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemLibraryError) as caught:
        require_libraries([PRESENT, ABSENT])
    message = str(caught.value)
    assert "libftim-absent.so.1 (for mediapipe)" in message
    assert "sudo apt-get install --yes libftim-absent1" in message
    assert "libc6" not in message


def test_this_machine_has_them_all() -> None:
    require_libraries()


@linux
def test_without_install_the_command_is_printed_and_nothing_is_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], apt_calls: list[list[str]]
) -> None:
    monkeypatch.setattr(system, "missing_libraries", lambda: (ABSENT,))
    assert main([]) == 1
    assert "apt-get install --yes libftim-absent1" in capsys.readouterr().err
    assert apt_calls == []


@linux
def test_an_ordinary_user_is_told_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], apt_calls: list[list[str]]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(system, "missing_libraries", lambda: (ABSENT,))
    assert main(["--install"]) == 1
    assert "sudo apt-get install --yes libftim-absent1" in capsys.readouterr().err
    assert apt_calls == []


@linux
def test_root_installs_and_checks_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], apt_calls: list[list[str]]
) -> None:
    answers = iter([(ABSENT,), ()])
    monkeypatch.setattr(system, "missing_libraries", lambda *_: next(answers))
    assert main(["--install"]) == 0
    assert [command[-1] for command in apt_calls] == ["update", "libftim-absent1"]
    assert "Installing the Debian packages libftim-absent1" in capsys.readouterr().out


@linux
def test_a_library_that_is_still_missing_after_the_installation_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], apt_calls: list[list[str]]
) -> None:
    monkeypatch.setattr(system, "missing_libraries", lambda *_: (ABSENT,))
    assert main(["--install"]) == 1
    assert len(apt_calls) == 2
    assert "libftim-absent.so.1" in capsys.readouterr().err


@linux
def test_a_failing_apt_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(command: list[str], **_: object) -> None:
        raise subprocess.CalledProcessError(100, command)

    monkeypatch.setattr(system, "_may_install", lambda: True)
    monkeypatch.setattr(system, "missing_libraries", lambda *_: (ABSENT,))
    monkeypatch.setattr(subprocess, "run", fail)
    assert main(["--install"]) == 1
    assert "exit status 100" in capsys.readouterr().err


def test_it_runs_before_any_package_is_installed() -> None:
    """``make`` calls it with the system's Python: ``-S`` hides every installed package."""
    command = [sys.executable, "-S", "-m", "ftim.system"]
    finished = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr


@linux
@pytest.mark.parametrize(
    "library", [entry for entry in LIBRARIES if entry.needed_by != "torch"], ids=lambda entry: entry.soname
)
def test_each_listed_library_is_loaded_by_its_package(library: SystemLibrary) -> None:
    """An entry that the package no longer names in any of its binaries should leave the list."""
    files = importlib.metadata.files(library.needed_by) or []
    binaries = [Path(str(file.locate())) for file in files if ".so" in file.name]
    assert any(library.soname.encode() in binary.read_bytes() for binary in binaries)


def test_a_space_installs_the_same_packages() -> None:
    listed = (ROOT / "demo" / "packages.txt").read_text(encoding="ascii").split()
    assert listed == debian_packages(LIBRARIES)
