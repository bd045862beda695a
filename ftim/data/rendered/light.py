"""Light of rendered heads: an environment map as a few directional lights, and lamps, windows and flashes beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ftim.errors import DatasetError
from ftim.extras import import_extra

BRIGHTEST = 200.0
"""Radiance at which environment maps are cut: suns of 30,000 would leave nothing else to see."""
SAMPLES = 24
"""Draws from an environment map. Draws of one place are one light."""
MAP_SHAPE = (32, 64)
"""Rows and columns of the map that lights are drawn from."""
SHARP, WIDE = 0.006, 0.03
"""Metres by which shadows of one bright place, and of a place of an even sky, are blurred on the head."""


@dataclass(frozen=True)
class Lights:
    """Light that falls on a head, in camera space."""

    directions: np.ndarray
    """(L, 3) unit vectors towards the lights."""
    colour: np.ndarray
    """(L, 3) linear: what a white matt surface that faces the light shines back."""
    blur: np.ndarray
    """(L,) metres by which each one's shadows are blurred."""
    sky: np.ndarray
    """(H, W, 3) linear radiance of all directions, for backgrounds and reflections; see ``look_up``."""

    def look_up(self, directions: np.ndarray) -> np.ndarray:
        """(..., 3) unit vectors -> (..., 3) radiance of the sky there, from the nearest pixel."""
        height, width, _ = self.sky.shape
        row = np.arccos(np.clip(directions[..., 1], -1, 1)) / np.pi * height
        column = (np.arctan2(directions[..., 0], directions[..., 2]) / (2 * np.pi) + 0.5) * width
        return self.sky[np.clip(row.astype(int), 0, height - 1), column.astype(int) % width]


def read_environment(path: Path) -> np.ndarray:
    """(256, 512, 3) float32 linear radiance of an OpenEXR file, cut at ``BRIGHTEST``.

    Raises ``DatasetError`` for a file that is none, ``MissingPackageError`` without the extra ``render``.
    """
    openexr = import_extra("OpenEXR", "render")
    try:
        channels = openexr.File(str(path)).channels()
        pixels = channels["RGB"].pixels if "RGB" in channels else np.stack([channels[c].pixels for c in "RGB"], -1)
    except Exception as error:  # the reader raises its own kinds
        raise DatasetError(f"{path} cannot be read as an OpenEXR environment map: {error}") from error
    return np.clip(np.nan_to_num(pixels[..., :3].astype(np.float32)), 0, BRIGHTEST)


def turned(sky: np.ndarray, angle: float, tilt: float = 0.0) -> np.ndarray:
    """The environment turned about the vertical by ``angle`` in turns, and shifted up by ``tilt`` of its height."""
    rows = np.clip(np.arange(len(sky)) + round(tilt * len(sky)), 0, len(sky) - 1)
    return np.roll(sky[rows], round(angle * sky.shape[1]), 1)


def lights_of(sky: np.ndarray, rng: np.random.Generator, samples: int = SAMPLES) -> Lights:
    """Lights drawn in proportion to what each place of the sky gives; their sum is the sky's on average."""
    height, width = MAP_SHAPE
    small = sky.reshape(height, sky.shape[0] // height, width, sky.shape[1] // width, 3).mean((1, 3))
    row, column = np.mgrid[:height, :width]
    polar, azimuth = (row + 0.5) / height * np.pi, ((column + 0.5) / width - 0.5) * 2 * np.pi
    solid = 2 * np.pi**2 / (height * width) * np.sin(polar)
    power = (small.mean(-1) * solid).ravel()
    share = power / power.sum()
    # Evenly spaced draws of the cumulated share: bright places are met as often as they should be.
    ticks = (np.arange(samples) + rng.random()) / samples
    order = rng.permutation(len(share))
    found = order[np.minimum(np.searchsorted(np.cumsum(share[order]), ticks), len(order) - 1)]
    place, count = np.unique(found, return_counts=True)
    polar = polar.ravel()[place] + rng.uniform(-0.5, 0.5, len(place)) * np.pi / height
    azimuth = azimuth.ravel()[place] + rng.uniform(-0.5, 0.5, len(place)) * 2 * np.pi / width
    colour = small.reshape(-1, 3)[place]
    given = colour / colour.mean(-1, keepdims=True).clip(1e-9) * (power.sum() / samples * count / np.pi)[:, None]
    directions = np.stack([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], -1)
    blur = np.where(count >= 3, SHARP, WIDE)
    return Lights(directions.astype(np.float32), given.astype(np.float32), blur.astype(np.float32), sky)


def with_lamp(
    lights: Lights, direction: np.ndarray, colour: np.ndarray, size: float, rng: np.random.Generator, parts: int = 5
) -> Lights:
    """Another light: a lamp, a window, the sun or a flash.

    Args:
        direction: (3,) towards its middle; colour: (3,) as ``Lights.colour``, of all its parts together.
        size: how far it reaches, in radians from its middle; its parts lie within.
    """
    parts = 1 if size < 0.03 else parts
    spread = rng.normal(size=(parts, 3)) * size * 0.6
    directions = direction[None] + (spread if parts > 1 else np.zeros((1, 3)))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    blur = np.full(parts, SHARP / 2 if parts == 1 else SHARP + size * 0.03)
    return Lights(
        np.concatenate([lights.directions, directions]).astype(np.float32),
        np.concatenate([lights.colour, np.tile(colour / parts, (parts, 1))]).astype(np.float32),
        np.concatenate([lights.blur, blur]).astype(np.float32),
        lights.sky,
    )


def scaled(lights: Lights, factor: float) -> Lights:
    """All of it brighter by a factor."""
    return Lights(lights.directions, lights.colour * factor, lights.blur, lights.sky * factor)
