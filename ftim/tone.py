"""Skin tone: the part of a fitted light that belongs to the albedo of a finished head."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ftim.morphable import Region
from ftim.render.atlas import Atlas
from ftim.structures import Fit, PartialTexture, Texture

BRIGHTEST = 0.65
"""Mean of the sRGB channels of teeth in the shade of the lips."""


def skin_tone(shading: Tensor, partial: PartialTexture) -> Tensor:
    """The mean shading of the skin that was seen.

    Args:
        shading: (B, 3, T, T) of the fitted light, ``UvRenderer.shading``.
        partial: (B, ..., T, T) weighs the texels by its confidence.

    Returns:
        (B, 3), positive; ones where nothing was seen.
    """
    weight = partial.confidence
    total = weight.sum((-2, -1))
    mean = (shading * weight).sum((-2, -1)) / total.clamp(min=1e-6)
    return mean.where(total > 0, mean.new_ones(()))


def with_tone(texture: Texture, fit: Fit, tone: Tensor, teeth: Tensor) -> tuple[Texture, Fit]:
    """Move a factor of each colour channel from the light to the albedo; on skin their product stays.

    The fit explains a photograph by the template's albedo under some light, so that a dark face would be a pale one in
    little light, and pale in any other light and program. Only the product is known. Here the light is taken to have a
    mean of one on the skin that was seen: the albedo then has the photograph's colours, with the exposure and white
    balance of its camera (docs/paper.md, S32).

    Teeth are no darker for darker skin: they become darker only as far as they would be brighter than ``BRIGHTEST``.

    Args:
        texture: of a batch B.
        fit: of the same heads.
        tone: (B, 3) positive, ``skin_tone``.
        teeth: (1, 1, T, T) 1 on the teeth, ``teeth_mask``.

    Returns:
        Texture and fit with another albedo and light; ``texture.texture`` is what it was.
    """
    albedo, factor = texture.albedo, tone[:, :, None, None]
    brightness = albedo.mean(1, keepdim=True).clamp(min=1e-6)
    least = factor.mean(1, keepdim=True).clamp(max=1)
    factor = factor.lerp((BRIGHTEST / brightness).clamp(max=1).maximum(least), teeth)
    return replace(texture, albedo=albedo * factor), replace(fit, light=fit.light / tone[:, None, :])


def teeth_mask(atlas: Atlas, regions: Tensor) -> Tensor:
    """(1, 1, T, T) 1 on the teeth; ``regions`` (F,) is each triangle's ``Region``."""
    inside = regions[atlas.face] == int(Region.TEETH)
    return atlas.image(inside.to(atlas.weights.dtype)[None, :, None])
