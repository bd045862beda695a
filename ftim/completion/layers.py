"""What is known of a head's albedo before anything is learnt: seen, mirrored, and template in the photo's colours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ftim.completion.fill import close_gaps, feather, over, smooth_ratio
from ftim.structures import Batched


@dataclass(frozen=True)
class AlbedoLayers(Batched):
    """Layers over each other, and what they give together."""

    alpha: Tensor
    """(B, 1, T, T) how much of the seen skin shows."""
    mirrored_alpha: Tensor
    """(B, 1, T, T) the same of its mirror image."""
    ratio: Tensor
    """(B, 3, T, T) the smooth factor that brings the mirror image to the colours seen around it."""
    behind: Tensor
    """(B, 3, T, T) mirrored over template: what would be there had the skin itself not been seen; complete."""
    albedo: Tensor
    """(B, 3, T, T) seen over that; complete, also in the gaps between the charts."""


def build_layers(
    seen: Tensor, weight: Tensor, template: Tensor, atlas: Tensor, groups: Tensor, blend: int, detail: int
) -> AlbedoLayers:
    """Fill from the other half of the face, then from the template, each fitted in colour.

    Args:
        seen: (B, 3, T, T) albedo where weight is above 0.
        weight: (B, 1, T, T) in [0, 1], confidence of what was seen.
        template: (3, T, T) albedo.
        atlas: (T, T) of ``region_atlas``. groups: (3, T, T) of ``region_groups``.
        blend: texels over which one layer gives way to the next.
        detail: texels; colour corrections vary no faster.
    """
    alpha = feather(weight, groups, blend)
    template = template.to(seen).expand_as(seen)
    ground = template * smooth_ratio(seen, template, alpha, groups, detail=detail)
    mirrored, mirrored_alpha = seen.flip(-1), alpha.flip(-1)
    ratio = smooth_ratio(seen, mirrored, alpha * mirrored_alpha, groups, detail=detail)
    behind = close_gaps(over([(mirrored * ratio, mirrored_alpha)], ground), atlas)
    return AlbedoLayers(alpha, mirrored_alpha, ratio, behind, over([(seen, alpha)], behind))


def layers_one_by_one(
    seen: Tensor, weight: Tensor, template: Tensor, atlas: Tensor, groups: Tensor, blend: int, detail: int
) -> AlbedoLayers:
    """``build_layers`` without gradients; picture by picture on a CPU, whose caches hold one map."""
    with torch.no_grad():
        if len(seen) <= 1 or seen.device.type != "cpu":
            return build_layers(seen, weight, template, atlas, groups, blend, detail)
        pairs = zip(seen.split(1), weight.split(1), strict=True)
        return AlbedoLayers.concatenate([build_layers(s, w, template, atlas, groups, blend, detail) for s, w in pairs])
