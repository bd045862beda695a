"""Which photographs train FTIM: triplets of one person, and single portraits."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftim.assets import sha256_of
from ftim.data import PhotoFile, PhotoSet, load_frll, load_official_portraits, load_webmorph
from ftim.data.frll import EXPRESSIONS, LICENCE, VIEWS
from ftim.data.photo_set import IMAGE_SUFFIXES
from ftim.errors import DatasetError, FaceError

Source = Literal["frll", "webmorph", "official", "folder"]
FOLDER_VIEWS: tuple[str, ...] = ("left", "front", "right")
"""Names of the photographs of a triplet of your own, in the order of ``ftim.data.frll.VIEWS``."""
OWN_LICENCE = "your own photographs"
_LAYOUT = (
    "A folder of triplets has a folder for each person and moment, and in it the photographs "
    f"{', '.join(FOLDER_VIEWS)}, each as {', '.join(IMAGE_SUFFIXES)}."
)


@dataclass(frozen=True)
class TrainingCase:
    """Photographs that are fitted together: three views of one moment, or one portrait."""

    name: str
    photos: tuple[PhotoFile, ...]

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


def load_training_data(
    sources: tuple[Source, ...], folder: Path | None = None, own: Path | None = None
) -> TrainingData:
    """FRLL's 70 training people, webmorph's portraits, 70 official portraits of the US Congress, triplets of your own.

    Never CelebA, a validation person or portrait, or a portrait of the Brazilian Congress: committed lists and the
    portraits' numbers decide what may be trained on, and for the source ``folder`` you. ``folder`` holds ``frll``,
    ``webmorph`` and ``official_portraits``; by default ``$FTIM_DATA``. ``own`` is for ``load_triplets``. Raises
    ``DatasetError``, also without a triplet, since portraits alone show no cheek from two sides.
    """
    if ("folder" in sources) != (own is not None):
        raise DatasetError(
            "the source folder and the path of your triplets go together: ftim train --sources folder --triplets PATH"
        )
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
    if own is not None:
        triplets += load_triplets(own)
        licences["folder"] = OWN_LICENCE
    sets: list[PhotoSet] = []
    if "webmorph" in sources:
        sets.append(load_webmorph(folder))
    if "official" in sources:
        sets.append(load_official_portraits("train", folder))
    for photos_of in sets:
        licences[photos_of.name] = photos_of.licence
        portraits += [TrainingCase(f"{photos_of.name}-{photo.name}", (photo,)) for photo in photos_of.photos]
    if not triplets:
        raise DatasetError("training needs triplets (left, front, right) of one person: add the source frll, or folder")
    return TrainingData(tuple(triplets), tuple(portraits), licences)


def load_triplets(folder: Path) -> tuple[TrainingCase, ...]:
    """Triplets of your own: ``<folder>/<person and moment>/{left,front,right}.jpg``, sorted by the folder's name.

    In ``left`` the face turns to the picture's left, in ``right`` to its right, as FRLL's three-quarter views do. Other
    files, and folders whose name begins with a dot, are left alone. A case is named after its folder and the content of
    its photographs: what a cache holds of other photographs in a folder of that name is never taken for it.

    Raises ``DatasetError``, naming the folder and the remedy, when there is no such folder, none in it, or one in it
    lacks a view or has a view twice.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder. {_LAYOUT}")
    people = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not people:
        raise DatasetError(f"{folder} holds no folder with a triplet. {_LAYOUT}")
    return tuple(_triplet(person) for person in people)


def _triplet(folder: Path) -> TrainingCase:
    photos = []
    for view in FOLDER_VIEWS:
        found = [
            path for path in folder.iterdir() if path.stem.lower() == view and path.suffix.lower() in IMAGE_SUFFIXES
        ]
        if len(found) != 1:
            raise DatasetError(f"{folder} needs one photograph {view} and has {len(found)}. {_LAYOUT}")
        photos.append(PhotoFile(f"{folder.name}_{view}", found[0]))
    content = hashlib.sha256("".join(sha256_of(photo.path) for photo in photos).encode()).hexdigest()
    return TrainingCase(f"folder-{folder.name}-{content[:12]}", tuple(photos))
