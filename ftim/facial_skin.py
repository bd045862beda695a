"""The facial skin of a head as points with areas: what is averaged over it needs no map and no rasteriser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from ftim.morphable import MorphableModel, Region
from ftim.render.pose import PosedHead
from ftim.render.visibility import triangle_cosines


@dataclass(frozen=True)
class FacialSkin:
    """The centres of the N triangles of ``Region.FACE``: skin, brows and lips, no eyes and no teeth."""

    triangles: Tensor
    """(N, 3) vertices."""
    uv: Tensor
    """(N, 2) in [0, 1]."""
    area: Tensor
    """(N,) of the template's skin; the sum is 1."""
    place: Tensor
    """(N, 2) right and up of the middle between the eyes, in outer eye distances of the template."""

    @classmethod
    def of(cls, model: MorphableModel) -> Self:
        """That of a model, on its device."""
        facial = model.regions == int(Region.FACE)
        triangles = model.triangles[facial]
        a, b, c = model.template[triangles].unbind(1)
        area = torch.linalg.cross(b - a, c - a).norm(dim=1)
        eyes = model.landmarks(model.template[None])[0, [RIGHT_EYE_OUTER, LEFT_EYE_OUTER]]
        place = ((a + b + c) / 3 - eyes.mean(0)) / (eyes[1] - eyes[0]).norm()
        return cls(triangles, model.uv[model.uv_triangles[facial]].mean(1), area / area.sum(), place[:, :2])

    def in_map(self, texture: Tensor) -> Tensor:
        """(1, C, T, T) a map -> (C, N) what it says at the points."""
        return _lookup(texture, self.uv * 2 - 1)

    def in_picture(self, picture: Tensor, head: PosedHead) -> Tensor:
        """(1, C, H, W) of the head's camera -> (C, N) what it shows where the points fall, hidden ones too."""
        height, width = picture.shape[-2:]
        pixels = head.positions[0, self.triangles, :2].mean(1)
        return _lookup(picture, pixels / pixels.new_tensor([width, height]) * 2 - 1)

    def normals(self, head: PosedHead) -> Tensor:
        """(N, 3) unit vectors in camera space."""
        return F.normalize(head.normals[0, self.triangles].mean(1), dim=-1)

    def cosines(self, head: PosedHead) -> Tensor:
        """(N,) of the angle between the skin and the way to the camera."""
        return triangle_cosines(head.vertices, self.triangles)[0]


def _lookup(image: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(image, grid[None, :, None], padding_mode="border", align_corners=False)[0, :, :, 0]
