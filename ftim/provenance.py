"""Which code made something that is kept."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ftim import __version__

PACKAGE = Path(__file__).resolve().parent


def code_sha256(parts: Iterable[str] = (".",)) -> str:
    """sha256 over names and content of the package's modules in ``parts``: files and folders, named from ``ftim/``.

    By default the whole package. The same wherever the package lies. Raises ``FileNotFoundError`` for a part that is
    not there: a renamed module must not fall out of a key unseen.
    """
    modules: set[Path] = set()
    for part in parts:
        path = PACKAGE / part
        if not path.exists():
            raise FileNotFoundError(f"the package has no {part}")
        modules.update(path.rglob("*.py") if path.is_dir() else [path])
    total = hashlib.sha256()
    for path in sorted(modules):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(PACKAGE).as_posix()} {content}\n".encode())
    return total.hexdigest()


def code_commit() -> str:
    """The commit of this checkout, with "+" when the package was changed; the version outside a repository."""
    folder = PACKAGE.parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", "ftim") else "")
    except (OSError, subprocess.CalledProcessError):
        return f"version {__version__}"
