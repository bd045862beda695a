"""What every data set gives: photographs with stable names, in a fixed order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ftim.errors import DatasetError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class PhotoFile:
    """One photograph on disk."""

    name: str
    """Unique in its set and the same on every machine; used in result rows."""
    path: Path


@dataclass(frozen=True)
class PhotoSet:
    """Photographs in a fixed order."""

    name: str
    licence: str
    photos: tuple[PhotoFile, ...]

    def __len__(self) -> int:
        return len(self.photos)

    def first(self, count: int | None) -> PhotoSet:
        """The first ``count`` photographs, or all."""
        return PhotoSet(self.name, self.licence, self.photos[:count])


def data_folder(name: str, folder: str | os.PathLike[str] | None, origin: str) -> Path:
    """Where a data set lies: the given folder, else ``$FTIM_DATA/<name>``.

    ``folder`` may be the data set's own or one that has it as ``<name>``. ``origin`` says where to get the data
    set. Raises ``DatasetError``, naming the folder and the remedy, when there is none.
    """
    chosen = folder or os.environ.get("FTIM_DATA")
    if not chosen:
        raise DatasetError(
            f"the data set {name} was not found: give its folder, or set FTIM_DATA to a folder that has it as "
            f"{name}/. {origin}"
        )
    root = Path(chosen).expanduser()
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; it should hold the data set {name}. {origin}")
    if (inner := root / name).is_dir():
        return inner
    if folder is None:
        raise DatasetError(f"{inner} does not exist, FTIM_DATA is {root}. {origin}")
    return root


def images_in(folder: Path, origin: str) -> tuple[PhotoFile, ...]:
    """The images of a folder (not of folders in it), sorted by name. Raises ``DatasetError`` when there are none."""
    if not folder.is_dir():
        raise DatasetError(f"{folder} is missing. {origin}")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise DatasetError(f"{folder} holds no {', '.join(IMAGE_SUFFIXES)} file. {origin}")
    return tuple(PhotoFile(path.stem, path) for path in paths)


def read_split(name: str) -> tuple[str, ...]:
    """The entries of ``ftim/data/splits/<name>.txt``: one a line, ``#`` begins a comment."""
    text = (resources.files("ftim.data") / "splits" / f"{name}.txt").read_text(encoding="utf-8")
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)
