"""Folders of results: names that keep out of each other's way, and folders that are seen whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from ftim.errors import OutputError, ResultFolderError

REPORT = "report.json"
"""In each folder of a result."""
FAILURES = "failures.json"
"""Beside these folders."""

_FACE = re.compile(r"-face\d+$")


def face_folder(name: str, index: int) -> str:
    """Of one face of several, for a photograph whose folder is ``name``."""
    return f"{name}-face{index}"


def folder_names(places: Iterable[PurePath]) -> list[str]:
    """A folder for each photograph, named after it: relative paths with suffix -> names, in the same order.

    A name differs from every other, from the folders of other photographs' faces, and from the folders above others, in
    capitals or not: replacing one result never touches another. A photograph whose name is taken keeps its suffix in
    the name; if that is taken too, "-again" is added.
    """
    places = list(places)
    # As Windows and macOS compare names. What is here may not be used again, whatever number of faces was found.
    closed = {FAILURES.casefold()}
    for place in places:
        above = [parent.as_posix().casefold() for parent in place.parents]
        closed |= {*above, *(_FACE.sub("", folder) for folder in above)}
    taken: set[str] = set()
    names = []
    for place in places:
        name = place.with_suffix("").as_posix()
        if _clashes(name, closed, taken):
            name = place.as_posix()
        while _clashes(name, closed, taken):
            name += "-again"
        folded = name.casefold()
        taken.add(folded)
        closed |= {folded, _FACE.sub("", folded)}
        names.append(name)
    return names


def _clashes(name: str, closed: set[str], taken: set[str]) -> bool:
    """Whether the name or the folder of one of its faces, or of a face of another of that name, is in use."""
    folded = name.casefold()
    return folded in closed or _FACE.sub("", folded) in taken


def check_replaceable(path: Path) -> None:
    """Whether ``path`` may become the folder of a result: it is absent, empty, or an earlier result and nothing else.

    Raises ``ResultFolderError`` otherwise, so that nothing else is lost.
    """
    if not path.exists():
        return
    inside = list(path.iterdir()) if path.is_dir() else [path]
    if inside and (not (path / REPORT).is_file() or any(item.is_dir() for item in inside)):
        raise ResultFolderError(
            f"{path} is there and is more than an earlier result; nothing in it was changed. Move it or choose another "
            "output folder"
        )


@contextmanager
def whole_folder(path: Path, replace: Callable[[Path, Path], None] = os.replace) -> Iterator[Path]:
    """A temporary folder beside ``path`` that becomes ``path``, in the place of what was there, when the block ends
    well; after an error it is gone. Raises ``OutputError``."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    before = path.with_name(f".{path.name}.{os.getpid()}.before.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            replace(path, before)
        try:
            replace(temporary, path)
        except BaseException:
            if before.exists():  # what was there comes back
                os.replace(before, path)
            raise
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}. Make room there or choose another folder"
        ) from error
    finally:
        for leftover in (temporary, before):
            shutil.rmtree(leftover, ignore_errors=True)
