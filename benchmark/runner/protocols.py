"""What is compared with what. A protocol turns photographs into pairs of views and says which pixels count.

Overlay: the photograph a method got is the one it is compared with. Blocks: ``overlay``, the whole crop as in the
paper; and ``face``, the drawn face where skin is visible, without any blending with the photograph. Both are drawn from
the method's texture of this photograph; ``relit_overlay`` and ``relit_face`` are the same pixels drawn from its albedo
under the fitted light. A method that makes no texture of the photograph, but an albedo from a model of faces, has the
second kind alone.

Cross-view: three photographs of a person taken at one moment. The texture is completed from one, and its albedo drawn
with the fit and the light of another. Blocks: ``face``, the visible skin of the other photograph; ``seen`` and
``unseen``, that part of it which the input photograph showed and the part which it did not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from benchmark.methods import Drawing, Drawings, Method, TextureMethod
from benchmark.runner.overlays import OverlayFolder
from benchmark.runner.records import RELIT
from benchmark.runner.scoring import Scorer, Target
from ftim.data import Frll, PhotoFile
from ftim.data.frll import EXPRESSIONS, VIEWS, FrllExpression
from ftim.errors import FtimError
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.structures import Face, View

EXPECTED_ERRORS: tuple[type[Exception], ...] = (FtimError, torch.linalg.LinAlgError)  # type: ignore[attr-defined]
"""What makes a row with a reason. Anything else is a mistake in the program and stops the run."""

T = TypeVar("T")


@dataclass(frozen=True)
class Pairs:
    """Input views, and the views that they are compared with."""

    names: list[str]
    views: View
    inputs: list[int]
    """Into ``views``, one a name."""
    outputs: list[int]
    targets: list[Target]
    """One a block; each holds ``len(names)`` images."""
    face_mask: Tensor
    """(len(names), 1, S, S): what the main block scores."""


@dataclass(frozen=True)
class Case:
    """Photographs that are worked on together, and the names of the rows that they give."""

    photos: tuple[PhotoFile, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Loaded:
    """A case after detection: one face a photograph, or the reason for none."""

    case: Case
    faces: tuple[Face, ...]
    reason: str | None


class EvaluationProtocol(Protocol):
    """See the module's text."""

    name: str
    blocks: dict[str, Drawing]
    """In the order of the tables, and what each one scores."""
    together: bool
    """Whether the photographs of a case are of one person and fitted together; then cases are not batched."""
    cases: tuple[Case, ...]

    def pairs(self, views: View, cases: list[Case]) -> Pairs: ...

    def draw(self, method: Method | OverlayFolder, pairs: Pairs) -> Drawings:
        """Of all pairs. Raises ``FtimError`` when the method fails."""
        ...


class OverlayProtocol:
    """One photograph a case."""

    name = "overlay"
    together = False

    def __init__(self, photos: tuple[PhotoFile, ...], pipeline: Pipeline, scorer: Scorer) -> None:
        self.pipeline = pipeline
        self.scorer = scorer
        self.cases = tuple(Case((photo,), (photo.name,)) for photo in photos)
        self.blocks: dict[str, Drawing] = {
            "overlay": "texture", "face": "texture", f"{RELIT}overlay": "albedo", f"{RELIT}face": "albedo",
        }  # fmt: skip

    def pairs(self, views: View, cases: list[Case]) -> Pairs:
        """Each view with itself."""
        image = views.face.image
        mask = visible_face(self.pipeline, views)
        targets = [
            self.scorer.target("overlay", image, None),
            self.scorer.target("face", image, mask, landmarks=views.face.landmarks),
        ]
        targets += [replace(target, block=RELIT + target.block) for target in targets]
        own = list(range(len(cases)))
        return Pairs([case.rows[0] for case in cases], views, own, own, targets, mask)

    def draw(self, method: Method | OverlayFolder, pairs: Pairs) -> Drawings:
        """Completed once and drawn twice; of a folder of overlays, what lies there."""
        if isinstance(method, OverlayFolder):
            return method.drawings(pairs.names, pairs.views.face)
        return method.reconstruct(pairs.views)


