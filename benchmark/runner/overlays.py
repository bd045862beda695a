"""Overlays that other code wrote: a folder of pictures, scored as one more method.

A picture belongs to the photograph whose file has the same name before the dot: ``000123.png`` to ``000123.jpg``. It is
either as large as the whole photograph, and then cut out as the photograph's face is, or as large as that crop; a
photograph of the crop's own size counts as whole. Such a method has no mask: its face block compares the picture as it
is, and its rows have no coverage. The seconds of its rows are those of reading.

Nothing is known of how the pictures were drawn. They are taken as drawn from a model of faces, and stand in the blocks
of the albedo, beside the model-based methods.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmark.methods import Drawing, Drawings, method_names
from ftim.assets import sha256_of
from ftim.data import PhotoFile
from ftim.errors import FtimError, PhotoError
from ftim.face import cut_crop
from ftim.photo import read_photo
from ftim.structures import Face, Rendering

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
RESERVED = ("all", "none", "base")
SHOWN = 10
"""Names that a report lists before it only counts."""


class OverlayError(FtimError):
    """Base of what can be wrong with a folder of overlays."""


class OverlayFolderError(OverlayError, ValueError):
    """A folder that cannot be scored at all; nothing is computed then."""


class OverlayMissingError(OverlayError):
    """A photograph without an overlay."""


class OverlaySizeError(OverlayError):
    """An overlay that is neither as large as its photograph nor as large as the crop."""


class OverlayUnreadableError(OverlayError):
    """An overlay that is no picture, is damaged, or has transparent pixels."""


@dataclass(frozen=True)
class OverlayFolder:
    """One folder beside the photographs of a run."""

    name: str
    """Of the method."""
    photos: dict[str, Path]
    """The photographs by the names of their rows."""
    files: dict[str, Path]
    """The overlays by the names of their rows; photographs without one are absent."""
    unmatched: tuple[str, ...]
    """Names of pictures that belong to no photograph."""
    sha256: str
    """Of the names and the contents of all pictures in the folder."""
    source: Literal["official"] = "official"
    draws: tuple[Drawing, ...] = ("albedo",)

    @classmethod
    def match(cls, text: str, photos: Iterable[PhotoFile]) -> OverlayFolder:
        """``NAME=DIR`` -> the folder's overlays. Raises ``OverlayFolderError``."""
        name, folder = split_option(text)
        by_stem = _by_stem(folder, name)
        rows: dict[str, str] = {}
        paths: dict[str, Path] = {}
        for photo in photos:
            if photo.path.stem in rows:
                raise OverlayFolderError(
                    f"{name}: two photographs are called {photo.path.stem}, so files cannot be told apart by name"
                )
            rows[photo.path.stem] = photo.name
            paths[photo.name] = photo.path
        files = {rows[stem]: file for stem, file in by_stem.items() if stem in rows}
        unmatched = tuple(sorted(file.name for stem, file in by_stem.items() if stem not in rows))
        if not files:
            raise OverlayFolderError(
                f"{name}: none of the {len(by_stem)} files of {folder}, such as {unmatched[0]}, has the name of a "
                f"photograph, such as {next(iter(rows), '(none)')}: name each after its photograph"
            )
        return cls(name, paths, files, unmatched, _hash(by_stem.values()))

    def drawings(self, names: list[str], face: Face) -> Drawings:
        """The overlays of some rows as (len(names), 3, S, S) beside their crops ``face``; the mask is 1 everywhere.

        Raises ``OverlayMissingError``, ``OverlaySizeError`` or ``OverlayUnreadableError``.
        """
        pictures = [self._picture(name, face[index]) for index, name in enumerate(names)]
        image = torch.stack(pictures).to(face.image)
        return Drawings(None, Rendering(image, torch.ones_like(image[:, :1]), image))

    def recorded(self) -> dict[str, Any]:
        """What a result says about the folder; no path of this machine."""
        without = [name for name in self.photos if name not in self.files]
        return {
            "sha256": self.sha256,
            "photographs": len(self.photos),
            "matched": len(self.files),
            "photographs_without": {"count": len(without), "first": without[:SHOWN]},
            "files_without": {"count": len(self.unmatched), "first": list(self.unmatched[:SHOWN])},
        }

    def _picture(self, name: str, face: Face) -> Tensor:
        """(3, S, S) of one row."""
        photo = self.photos[name]
        if name not in self.files:
            raise OverlayMissingError(
                f"{self.name} has no overlay of the photograph {name}: write one called {photo.stem}.png"
            )
        path = self.files[name]
        pixels = _read(path, self.name)
        height, width = pixels.shape[:2]
        side = face.image.shape[-1]
        whole = _photo_size(photo)
        if (width, height) == whole:
            scale, offset_x, offset_y = face.crop_to_photo[0].tolist()
            crop = cut_crop(pixels, offset_x, offset_y, scale, side)
        elif (width, height) == (side, side):
            crop = pixels.astype(np.float32) / np.float32(255)
        else:
            raise OverlaySizeError(
                f"{self.name}: {path.name} has {width} x {height} pixels; write it with {whole[0]} x {whole[1]} as the "
                f"photograph {name} has, or with {side} x {side} as the crop around the face"
            )
        return torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)


