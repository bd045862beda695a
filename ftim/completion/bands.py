"""Detail by scale: an albedo as a smooth field and bands of detail, and what lies between two sizes of a map."""

from __future__ import annotations

from torch import Tensor

from ftim.filters import box_blur, enlarge, shrink

BAND_RADII = (1, 2, 6)
"""Texels of a map of 256. Each band is what the next wider blur takes away: pores, lashes and lip rims, brows."""


def split_bands(image: Tensor) -> tuple[list[Tensor], Tensor]:
    """(B, C, T, T) -> bands of detail, finest first, and the smooth rest; their sum is the image."""
    bands, current = [], image
    for radius in BAND_RADII:
        smoother = box_blur(image, radius)
        bands.append(current - smoother)
        current = smoother
    return bands, current


def shrink_seen(image: Tensor, weight: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """An image (B, C, T, T) known where weight (B, 1, T, T) is above 0 -> mean of what is known, mean weight."""
    if scale == 1:
        return image, weight
    known = (weight > 0).to(image)
    amount = shrink(known, scale)
    return shrink(image * known, scale) / amount.clamp_min(1e-6), shrink(weight, scale)


def finest_detail(image: Tensor, scale: int) -> Tensor:
    """(B, C, T, T) -> what is lost when the image is shrunk by the scale and enlarged again."""
    return image - enlarge(shrink(image, scale), scale)
