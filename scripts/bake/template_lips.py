"""Which texels of an unwrapped photograph show teeth in the place of lips."""

from __future__ import annotations

from torch import Tensor

from ftim.filters import box_blur
from ftim.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from ftim.morphable.model import MorphableModel
from scripts.bake.template_fill import Texels

CLOSED = 0.045
"""Lips that are less far apart, in outer eye distances, show no teeth."""
UPPER_LIP, LOWER_LIP = 13, 14
"""The middle of the lips' inner rims in MediaPipe's face mesh."""
RIM = 8
"""Texels of a map of 512 over which the weights fall to 0."""


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
    return weight * (1 - box_blur(mouth, RIM)[0])
