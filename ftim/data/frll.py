"""Face Research Lab London Set (DeBruine and Jones 2017): people photographed from several sides at one moment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ftim.data.photo_set import PhotoFile, PhotoSet, data_folder, read_split
from ftim.errors import DatasetError

FrllExpression = Literal["neutral", "smiling"]
FrllView = Literal["left_3quarter", "front", "right_3quarter"]
Split = Literal["train", "validation"]

EXPRESSIONS: tuple[FrllExpression, ...] = get_args(FrllExpression)
VIEWS: tuple[FrllView, ...] = get_args(FrllView)

LICENCE = "CC BY 4.0; DeBruine and Jones, Face Research Lab London Set, doi 10.6084/m9.figshare.5047666"
_ORIGIN = "Get it from figshare, doi 10.6084/m9.figshare.5047666 (CC BY 4.0)."
# The number behind the person in a file name tells expression and view.
_NUMBERS = {
    ("neutral", "left_3quarter"): "02",
    ("neutral", "front"): "03",
    ("neutral", "right_3quarter"): "04",
    ("smiling", "left_3quarter"): "07",
    ("smiling", "front"): "08",
    ("smiling", "right_3quarter"): "09",
}


@dataclass(frozen=True)
class Frll:
    """The folder ``<expression>_<view>/<person>_<number>.jpg``. In ``left_3quarter`` the face turns to the picture's
    left and shows the person's left cheek; ``right_3quarter`` the other way round."""

    root: Path

    def people(self, split: Split) -> tuple[str, ...]:
        """The committed 70 people to train on, or the 12 to validate with."""
        return read_split(f"frll_{split}")

    def path(self, person: str, expression: FrllExpression, view: FrllView) -> Path:
        """One photograph. Raises ``DatasetError`` when it is not there."""
        path = self.root / f"{expression}_{view}" / f"{person}_{_NUMBERS[expression, view]}.jpg"
        if not path.is_file():
            raise DatasetError(f"{path} is missing from the Face Research Lab London Set. {_ORIGIN}")
        return path

    def triplet(self, person: str, expression: FrllExpression) -> tuple[Path, Path, Path]:
        """The three views of ``VIEWS``, taken at the same moment."""
        left, front, right = (self.path(person, expression, view) for view in VIEWS)
        return left, front, right

    def photos(
        self,
        split: Split,
        expressions: tuple[FrllExpression, ...] = EXPRESSIONS,
        views: tuple[FrllView, ...] = VIEWS,
    ) -> PhotoSet:
        """All photographs of a split, by person, expression, view; named like ``001_smiling_front``."""
        files = [
            PhotoFile(f"{person}_{expression}_{view}", self.path(person, expression, view))
            for person in self.people(split)
            for expression in expressions
            for view in views
        ]
        return PhotoSet(f"frll-{split}", LICENCE, tuple(files))


def load_frll(folder: str | os.PathLike[str] | None = None) -> Frll:
    """The data set in a folder, by default ``$FTIM_DATA/frll``. Raises ``DatasetError`` when a view is missing."""
    root = data_folder("frll", folder, _ORIGIN)
    for expression, view in _NUMBERS:
        if not (root / f"{expression}_{view}").is_dir():
            raise DatasetError(f"{root / f'{expression}_{view}'} is missing; expected six such folders. {_ORIGIN}")
    return Frll(root)
