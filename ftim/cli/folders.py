"""Folders of results: names that keep out of each other's way, and files that replace only what this program wrote."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any

from ftim.assets import sha256_of
from ftim.errors import OutputError, ResultFolderError
from ftim.outputs import whole_file

REPORT = "report.json"
"""In each folder of a result."""
FAILURES = "failures.json"
"""Beside these folders."""
JOURNAL = ".ftim-replacing.json"
"""In a folder of a result while its files are replaced: what they will be."""
MARKER = ".ftim-unfinished.json"
"""In a temporary folder: the process that makes it."""
LONGEST_NAME = 200
"""Bytes of a folder's name; file systems take 255, and faces and temporary names need some."""

_FACE = re.compile(r"-face\d+$")


def face_folder(name: str, index: int) -> str:
    """Of one face of several, for a photograph whose folder is ``name``."""
    return f"{name}-face{index}"


def folder_names(places: Iterable[PurePath]) -> list[str]:
    """A folder for each photograph, named after it: relative paths with suffix -> names, in the same order.

    A name differs from every other, from the folders of other photographs' faces, and from the folders above others, in
    capitals or not: replacing one result never touches another. A photograph whose name is taken keeps its suffix in
    the name; if that is taken too, "-again" is added. Names of dots and names that are too long are changed.
    """
    places = [PurePath(*map(_possible, place.parts)) for place in places]
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


def _possible(part: str) -> str:
    """A name that any folder may have: not hidden or made of dots alone, and not longer than ``LONGEST_NAME``."""
    dots = len(part) - len(part.lstrip("."))
    part = "_" * dots + part[dots:]
    if len(os.fsencode(part)) <= LONGEST_NAME:
        return part
    stem, suffix = os.path.splitext(part)
    ending = f"-{hashlib.sha256(os.fsencode(part)).hexdigest()[:8]}{suffix[:16]}"
    while len(os.fsencode(stem + ending)) > LONGEST_NAME:
        stem = stem[:-1]
    return stem + ending


def _clashes(name: str, closed: set[str], taken: set[str]) -> bool:
    """Whether the name or the folder of one of its faces, or of a face of another of that name, is in use."""
    folded = name.casefold()
    return folded in closed or _FACE.sub("", folded) in taken


def read_report(folder: Path) -> dict[str, Any] | None:
    """The report of a result, or None where there is none that this program wrote."""
    report = _read_json(folder / REPORT)
    return report if "ftim" in report else None


def written_files(folder: Path) -> dict[str, set[str]]:
    """What the files of a result may hold as this program wrote them, the report left out: name -> sha256."""
    files: dict[str, set[str]] = {}
    for source in (read_report(folder) or {}, _read_json(folder / JOURNAL)):
        named = source.get("files")
        for name, value in named.items() if isinstance(named, dict) else ():
            if name and PurePath(name).name == name and "\0" not in name:  # of this folder; nothing above or below it
                files.setdefault(name, set()).add(str(value))
    return files


def check_replaceable(path: Path) -> None:
    """Whether ``path`` may become the folder of a result: it is absent, empty, or an earlier result.

    Raises ``ResultFolderError`` otherwise.
    """
    if not path.exists():
        return
    if not path.is_dir() or (any(path.iterdir()) and read_report(path) is None):
        raise ResultFolderError(
            f"{shown(path)} is there and is no earlier result; nothing in it was changed. Move it or choose another "
            "output folder"
        )


@contextmanager
def result_folder(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder beside ``path`` whose files become those of ``path`` when the block ends well.

    The first result appears at once and whole. An earlier one is replaced file by file, the report last; what else is
    in the folder stays, and a file that is not as this program wrote it is replaced only with ``overwrite``. After an
    error in the block, or a refusal, all is as it was.

    Raises ``ResultFolderError`` naming a file that would be lost, ``OutputError`` for a full or unwritable disk.
    """
    temporary = path.with_name(f".ftim-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.mkdir(parents=True)
        mine = {"process": os.getpid(), "host": socket.gethostname()}
        (temporary / MARKER).write_text(json.dumps(mine), encoding="utf-8")
        yield temporary
        if path.exists() and any(path.iterdir()):
            _replace_files(temporary, path, overwrite)
        else:
            (temporary / MARKER).unlink()
            with suppress(FileNotFoundError):
                path.rmdir()
            temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{shown(path)} cannot be written: {error.strerror or error}. Make room there or choose another folder"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_files(temporary: Path, path: Path, overwrite: bool) -> None:
    new = sorted((item for item in temporary.iterdir() if item.name != MARKER), key=lambda item: item.name == REPORT)
    before = written_files(path)
    for item in new:
        there = path / item.name
        if item.name == REPORT or overwrite or not there.exists():
            continue
        if not there.is_file() or sha256_of(there) not in before.get(item.name, ()):
            raise ResultFolderError(
                f"{shown(there)} is not as ftim wrote it and would be lost; nothing was changed. Rename or move it, "
                "choose another output folder, or give --overwrite"
            )
    # A run that is killed between two files leaves its own work here and no stranger's: the journal says so.
    with whole_file(path / JOURNAL) as half:
        half.write_text(json.dumps({"files": {item.name: sha256_of(item) for item in new}}), encoding="utf-8")
    for item in new:
        item.replace(path / item.name)
    (path / JOURNAL).unlink()


def clear_leftovers(parents: Iterable[Path]) -> None:
    """Remove what runs that were killed left unfinished directly in these folders: theirs alone, and only when the
    process is gone."""
    for parent in set(parents):
        for path in parent.glob(".ftim-*.tmp") if parent.is_dir() else ():
            marker = _read_json(path / MARKER)
            if marker.get("host") == socket.gethostname() and not _runs(marker.get("process")):
                shutil.rmtree(path, ignore_errors=True)


def _runs(process: object) -> bool:
    """Whether a process of that number is there; True where this cannot be told."""
    if not isinstance(process, int) or process <= 0 or os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _read_json(path: Path) -> dict[str, Any]:
    """Empty where there is no object of JSON, and where a pipe or a device might be read without end."""
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def shown(path: str | os.PathLike[str]) -> str:
    """A path for people: bytes that are no UTF-8 as escapes, so that any console and file can hold it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
