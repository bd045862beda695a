"""Programs of the repository that are no part of the installed package: the benchmark and the demo."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import ftim
from ftim.errors import RepositoryError

PROGRAMS: dict[str, Path] = {"benchmark": Path("benchmark/run.py"), "demo": Path("demo/app.py")}
"""Command -> the file that does it, from the root of the repository."""


def repository() -> Path:
    """The folder that ``ftim`` was imported from: the root of a checkout, or where packages are installed."""
    return Path(ftim.__file__).resolve().parents[1]


def find_program(command: str, root: Path | None = None) -> Path:
    """The file of a command of ``PROGRAMS``, below ``root`` (default: ``repository()``).

    Raises ``RepositoryError`` where it is not there; another package of the same name is not taken for it.
    """
    root = repository() if root is None else root
    script = root / PROGRAMS[command]
    if not (root / "pyproject.toml").is_file() or not script.is_file():
        raise RepositoryError(
            f"{command} needs the repository of ftim, and {root} has no {PROGRAMS[command]}: the package alone was "
            f"installed. Clone the repository and run make {command} there, or install from it: "
            "pip install --editable <its folder>"
        )
    return script


def run_program(
    command: str,
    arguments: Sequence[str],
    root: Path | None = None,
    become: Callable[[str, list[str]], object] = os.execv,
) -> None:
    """Run a command of ``PROGRAMS`` with all arguments passed on.

    The program takes the place of this process, so that signals and the exit status are its own; ``become`` does that.
    Raises ``RepositoryError``.
    """
    script = find_program(command, root)
    sys.stdout.flush()
    sys.stderr.flush()
    become(sys.executable, [sys.executable, str(script), *arguments])