class CrossViewProtocol:
    """One person with one expression a case; six ordered pairs of three views."""

    name = "cross-view"
    together = True

    def __init__(
        self, frll: Frll, people: tuple[str, ...], pipeline: Pipeline, scorer: Scorer, limit: int | None = None
    ) -> None:
        self.pipeline = pipeline
        self.scorer = scorer
        self.blocks: dict[str, Drawing] = {"face": "albedo", "seen": "albedo", "unseen": "albedo"}
        self.order = list(itertools.permutations(range(len(VIEWS)), 2))
        triplets = itertools.islice(itertools.product(people, EXPRESSIONS), limit)
        self.cases = tuple(self._case(frll, person, expression) for person, expression in triplets)

    def _case(self, frll: Frll, person: str, expression: FrllExpression) -> Case:
        paths = frll.triplet(person, expression)
        photos = tuple(
            PhotoFile(f"{person}_{expression}_{view}", path) for view, path in zip(VIEWS, paths, strict=True)
        )
        rows = tuple(f"{person}_{expression}: {VIEWS[source]} to {VIEWS[goal]}" for source, goal in self.order)
        return Case(photos, rows)

    def pairs(self, views: View, cases: list[Case]) -> Pairs:
        """Each view with each other. What an input saw is drawn into the other view through the texture map."""
        (case,) = cases
        inputs, outputs = (list(side) for side in zip(*self.order, strict=True))
        seen = self.pipeline.image.draw_lit(
            views.partial.visibility[inputs].expand(-1, 3, -1, -1), views.fit[outputs], views.face.image[outputs]
        ).image[:, :1]
        face = visible_face(self.pipeline, views)[outputs]
        image = views.face.image[outputs]
        masks = {"face": face, "seen": face * (seen > 0.5), "unseen": face * (seen <= 0.5)}
        landmarks = views.face.landmarks[outputs]
        targets = [
            self.scorer.target(block, image, mask, block == "face", landmarks if block == "face" else None)
            for block, mask in masks.items()
        ]
        return Pairs(list(case.rows), views, inputs, outputs, targets, face)

    def draw(self, method: Method | OverlayFolder, pairs: Pairs) -> Drawings:
        """The head of each input as each output shows it."""
        if not isinstance(method, TextureMethod):
            raise CrossViewError(f"{method.name} gives no texture of the shared head")
        return Drawings(None, method.transfer(pairs.views, pairs.inputs, pairs.outputs))


class CrossViewError(FtimError):
    """A method cannot be seen from elsewhere."""


def visible_face(pipeline: Pipeline, views: View) -> Tensor:
    """(B, 1, S, S), 0 or 1: visible skin of the photograph that the fitted head's drawn regions cover.

    From the shared fit alone, so that it is the same for every method.
    """
    white = torch.ones_like(views.partial.color[:, :, :8, :8])
    drawn = pipeline.image.draw_lit(white, views.fit, views.face.image).mask
    return ((drawn > 0.5) & (views.skin > 0.5) & (views.face.valid > 0.5)).to(drawn.dtype)


def load(case: Case, pipeline: Pipeline) -> Loaded:
    """Read and detect; an expected error becomes the case's reason."""
    faces = []
    for photo in case.photos:
        try:
            faces.append(pipeline.face(read_photo(photo.path)))
        except EXPECTED_ERRORS as error:
            return Loaded(case, (), describe(error, photo))
    return Loaded(case, tuple(faces), None)


def make_views(loaded: list[Loaded], pipeline: Pipeline, together: bool) -> View:
    """All faces of the cases in one batch."""
    face = Face.concatenate([face for item in loaded for face in item.faces])
    return pipeline.views(face, together)


def isolate(
    run: Callable[[list[int]], T], indices: list[int]
) -> tuple[list[tuple[list[int], T]], dict[int, Exception]]:
    """Run a batch; when it fails, each item by itself, so that one bad photograph costs one row.

    Returns the results with the items that they are of, and the errors by item.
    """
    if not indices:
        return [], {}
    try:
        return [(indices, run(indices))], {}
    except EXPECTED_ERRORS as error:
        if len(indices) == 1:
            return [], {indices[0]: error}
    results, errors = [], {}
    for index in indices:
        try:
            results.append(([index], run([index])))
        except EXPECTED_ERRORS as error:
            errors[index] = error
    return results, errors


def describe(error: Exception, *photos: PhotoFile) -> str:
    """Class and text on one line, with names in the place of this machine's paths."""
    text = " ".join(str(error).split())
    for photo in photos:
        for path in (photo.path.resolve(), photo.path):
            text = text.replace(str(path), photo.name).replace(str(path.parent), "")
    return f"{type(error).__name__}: {text.replace(str(Path.home()), '~')}"


def to_uint8(image: Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (H, W, 3) uint8."""
    return (image.permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
