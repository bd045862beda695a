"""Several views of one person as one partial texture: the triplets of the paper, at test time."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.completion.base import delight
from ftim.render.shading import SHADING_FLOOR
from ftim.structures import PartialTexture

SHARPNESS = 4
"""Power of the confidence: where two views see a texel, the surer one counts most, so that nothing is seen double."""


def merge_views(partial: PartialTexture, shading: Tensor, target: int) -> PartialTexture:
    """What all views saw, in the light of one of them.

    Each view's colours are divided by its own shading, averaged with their confidence to the power of ``SHARPNESS``,
    and multiplied by the shading of the view ``target``.

    Args:
        partial: of B views of one head.
        shading: (B, 3, T, T), ``UvRenderer.shading`` of their fits.
        target: the view whose photograph the result belongs to.

    Returns:
        Batch of one: seen where any view saw it, with the confidence of the surest.
    """
    weight = (partial.confidence * partial.visibility).clamp_min(1e-3).pow(SHARPNESS) * partial.visibility
    albedo = delight(partial.color, shading)
    total = weight.sum(0, keepdim=True)
    mean = (weight * albedo).sum(0, keepdim=True) / torch.where(total > 0, total, 1)
    visibility = partial.visibility.amax(0, keepdim=True)
    color = mean * shading[target : target + 1].clamp_min(SHADING_FLOOR) * visibility
    return PartialTexture(color, visibility, partial.confidence.amax(0, keepdim=True))
