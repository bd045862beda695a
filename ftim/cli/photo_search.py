"""Which photographs the inputs of ``ftim reconstruct`` mean, and what was left alone."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from PIL import Image

from ftim.cli.folders import read_report, shown
from ftim.errors import SettingsError
from ftim.photo import register_heif

NO_PHOTOGRAPHS = frozenset(
    (
        ".pdf", ".ps", ".eps", ".ico", ".cur", ".icns", ".mpg", ".mpeg", ".psd", ".wmf", ".emf", ".h5", ".hdf", ".grib",
        ".bufr", ".fits", ".fit", ".iim", ".pcd", ".dcx",
    )
)  # fmt: skip
"""Suffixes that the image library opens and cameras do not write; such a file is read when it is named."""
REMEDIES = {
    ".heic": "pip install 'ftim[heic]'",
    ".heif": "pip install 'ftim[heic]'",
    ".dng": "convert to JPEG",
    ".cr2": "convert to JPEG",
    ".cr3": "convert to JPEG",
    ".nef": "convert to JPEG",
    ".arw": "convert to JPEG",
}
"""What to do about a kind that cannot be read here."""
LINKED, BROKEN = "linked folder(s)", "link(s) to nothing"
"""Counted among what was left alone."""
FORKS = "__MACOSX"
"""Where archives made on a Mac keep what is no file of its own."""


def suffixes() -> frozenset[str]:
    """In lower case, of the kinds of photograph that the image library reads here."""
    register_heif()
    kinds = Image.registered_extensions()
    return frozenset({".mpo", *(suffix for suffix, kind in kinds.items() if kind in Image.OPEN)}) - NO_PHOTOGRAPHS


@dataclass
class Search:
    """What the inputs mean."""

    photos: dict[Path, PurePath] = field(default_factory=dict)
    """In the order of the inputs: photographs, and their places below the folder that was named."""
    left_alone: Counter[str] = field(default_factory=Counter)
    """Other files in the folders, by suffix."""
    results: int = 0
    """Folders of results of this program, whose pictures are no photographs."""
    in_results: int = 0
    """Files of such folders that a pattern matched."""
    unreadable: dict[Path, str] = field(default_factory=dict)
    """Folders, and photographs in them, that could not be read, and why."""

    def remarks(self) -> list[str]:
        """A sentence on each kind of file that was left alone, and on results."""
        lines = []
        for suffix, count in sorted(self.left_alone.items()):
            remedy = f": {REMEDIES[suffix]}" if suffix in REMEDIES else ""
            lines.append(f"{count} {suffix or 'without a suffix'} left alone{remedy}")
        if self.results:
            lines.append(f"{self.results} folders of results left alone")
        if self.in_results:
            lines.append(f"{self.in_results} files of results left alone")
        return lines


def find_photos(inputs: tuple[str, ...]) -> Search:
    """Files, folders (with all their photographs, at any depth) and patterns -> photographs.

    What is named is taken, whatever it is. In folders hidden files, what a Mac keeps beside its files, and folders of
    results are passed over.

    Raises ``SettingsError`` for an input that is neither a file, a folder, nor a pattern that something matches, and
    when there is nothing to do.
    """
    search = Search()
    kinds = suffixes()
    for text in inputs:
        try:
            _find(text, kinds, search)
        except PermissionError as error:
            search.unreadable[Path(text)] = f"PermissionError: {error.strerror}"
        except (OSError, RuntimeError, ValueError) as error:  # a name that is too long, no such user, a zero byte
            raise SettingsError(f"{shown(text)}: there is no such file or folder ({error})") from error
    if not search.photos and not search.unreadable:
        alone = "; ".join(search.remarks()) or "nothing else is there either"
        raise SettingsError(f"{', '.join(inputs)}: there is no photograph to reconstruct ({alone})")
    return search


def _find(text: str, kinds: frozenset[str], search: Search) -> None:
    """What one input means."""
    path = Path(text).expanduser()
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = 0
    if stat.S_ISDIR(mode):
        _walk(path, kinds, search)
    elif stat.S_ISREG(mode):
        search.photos.setdefault(path, PurePath(path.name))
    elif mode:
        raise SettingsError(f"{shown(text)} is neither a file nor a folder")
    else:
        matches = sorted(Path(item) for item in glob.glob(str(path), recursive=True) if Path(item).is_file())
        if not matches:
            raise SettingsError(f"{shown(text)}: there is no such file or folder, and nothing matches it as a pattern")
        for item in matches:
            if is_result(item.parent):
                search.in_results += 1
            elif FORKS in item.parts:
                search.left_alone[_suffix(item.name)] += 1
            else:
                search.photos.setdefault(item, PurePath(item.name))


def _walk(root: Path, kinds: frozenset[str], search: Search) -> None:
    def note(error: OSError) -> None:
        search.unreadable[Path(error.filename)] = f"{type(error).__name__}: {error.strerror or error}"

    for folder, folders, files in os.walk(root, onerror=note, followlinks=False):
        here = Path(folder)
        if here != root and is_result(here):
            search.results += 1
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != FORKS)
        if linked := sum((here / name).is_symlink() for name in folders):
            search.left_alone[LINKED] += linked
        for name in _visible(files):
            path = here / name
            suffix = _suffix(name)
            if not path.exists():
                search.left_alone[BROKEN] += 1
            elif suffix in kinds and path.is_file():
                search.photos.setdefault(path, path.relative_to(root))
            else:
                search.left_alone[suffix] += 1


def _visible(names: list[str]) -> Iterator[str]:
    """Without hidden files; a name of dots and a suffix, such as "...jpg", hides nothing."""
    return (name for name in sorted(names) if not name.startswith(".") or name.startswith(".."))


def _suffix(name: str) -> str:
    return os.path.splitext(name.lstrip("."))[1].lower() or (f".{name.lstrip('.').lower()}" if name[0] == "." else "")


def is_result(folder: Path) -> bool:
    """Whether a folder holds a report of this program."""
    return read_report(folder) is not None
