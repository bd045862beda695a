"""Losses of rendered heads, whose albedo and skin are known: no light, gloss, hair or thing may stay in the albedo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.filters import box_blur
from ftim.losses.masked import full_precision
from ftim.metrics.lpips import lpips_distance

if TYPE_CHECKING:
    from lpips import LPIPS

DARKEST = 0.02
"""Albedo: logarithms are taken of no less."""
RARE = 3.0
"""How much more what is no skin counts than skin does: it is a small part of most faces."""
DETAIL_RADII = (1, 4)
"""Texels of a map of 256: detail is what lies between these blurs and the albedo itself."""


@dataclass(frozen=True)
class TruthWeights:
    """How much each loss counts."""

    albedo: float = 12.0
    detail: float = 4.0
    perceptual: float = 1.0
    skin: float = 1.2


@dataclass(frozen=True)
class TruthTerms:
    """The losses before they are weighed, each a scalar."""

    albedo: Tensor
    detail: Tensor
    perceptual: Tensor | None
    """None without a network."""
    skin: Tensor
    total: Tensor
    """Their weighted sum."""


def truth_loss(
    albedo: Tensor, true_albedo: Tensor, skin: Tensor, true_skin: Tensor, seen: Tensor, where: Tensor,
    weights: TruthWeights, network: LPIPS | None = None, looked_at: int | None = None,
) -> TruthTerms:  # fmt: skip
    """Albedo and skin against the truth; the tone of the whole face, which one photograph hardly tells, is left out.

    Args:
        albedo, true_albedo: (B, 3, T, T) sRGB.
        skin, true_skin: (B, 1, T, T) in [0, 1]: how far what was seen is skin.
        seen: (B, 1, T, T) in [0, 1], confidence of what was seen.
        where: (1 or B, 1, T, T) in [0, 1], the texels that count.
        network: of ``load_lpips``; looks at the first ``looked_at`` pictures.

    Returns:
        ``albedo``: mean absolute difference of the logarithms after their mean difference, a channel and picture, is
        taken out. ``detail``: the same of bands of detail. ``perceptual``: LPIPS of the maps, tone alike. ``skin``:
        binary cross entropy over seen texels.
    """
    with torch.autocast(albedo.device.type, enabled=False):
        albedo, true_albedo, skin = full_precision(albedo), full_precision(true_albedo), full_precision(skin)
        mask = where.expand(len(albedo), 1, *albedo.shape[2:])
        amount = mask.sum((2, 3), keepdim=True).clamp_min(1)
        difference = albedo.clamp_min(DARKEST).log() - true_albedo.clamp_min(DARKEST).log()
        tone = (difference * mask).sum((2, 3), keepdim=True) / amount
        apart = difference - tone
        albedo_term = (apart.abs() * mask / amount).sum((1, 2, 3)).mean() / 3
        blurs = [apart, *[box_blur(apart, radius) for radius in DETAIL_RADII]]
        bands = [finer - broader for finer, broader in zip(blurs, blurs[1:], strict=False)]
        detail = torch.stack([(band.abs() * mask / amount).sum((1, 2, 3)).mean() / 3 for band in bands]).sum()
        importance = seen * (1 + (RARE - 1) * (1 - true_skin))
        entropy = F.binary_cross_entropy(skin.clamp(1e-4, 1 - 1e-4), true_skin, reduction="none")
        skin_term = (entropy * importance).sum() / importance.sum().clamp_min(1)
    total = weights.albedo * albedo_term + weights.detail * detail + weights.skin * skin_term
    perceptual = None
    if network is not None and weights.perceptual:
        some = slice(looked_at)
        alike = (albedo / tone.exp()).clamp(0, 1)
        shown = torch.lerp(true_albedo, alike, mask)
        rows = slice(0, round(0.8 * albedo.shape[-1]))  # below lie eyes, teeth and tongue
        perceptual = lpips_distance(network, shown[some, :, rows], true_albedo[some, :, rows]).mean()
        total = total + weights.perceptual * perceptual
    return TruthTerms(albedo_term, detail, perceptual, skin_term, total)
