"""A studio of milliseconds for tests of the demo: what it draws is the photograph, and it remembers what was asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import numpy as np

from demo.studio import Look, Studio
from ftim.data import load_portraits
from ftim.errors import NoFaceError
from ftim.finder import FoundFace
from ftim.photo import Photograph
from ftim.pipeline import Pipeline
from ftim.reconstruction import Reconstruction


@cache
def a_result() -> Reconstruction:
    """Of a real portrait, made once."""
    return Pipeline.build(texture_size=256).reconstruct(load_portraits("test").photos[3].path)


class FakeStudio(Studio):
    """Gives the same head for every photograph; a black one holds no face."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.asked: list[int] = []
        """The first pixel of each photograph, in order."""

    def faces(self, photo: Photograph, size: int) -> list[FoundFace]:
        return [self.face(photo, size, index) for index in range(2)]

    def face(self, photo: Photograph, size: int, index: int) -> FoundFace:
        if photo.pixels.mean() < 5:
            raise NoFaceError("No face was found")
        return FoundFace(photo, a_result().face, a_result().fit, 1.0)

    def reconstruct(self, face: FoundFace, size: int, tell: Callable[[str], None]) -> Reconstruction:
        self.asked.append(int(face.photo.pixels[0, 0, 0]))
        time.sleep(self.seconds)
        return a_result()

    def view(self, result: Reconstruction, look: Look) -> np.ndarray:
        return np.zeros((16, 16, 4), np.uint8)
