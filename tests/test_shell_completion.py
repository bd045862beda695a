"""``ftim completion``: scripts that shells accept, and what they offer."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from ftim.cli import main

COMMANDS = ["assets", "benchmark", "completion", "data", "demo", "reconstruct", "train"]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script of each shell."""
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert main(["completion", shell]) == 0
        (folder / shell).write_text(printed.getvalue())
    return folder


def run(*command: str, folder: Path) -> list[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    finished = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60)
    assert finished.returncode == 0 and not finished.stderr, finished.stderr
    return finished.stdout.split("\n")[:-1]


def in_bash(scripts: Path, *words: str) -> list[str]:
    """What bash offers when Tab is pressed at the end of the last word, by the function that it has registered."""
    program = """
        source ./bash
        read -r _ _ _ _ function _ <<< "$(complete -p ftim)"
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        $function
        for reply in "${COMPREPLY[@]}"; do echo "$reply"; done
    """
    return run("bash", "-c", program, "bash", *words, folder=scripts)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_accepts_its_script(scripts: Path, shell: str) -> None:
    assert run(shell, "-n", shell, folder=scripts) == []


def test_bash_offers_commands_options_and_choices(scripts: Path) -> None:
    assert sorted(in_bash(scripts, "ftim", "")) == COMMANDS
    assert in_bash(scripts, "ftim", "rec") == ["reconstruct"]
    assert in_bash(scripts, "ftim", "reconstruct", "--text") == ["--texture-size"]
    assert in_bash(scripts, "ftim", "reconstruct", "--texture-size", "") == ["256", "512", "1024"]
    assert "image_to_image" in in_bash(scripts, "ftim", "train", "--preset", "")


def test_bash_is_left_to_offer_files_for_photographs(scripts: Path) -> None:
    for word in ("", "holiday/"):
        assert in_bash(scripts, "ftim", "reconstruct", word) == []
    assert "-o default" in run("bash", "-c", "source ./bash; complete -p ftim", folder=scripts)[0]


def test_fish_offers_commands_and_files(scripts: Path) -> None:
    def offered(line: str) -> list[str]:
        lines = run("fish", "-c", f"source ./fish; complete -C {line!r}", folder=scripts)
        return [item.split("\t")[0] for item in lines]

    assert set(COMMANDS) <= set(offered("ftim ")) and offered("ftim rec") == ["reconstruct"]
    assert "bash" in offered("ftim reconstruct b"), "the file of that name"


def test_another_shell_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["completion", "dos"])
    assert exit_.value.code != 0 and "fish" in capsys.readouterr().err
