"""Faces of a photograph, each turned upright, cut out and fitted, and none that is no face."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ftim.detector import Detection, FaceDetector, no_face
from ftim.errors import FaceError, FaceIndexError
from ftim.face import align
from ftim.face_check import SURELY_UPRIGHT, FaceCheck
from ftim.photo import Photograph
from ftim.render.surface import RasterizedHead, rasterize_head
from ftim.structures import Face, Fit

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoundFace:
    """One face of a photograph."""

    photo: Photograph
    """Turned so that the face is upright; ``photo.turn`` says by how much."""
    face: Face
    """The crop: a batch of one."""
    fit: Fit
    """Of this face by itself; its light is that of the regressor and not yet of the skin."""
    confidence: float
    """In [0, 1], that this is a human face (``ftim.face_check``)."""
    head: RasterizedHead | None = None
    """The fitted head as the crop's camera sees it, where it was rasterised already."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the landmarks in pixels of ``photo``."""
        scale, left, top = self.face.crop_to_photo[0].tolist()
        (x0, y0), (x1, y1) = self.face.landmarks[0].amin(0).tolist(), self.face.landmarks[0].amax(0).tolist()
        return x0 * scale + left, y0 * scale + top, x1 * scale + left, y1 * scale + top


class FaceFinder:
    """Detector, fit and second opinion."""

    def __init__(
        self,
        detector: FaceDetector,
        regressor: Callable[[Face], Fit],
        check: FaceCheck,
        size: int,
        device: torch.device,
    ) -> None:
        """``size`` is the crop's side."""
        self.detector = detector
        self.regressor = regressor
        self.check = check
        self.size = size
        self.device = device

    def one(self, photo: Photograph, index: int = 0) -> FoundFace:
        """The face of a number, 0 being the largest.

        Raises ``NoFaceError``, ``FaceTooSmallError``, and ``FaceIndexError`` when the photograph has fewer.
        """
        count = 0
        for found in self.every(photo, small_ones=index > 0):
            if count == index:
                return found
            count += 1
        raise FaceIndexError(f"face {index} was asked for; the photo has {count}, numbered from 0, largest first")

    def every(self, photo: Photograph, small_ones: bool = True) -> Iterator[FoundFace]:
        """The faces, largest first; ``small_ones`` are looked for also where a large one was found.

        Raises ``NoFaceError`` or ``FaceTooSmallError`` when there is none.
        """
        detections = self.detector.detect(photo.pixels, small_ones)
        refused: list[FaceError] = []
        for detection in detections:
            try:
                yield self._checked(photo, detection)
            except FaceError as error:
                refused.append(error)
        if len(refused) == len(detections):
            raise refused[0] if refused else no_face(photo.pixels)
        if refused:
            _log.warning("%d of %d that were found are no usable faces: %s", len(refused), len(detections), refused[0])

    @torch.no_grad()
    def _checked(self, photo: Photograph, detection: Detection) -> FoundFace:
        """Turned upright. When the fit leaves that in doubt, a look from each side is tried, and what the head explains
        best is taken."""
        best = -1.0
        for turn in range(4):
            seen = self.detector.seen_aside(photo.pixels, detection, detection.turn + turn) if turn else detection
            if seen is None:
                continue
            face = align(*seen.upright(photo.pixels), self.size).to(self.device)
            fit = self.regressor(face)
            head = rasterize_head(self.check.renderer.model, self.check.renderer.rasterizer, fit)
            (evidence,) = self.check.evidence(face, fit, head)
            if evidence.upright > best:
                best, kept = evidence.upright, (seen.turn, face, fit, evidence, head)
            if best >= SURELY_UPRIGHT:
                break
        turn, face, fit, evidence, head = kept
        return FoundFace(photo.turned(turn), face, fit, self.check.judged(face, evidence), head)
