"""Skin tone: the part of a fitted light that belongs to the albedo of a finished head."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ftim.morphable import MorphableModel, Region
from ftim.morphable.model import OPENINGS
from ftim.render.atlas import Atlas
from ftim.render.shading import luminance
from ftim.structures import Fit, PartialTexture, Texture
from ftim.uv import UvRenderer

BRIGHTEST = 0.65
"""Mean of the sRGB channels of teeth in the shade of the lips."""


TONE_STEP = 4
"""One of so many texels of the seen skin tells its tone: tens of thousands are more than a mean needs."""


class ToneMover:
    """``with_tone`` of the tone that the seen skin of a partial texture has, on one map."""

    def __init__(self, uv_renderer: UvRenderer) -> None:
        self.uv = uv_renderer
        model, atlas = uv_renderer.model, uv_renderer.atlas
        self.teeth, self.openings = (part_mask(model, atlas, part) for part in ((Region.TEETH,), OPENINGS))

    @torch.no_grad()
    def __call__(self, texture: Texture, partial: PartialTexture, fit: Fit) -> tuple[Texture, Fit]:
        """Texture and fit of a batch with the tone in the albedo and no longer in the light."""
        tone = torch.stack([self._tone(partial.confidence[i, 0], fit[i]) for i in range(len(fit))])
        return with_tone(texture, fit, tone, self.teeth, self.openings)

    def _tone(self, confidence: Tensor, fit: Fit) -> Tensor:
        """(3,) of one fit and the confidence (T, T) of what was seen."""
        weight = (confidence * (1 - self.openings[0, 0])).flatten()
        seen = torch.nonzero(weight[self.uv.atlas.texel] > 0)[::TONE_STEP, 0]
        return skin_tone(self.uv.shading_at(fit, seen), weight[self.uv.atlas.texel[seen]])


def skin_tone(shading: Tensor, weight: Tensor) -> Tensor:
    """The mean shading of the skin that was seen.

    Args:
        shading: (N, 3) of the fitted light at texels of the skin, ``UvRenderer.shading_at``.
        weight: (N,) of the texels, such as their confidence.

    Returns:
        (3,), positive; ones where nothing was seen.
    """
    total = weight.sum()
    mean = weight @ shading / total.clamp(min=1e-6)
    return mean.where(total > 0, mean.new_ones(()))


def with_tone(texture: Texture, fit: Fit, tone: Tensor, teeth: Tensor, openings: Tensor) -> tuple[Texture, Fit]:
    """Move a factor of each colour channel from the light to the albedo; their product stays, except on teeth.

    The fit explains a photograph by the template's albedo under some light, so that a dark face would be a pale one in
    little light, and pale in any other light and program. Only the product is known. Here the light is taken to have a
    mean of one on the skin that was seen: the albedo then has the photograph's colours, with the exposure and white
    balance of its camera (docs/decisions.md, S32).

    Where shading is grey, so is the factor. Teeth are no darker for darker skin: they become darker only as far as they
    would be brighter than ``BRIGHTEST``.

    Args:
        texture: of a batch B.
        fit: of the same heads.
        tone: (B, 3) positive, ``skin_tone``.
        teeth: (1, 1, T, T) 1 on the teeth, ``part_mask``.
        openings: (1, 1, T, T) 1 where shading is grey, teeth among them.

    Returns:
        Texture and fit with another albedo and light; ``texture.texture`` is what it was.
    """
    albedo, factor = texture.albedo, tone[:, :, None, None]
    brightness = albedo.mean(1, keepdim=True).clamp(min=1e-6)
    grey = luminance(tone)[:, :, None, None]
    factor = factor.lerp(grey, openings)
    factor = factor.lerp((BRIGHTEST / brightness).clamp(max=1).maximum(grey.clamp(max=1)), teeth)
    return replace(texture, albedo=albedo * factor), replace(fit, light=fit.light / tone[:, None, :])


def part_mask(model: MorphableModel, atlas: Atlas, regions: tuple[Region, ...]) -> Tensor:
    """(1, 1, T, T) 1 on the texels of these regions."""
    inside = model.part_of(regions)[atlas.face]
    return atlas.image(inside.to(atlas.weights.dtype)[None, :, None])
