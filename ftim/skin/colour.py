"""How a pixel's colour differs from what this person's skin would show there, and which differences are skin's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ftim.render.shading import sh_basis
from ftim.skin.geometry import HeadPixels

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
BINS = 16
LOWEST = np.array([-2.4, -0.2, -0.2], np.float32)
HIGHEST = np.array([1.2, 0.2, 0.2], np.float32)
"""Range of the deviations that the histograms tell apart: log brightness and two chromaticities."""


@dataclass(frozen=True)
class Deviations:
    """Each pixel against the skin expected under the light that falls there."""

    value: np.ndarray
    """(S, S, 3) float32: log brightness, and (R - G) and (G - B) over the sum of the three."""
    sigma: np.ndarray
    """(3,) robust spread of skin."""
    level: float
    """Mean brightness of skin, 0 to 1."""

    @cached_property
    def squared(self) -> np.ndarray:
        """(S, S) squared distance from skin in units of its spread."""
        return over_channels(np.square(self.value / self.sigma))


def deviations(image: np.ndarray, head: HeadPixels, weight: np.ndarray, rounds: int = 4) -> Deviations:
    """Fit this person's skin under smooth light and take it out.

    Brightness is fitted in its logarithm by the nine spherical harmonics of the surface normals, chromaticity
    by the first four, with re-weighting that forgets what is not skin.

    Args:
        image: (S, S, 3) in [0, 1].
        head: where the pixels lie.
        weight: (S, S) at least 0: where skin is expected.
    """
    features = np.concatenate([np.log(image @ LUMA + 0.02)[..., None], _chromaticity(image)], axis=-1)
    basis = sh_basis(torch.from_numpy(head.normal)).numpy()
    rows = np.flatnonzero(weight.ravel() > 0)
    rows = rows[:: max(1, len(rows) // 4000)]
    samples, columns, base = features.reshape(-1, 3)[rows], basis.reshape(-1, 9)[rows], weight.ravel()[rows]
    robust = np.ones_like(base)
    ridge = np.diag([1e-6] + [0.02] * 3 + [0.05] * 5).astype(np.float32)
    sigma = np.array([0.25, 0.03, 0.03], np.float32)
    coefficients = np.zeros((9, 3), np.float32)
    for _ in range(rounds):
        used = base * robust
        for channel, bands in enumerate((9, 4, 4)):
            a = columns[:, :bands]
            normal = (a * used[:, None]).T @ a / max(used.sum(), 1e-6) + ridge[:bands, :bands]
            right = (a * used[:, None]).T @ samples[:, channel] / max(used.sum(), 1e-6)
            coefficients[:bands, channel] = np.linalg.solve(normal, right)
        residual = samples - columns @ coefficients
        spread = np.array([_weighted_median(np.abs(residual[:, c]), used) for c in range(3)]) * 1.48
        sigma = np.clip(spread, (0.1, 0.012, 0.012), (0.25, 0.04, 0.04)).astype(np.float32)
        robust = 1 / np.square(1 + np.square(residual / sigma).sum(-1) / 12)
    expected = basis @ coefficients
    # Surfaces turned away further than any that was sampled are not extrapolated beyond what was seen.
    known = columns @ coefficients
    lowest = known.min(0) - np.array([0.3, 0.02, 0.02])
    highest = known.max(0) + np.array([0.1, 0.02, 0.02])
    expected = np.clip(expected, lowest, highest)
    expected[~head.inside] = np.average(known, axis=0, weights=base * robust)
    level = float(np.average((image @ LUMA).ravel()[rows], weights=base * robust))
    return Deviations((features - expected).astype(np.float32), sigma, level)


def over_channels(values: np.ndarray) -> np.ndarray:
    """(..., 3) -> (...): their sum. NumPy's own takes six times as long over so short an axis."""
    return values[..., 0] + values[..., 1] + values[..., 2]


def _chromaticity(image: np.ndarray) -> np.ndarray:
    total = over_channels(image) + 0.1
    return np.stack([(image[..., 0] - image[..., 1]) / total, (image[..., 1] - image[..., 2]) / total], axis=-1)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])


def bin_numbers(deviation: np.ndarray) -> np.ndarray:
    """(..., 3) deviations -> (...) index into a flattened histogram."""
    place = np.clip((deviation - LOWEST) / (HIGHEST - LOWEST) * BINS, 0, BINS - 1).astype(np.int64)
    return (place[..., 0] * BINS + place[..., 1]) * BINS + place[..., 2]


def histogram(bins: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(N,) bin numbers and weights -> (BINS^3,) smoothed density that sums to 1; uniform where nothing has weight."""
    counts: np.ndarray = np.bincount(bins, weights=weight, minlength=BINS**3).reshape(BINS, BINS, BINS)
    for axis in range(3):
        counts = np.moveaxis(counts, axis, 0)
        padded = np.concatenate([counts[:1], counts, counts[-1:]])
        counts = np.moveaxis(0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:], 0, axis)
    total = counts.sum()
    return counts.ravel() / total if total > 0 else np.full(BINS**3, 1 / BINS**3)
