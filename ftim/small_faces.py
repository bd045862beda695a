"""MTCNN (Zhang et al. 2016) by facenet-pytorch: small faces in a photograph, and a second opinion on a face."""

from __future__ import annotations

import importlib.util
import logging
import threading
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from ftim.extras import import_extra

if TYPE_CHECKING:
    from facenet_pytorch import MTCNN

_log = logging.getLogger(__name__)
MOST_PIXELS = 2_000_000
"""Larger photographs are reduced to it first."""
SMALLEST = 30
"""Pixels of the reduced photograph: sides of the smallest faces looked for."""
SURE = 0.99
"""Probability of what is called a face. Dogs reach 0.97; of training people's faces 99 % are above."""


class SmallFaces:
    """The detector, loaded on first use. Without its package, which is said once, it finds nothing."""

    def __init__(self) -> None:
        self._network: MTCNN | None = None
        self._lock = threading.Lock()
        self._told = False

    @property
    def available(self) -> bool:
        """Whether the network's package is installed."""
        if importlib.util.find_spec("facenet_pytorch") is not None:
            return True
        if not self._told:
            self._told = True
            _log.warning(
                "facenet-pytorch is not installed: small faces are not found, and doubtful ones are judged by the fit "
                'alone; pip install "ftim[faces]"'
            )
        return False

    def __call__(self, photo: np.ndarray) -> list[tuple[float, float, float, float]]:
        """Left, top, right and bottom of the faces of a photo, (H, W, 3) uint8 RGB, in its pixels; most sure first."""
        if not self.available:
            return []
        height, width = photo.shape[:2]
        reduction = max(1, int(np.ceil((height * width / MOST_PIXELS) ** 0.5)))
        small = np.asarray(Image.fromarray(photo).reduce(reduction)) if reduction > 1 else photo
        boxes, sureness = self._detect(small)
        order = [index for index in np.argsort(-sureness) if sureness[index] >= SURE]
        return [tuple(float(edge) * reduction for edge in boxes[index]) for index in order]  # type: ignore[misc]

    def sureness(self, crop: np.ndarray) -> float:
        """The probability in [0, 1] that the network gives the face which a crop, (S, S, 3) uint8, was cut around: of
        the faces that hold the crop's centre and are a third of it or more, the highest; 0 without any."""
        boxes, sureness = self._detect(crop)
        middle, least = crop.shape[0] / 2, crop.shape[0] / 3
        inside = [
            left < middle < right and top < middle < bottom and bottom - top > least
            for left, top, right, bottom in boxes
        ]
        return max((float(sure) for sure, is_in in zip(sureness, inside, strict=True) if is_in), default=0.0)

    @torch.no_grad()
    def _detect(self, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 4) boxes and (N,) probabilities."""
        with self._lock:
            if self._network is None:
                mtcnn = import_extra("facenet_pytorch", "faces").MTCNN
                self._network = mtcnn(keep_all=True, post_process=False, min_face_size=SMALLEST, device="cpu")
            boxes, sureness = self._network.detect(photo)
        if boxes is None:
            return np.zeros((0, 4)), np.zeros(0)
        return np.asarray(boxes, dtype=float), np.asarray(sureness, dtype=float)
