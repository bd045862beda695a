"""Glasses: found by the bridge that crosses the nose, then taken out as thin dark or coloured lines around the eyes."""

from __future__ import annotations

import cv2
import numpy as np

from ftim.morphable.model import Region
from ftim.skin.colour import Deviations
from ftim.skin.geometry import HeadPixels, grown

FRAME_WIDTH = 0.13
"""Frames are thinner than this, in units of the outer eye distance."""
SURE_BRIDGE = 0.18
DOUBTFUL_BRIDGE = 0.1
"""Drop of log brightness across the nose bridge that shows glasses for sure, and below which there are none. Of 609
portraits 69 show glasses: 9 in 10 of these exceed 0.1, and 1 in 40 of the others, who have deep folds there."""


def glasses_pixels(deviation: Deviations, head: HeadPixels) -> np.ndarray:
    """(S, S) bool: frames, and reflections in the lenses; nothing where no bridge is found."""
    # Logarithms make much of small folds in dark skin; the factor takes that back.
    contrast = deviation.level / (deviation.level + 0.1)
    brightness = cv2.GaussianBlur(contrast * np.clip(deviation.value[..., 0], -1.5, 0.6), (0, 0), 0.008 * head.unit)
    share = np.interp(_bridge(brightness, head), [DOUBTFUL_BRIDGE, SURE_BRIDGE], [0.0, 1.0])
    if share == 0:
        return np.zeros(head.region.shape, bool)
    x, y = np.abs(head.place[..., 0]), head.place[..., 1]
    around = np.isin(head.region, (Region.FACE, Region.EARS)) & (y < 0.4) & (x < 0.9)
    # Lower, there are nostrils and the folds beside them.
    around &= y > np.interp(x, [0.1, 0.25], [-0.2, -0.4])
    around &= ~grown(head.eyes, 0.04 * head.unit) & ~head.brows
    side = _odd(FRAME_WIDTH * head.unit)
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    dark = cv2.morphologyEx(brightness, cv2.MORPH_BLACKHAT, ellipse)
    colour = np.sqrt(np.square(deviation.value[..., 1:] / deviation.sigma[1:]).sum(-1))
    line = (dark > 0.35 - 0.2 * share) | ((colour > 5) & (dark > 0.05))
    reflection = (deviation.value[..., 0] > 0.3) & (colour > 4) & (y < 0.3) & (x > 0.15) & (y > -0.35)
    return grown(around & (line | reflection), 0.015 * head.unit)


def _bridge(brightness: np.ndarray, head: HeadPixels) -> float:
    """The darkest thin line that crosses the nose between the eyes: its drop of log brightness in most columns."""
    side = _odd(FRAME_WIDTH * head.unit)
    line = cv2.morphologyEx(brightness, cv2.MORPH_BLACKHAT, np.ones((side, 1), np.uint8))
    x, y = np.abs(head.place[..., 0]), head.place[..., 1]
    nose = (head.region == Region.FACE) & (x < 0.1) & (y > -0.25) & (y < 0.12)
    nose &= ~grown(head.eyes, 0.07 * head.unit) & ~grown(head.brows, 0.05 * head.unit)
    columns = nose.any(0)
    if columns.sum() < 3:
        return 0.0
    return float(np.percentile(np.where(nose, line, 0).max(0)[columns], 30))


def _odd(pixels: float) -> int:
    return max(3, round(pixels) | 1)
