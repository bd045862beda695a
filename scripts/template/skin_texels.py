"""Which texels of an unwrapped photograph show something else in the place of skin: hair, or teeth between lips."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.completion.fill import box_blur, smoothstep
from ftim.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from ftim.morphable.model import MorphableModel, Region
from scripts.template.fill import LUMA, Texels

SPREADS = 2.2
"""Skin of the temples and the forehead lies within so many standard deviations of this person's inner face."""
LEAST = (0.22, 0.02, 0.02)
"""The same at least: logarithm of brightness, and two chromaticities."""
CLOSED = 0.045
"""Lips that are less far apart, in outer eye distances, show no teeth."""
UPPER_LIP, LOWER_LIP = 13, 14
"""The middle of the lips' inner rims in MediaPipe's face mesh."""
RIM = 4
"""Texels of a map of 512 by which hair, and the end of what was seen, reach beyond themselves."""


def without_hair(albedo: Tensor, weight: Tensor, atlas: Texels) -> Tensor:
    """The weights, 0 where the albedo is not like this person's cheeks and nose around the face.

    Beards, brows and lashes lie in the face and stay. Outside it whatever differs is taken for hair, or for the light
    that the fit did not explain there: others show that skin better.

    Args:
        albedo: (3, T, T) where weight is above 0.
        weight: (1, T, T) at least 0.
        atlas: of the same T.
    """
    around = around_the_face(atlas)[None]
    seen = (weight > 0).float()
    cues = _blurred(_cues(albedo), seen)
    x, y = atlas.place[0].abs(), atlas.place[1]
    inner = weight * ((atlas.regions == Region.FACE) & (x < 0.5) & (y > -0.75) & (y < -0.02))
    total = inner.sum().clamp_min(1)
    mean = (cues * inner).sum((1, 2), keepdim=True) / total
    spread = (((cues - mean).square() * inner).sum((1, 2), keepdim=True) / total).sqrt()
    allowed = torch.maximum(SPREADS * spread, torch.tensor(LEAST)[:, None, None])
    odd = ((cues - mean).abs() > allowed).any(0, keepdim=True) & around
    gone = torch.maximum(odd * seen, (1 - seen) * around)
    keep = smoothstep(1 - 3 * box_blur(gone[None], RIM, 1)[0])
    return weight * torch.where(around, keep, torch.ones_like(keep))


def lips_gap(model: MorphableModel, identity: Tensor, expression: Tensor) -> Tensor:
    """(B, K), (B, E) -> (B,): how far the lips are apart, in outer eye distances."""
    points = model.landmarks(model.vertices(identity, expression))
    apart = (points[:, UPPER_LIP] - points[:, LOWER_LIP]).norm(dim=1)
    return apart / (points[:, RIGHT_EYE_OUTER] - points[:, LEFT_EYE_OUTER]).norm(dim=1)


def without_mouth(weight: Tensor, atlas: Texels) -> Tensor:
    """The weights, 0 on and around the lips: of a smile, whose teeth a fit that is off by a millimetre takes for lips.

    Args:
        weight: (1, T, T). atlas: of the same T.
    """
    x, y = atlas.place[0].abs(), atlas.place[1]
    mouth = ((x < 0.36) & (y > -1.0) & (y < -0.66))[None, None].float()
    return weight * (1 - box_blur(mouth, 2 * RIM)[0])


def around_the_face(atlas: Texels) -> Tensor:
    """(T, T) bool: temples, upper forehead, sides and scalp, without the brows and the corners of the eyes."""
    x, y = atlas.place[0].abs(), atlas.place[1]
    brows = (x < 0.7) & (y > -0.2) & (y < 0.36)
    return ((x > 0.5) | (y > 0.45)) & ~brows & (atlas.regions != Region.EYES)


def _cues(albedo: Tensor) -> Tensor:
    """(3, T, T) -> (3, T, T): logarithm of brightness, (R - G) and (G - B) over the sum of the three."""
    brightness = (albedo * torch.tensor(LUMA)[:, None, None]).sum(0).clamp_min(0.01).log()
    red, green, blue = albedo.unbind(0)
    total = red + green + blue + 0.1
    return torch.stack([brightness, (red - green) / total, (green - blue) / total])


def _blurred(values: Tensor, seen: Tensor) -> Tensor:
    return (box_blur((values * seen)[None], 2) / box_blur(seen[None], 2).clamp_min(1e-3))[0]
