"""Which texels of an unwrapped photograph show hair, or its edge, in the place of skin: nothing to learn skin from."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.completion.base import delight
from ftim.completion.fill import region_atlas, smoothstep
from ftim.filters import box_blur
from ftim.morphable.model import Region
from ftim.structures import View
from ftim.uv import UvRenderer

SPREADS = 2.2
"""Skin of the temples and the forehead lies within so many standard deviations of this person's inner face."""
LEAST = (0.22, 0.02, 0.02)
"""The same at least: logarithm of brightness, and two chromaticities."""
RIM = 1 / 128
"""Of the side: hair, and the end of what was seen, reach so far beyond themselves."""
LUMA = (0.299, 0.587, 0.114)


class HairFinder:
    """Tells skin from hair in the maps of one renderer."""

    def __init__(self, uv_renderer: UvRenderer) -> None:
        self.uv_renderer = uv_renderer
        model, atlas = uv_renderer.model, uv_renderer.atlas
        self.regions = region_atlas(model, atlas)
        self.place = atlas.image(atlas.spread(model.place[None]))[0]

    @torch.no_grad()
    def __call__(self, example: View) -> Tensor:
        """(B, 1, T, T) in [0, 1]: 0 where hair was seen, or may have been, 1 on skin and where nothing was seen."""
        partial = example.partial
        albedo = delight(partial.color, self.uv_renderer.shading(example.fit))
        pairs = zip(albedo, partial.visibility, strict=True)
        left = torch.stack([without_hair(one, seen, self.regions, self.place) for one, seen in pairs])
        return torch.where(partial.visibility > 0, left, 1)


def without_hair(albedo: Tensor, weight: Tensor, regions: Tensor, place: Tensor) -> Tensor:
    """The weights, 0 where the albedo is not like this person's cheeks and nose around the face.

    Beards, brows and lashes lie in the face and stay. Outside it whatever differs is taken for hair, or for the light
    that the fit did not explain there: others show that skin better.

    Args:
        albedo: (3, T, T) where weight is above 0.
        weight: (1, T, T) at least 0.
        regions: (T, T) of ``region_atlas``.
        place: (3, T, T) on the mean head, from between the eyes, in outer eye distances.
    """
    around = around_the_face(regions, place)[None]
    seen = (weight > 0).float()
    rim = round(RIM * weight.shape[-1])
    cues = _cues(albedo)
    cues = (box_blur((cues * seen)[None], rim // 2) / box_blur(seen[None], rim // 2).clamp_min(1e-3))[0]
    x, y = place[0].abs(), place[1]
    inner = weight * ((regions == Region.FACE) & (x < 0.5) & (y > -0.75) & (y < -0.02))
    total = inner.sum().clamp_min(1)
    mean = (cues * inner).sum((1, 2), keepdim=True) / total
    spread = (((cues - mean).square() * inner).sum((1, 2), keepdim=True) / total).sqrt()
    allowed = torch.maximum(SPREADS * spread, torch.tensor(LEAST, device=spread.device)[:, None, None])
    odd = ((cues - mean).abs() > allowed).any(0, keepdim=True) & around
    gone = torch.maximum(odd * seen, (1 - seen) * around)
    keep = smoothstep(1 - 3 * box_blur(gone[None], rim, 1)[0])
    return weight * torch.where(around, keep, torch.ones_like(keep))


def around_the_face(regions: Tensor, place: Tensor) -> Tensor:
    """(T, T) bool: temples, upper forehead, sides and scalp, without the brows and the corners of the eyes."""
    x, y = place[0].abs(), place[1]
    brows = (x < 0.7) & (y > -0.2) & (y < 0.36)
    return ((x > 0.5) | (y > 0.45)) & ~brows & (regions != Region.EYES)


def _cues(albedo: Tensor) -> Tensor:
    """(3, T, T) -> (3, T, T): logarithm of brightness, (R - G) and (G - B) over the sum of the three."""
    brightness = (albedo * torch.tensor(LUMA, device=albedo.device)[:, None, None]).sum(0).clamp_min(0.01).log()
    red, green, blue = albedo.unbind(0)
    total = red + green + blue + 0.1
    return torch.stack([brightness, (red - green) / total, (green - blue) / total])
