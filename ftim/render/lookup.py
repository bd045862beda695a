"""Looking up a texture at the pixels of a picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

COARSE = 3.0
"""Texels a pixel: a bicubic lookup reads four in a row, so that coarser pictures would skip some. Halved maps still
have half as many texels as pixels again, and lose none of the picture's detail."""
SAMPLE = 4096
"""Pixels of which the density of the map is told."""


def sample_texture(texture: Tensor, uv: Tensor) -> Tensor:
    """Bicubic lookup (Keys 1981 with a = -0.75): it keeps detail as fine as the map's own; values may overshoot.

    Args:
        texture: (B, C, T, T).
        uv: (B, 2, H, W) in [0, 1], origin top-left, v down; (1, 2, H, W) for pictures that share it.

    Returns:
        (B, C, H, W).
    """
    grid = (uv.permute(0, 2, 3, 1) * 2 - 1).expand(len(texture), -1, -1, -1)
    return F.grid_sample(texture, grid, mode="bicubic", padding_mode="border", align_corners=False)


def look_up(texture: Tensor, uv: Tensor, covered: Tensor) -> Tensor:
    """``sample_texture`` in a map no finer than the picture can show: halved while a pixel spans ``COARSE`` texels.

    Args:
        texture, uv: of ``sample_texture``, (B, ...) both.
        covered: (B, H, W) bool, the pixels that count.

    Returns:
        (B, C, H, W).
    """
    levels = [halvings(uv[index], covered[index], texture.shape[-1]) for index in range(len(uv))]
    if not any(levels):
        return sample_texture(texture, uv)
    parts = [
        sample_texture(halved(texture[index : index + 1], level), uv[index : index + 1])
        for index, level in enumerate(levels)
    ]
    return torch.cat(parts)


def halved(texture: Tensor, level: int) -> Tensor:
    """(B, C, T, T) -> the means of 2^level x 2^level texels."""
    return F.avg_pool2d(texture, 2**level) if level else texture


@torch.no_grad()
def halvings(uv: Tensor, covered: Tensor, size: int) -> int:
    """How often a map of ``size`` texels may be halved until a pixel spans fewer than ``COARSE`` of them.

    Args:
        uv: (2, H, W). covered: (H, W) bool.

    Returns:
        For the median of the covered pixels, whose span is the square root of the area that they cover in the map.
    """
    some = dense_sample(covered)
    flat = uv.flatten(1)
    neighbours = torch.stack([flat[:, some + step].T for step in (0, 1, uv.shape[-1])], 1)
    return span_halvings(neighbours, size)


def dense_sample(covered: Tensor) -> Tensor:
    """(H, W) bool -> (K,) int64, row * W + column: evenly many of the pixels that have a pixel to the right and one
    below which are covered too."""
    height, width = covered.shape
    whole = torch.zeros_like(covered)
    whole[:-1, :-1] = covered[:-1, :-1] & covered[:-1, 1:] & covered[1:, :-1]
    found = torch.nonzero(whole.flatten())[:, 0]
    return found[:: max(1, len(found) // SAMPLE)]


def span_halvings(neighbours: Tensor, size: int) -> int:
    """As ``halvings``, from (K, 3, 2) uv of pixels, of those to their right and of those below."""
    if not len(neighbours):
        return 0
    here, right, down = (neighbours * size).unbind(1)
    right, down = right - here, down - here
    area = (right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0]).abs()
    span = float(area.median().sqrt())
    level = 0
    while span >= COARSE and size % 2 ** (level + 1) == 0:
        span, level = span / 2, level + 1
    return level
