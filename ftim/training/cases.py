"""Which photographs train FTIM: triplets of one person, and single portraits."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftim.data import PhotoFile, PhotoSet, load_frll, load_portraits, load_webmorph
from ftim.data.frll import EXPRESSIONS, LICENCE, VIEWS
from ftim.errors import DatasetError, FaceError

Source = Literal["frll", "webmorph", "portraits"]


@dataclass(frozen=True)
class TrainingCase:
    """Photographs that are fitted together: three views of one moment, or one portrait."""

    name: str
    photos: tuple[PhotoFile, ...]

    @property
    def is_triplet(self) -> bool:
        """Left, front and right."""
        return len(self.photos) == 3

    def may_fail(self, error: Exception) -> bool:
        """Whether this error leaves the case out (no usable face) instead of ending the run."""
        return isinstance(error, FaceError)


@dataclass(frozen=True)
class TrainingData:
    """Everything that a run learns from, in a fixed order."""

    triplets: tuple[TrainingCase, ...]
    portraits: tuple[TrainingCase, ...]
    licences: dict[str, str]
    """By data set."""

    @property
    def cases(self) -> tuple[TrainingCase, ...]:
        """All of them."""
        return self.triplets + self.portraits


def load_training_data(sources: tuple[Source, ...], folder: Path | None = None) -> TrainingData:
    """FRLL's 70 training people, the webmorph portraits, and the 500 training portraits.

    Never CelebA, a validation person or a test portrait: what may be trained on is decided by committed lists.
    ``folder`` holds ``frll`` and ``webmorph``; by default ``$FTIM_DATA``. Raises ``DatasetError``, also without a
    triplet, since portraits alone show no cheek from two sides.
    """
    triplets: list[TrainingCase] = []
    portraits: list[TrainingCase] = []
    licences = {}
    if "frll" in sources:
        frll = load_frll(folder)
        licences["frll-train"] = LICENCE
        for person, expression in itertools.product(frll.people("train"), EXPRESSIONS):
            paths = frll.triplet(person, expression)
            names = (f"{person}_{expression}_{view}" for view in VIEWS)
            photos = tuple(PhotoFile(name, path) for name, path in zip(names, paths, strict=True))
            triplets.append(TrainingCase(f"frll-{person}-{expression}", photos))
    sets: list[PhotoSet] = []
    if "webmorph" in sources:
        sets.append(load_webmorph(folder))
    if "portraits" in sources:
        sets.append(load_portraits("train"))
    for photos_of in sets:
        licences[photos_of.name] = photos_of.licence
        portraits += [TrainingCase(f"{photos_of.name}-{photo.name}", (photo,)) for photo in photos_of.photos]
    if not triplets:
        raise DatasetError("training needs triplets (left, front, right) of one person: add the source frll")
    return TrainingData(tuple(triplets), tuple(portraits), licences)
