"""Which code made something that is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

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