def split_option(text: str) -> tuple[str, Path]:
    """``NAME=DIR``. Raises ``OverlayFolderError`` for a name that is taken or cannot be one, or for no folder."""
    name, equals, folder = text.partition("=")
    if not equals or not folder:
        raise OverlayFolderError(f"--overlays takes NAME=DIR, such as chen=overlays/chen; got {text!r}")
    if not re.fullmatch("[a-z0-9_]+", name):
        raise OverlayFolderError(f"--overlays {text}: the name {name!r} may hold a to z, 0 to 9 and _ alone")
    if name in (*method_names(), *RESERVED):
        raise OverlayFolderError(f"--overlays {text}: {name} is taken; choose another name, such as {name}_theirs")
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise OverlayFolderError(f"{name}: there is no folder {path}")
    return name, path


def match_folders(options: tuple[str, ...], photos: Iterable[PhotoFile]) -> list[OverlayFolder]:
    """All folders of a run. Raises ``OverlayFolderError`` for the first that cannot be scored, or a name used twice."""
    photos = tuple(photos)
    folders = [OverlayFolder.match(option, photos) for option in options]
    names = [folder.name for folder in folders]
    if twice := [name for name in names if names.count(name) > 1]:
        raise OverlayFolderError(f"--overlays names {twice[0]} twice")
    return folders


def match_report(method: str, recorded: dict[str, Any]) -> str:
    """What was matched, for people: one line, and one more for each kind of leftover."""
    lines = [f"{method}: overlays of {recorded['matched']} of {recorded['photographs']} photographs"]
    for key, text in (
        ("photographs_without", "photographs without an overlay"),
        ("files_without", "files that belong to no photograph"),
    ):
        count, first = recorded[key]["count"], recorded[key]["first"]
        if count:
            more = ", ..." if count > len(first) else ""
            lines.append(f"  {text} ({count}): {', '.join(first)}{more}")
    return "\n".join(lines)


def _by_stem(folder: Path, name: str) -> dict[str, Path]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    files = [path for path in files if not path.name.startswith(".")]
    if not files:
        raise OverlayFolderError(f"{name}: {folder} holds no {', '.join(SUFFIXES)} file")
    found: dict[str, Path] = {}
    for path in files:
        if path.stem in found:
            raise OverlayFolderError(
                f"{name}: {found[path.stem].name} and {path.name} in {folder} are of one photograph: leave one of them"
            )
        found[path.stem] = path
    return found


def _hash(files: Iterable[Path]) -> str:
    lines = sorted(f"{path.name} {sha256_of(path)}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _read(path: Path, name: str) -> np.ndarray:
    """(H, W, 3) uint8."""
    try:
        pixels = read_photo(path)
        with Image.open(path) as image:
            lowest = image.convert("RGBA").getchannel("A").getextrema()[0] if image.has_transparency_data else 255
    except PhotoError as error:
        raise OverlayUnreadableError(
            f"{name}: {str(error).replace(str(path), path.name)}; write this overlay again"
        ) from error
    if lowest != 255:
        raise OverlayUnreadableError(
            f"{name}: {path.name} has transparent pixels: lay it over the photograph before it is saved"
        )
    return pixels


def _photo_size(path: Path) -> tuple[int, int]:
    """Width and height of a photograph as it is seen, from the head of its file."""
    with Image.open(path) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return (image.height, image.width) if turned else image.size
