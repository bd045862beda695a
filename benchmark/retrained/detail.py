"""Shading of a displaced surface: bumps of the skin turn its normals (Blinn 1978), as in DECA, eq. 9 and 10."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.morphable.model import MorphableModel
from ftim.render.atlas import Atlas
from ftim.render.pose import pose_head
from ftim.render.shading import shade
from ftim.structures import Fit


class DetailShading:
    """Displacement along the normal, as a map of the atlas -> what the light makes of the surface."""

    def __init__(self, model: MorphableModel, atlas: Atlas) -> None:
        self.model = model
        self.atlas = atlas
        self._grey = model.openings[atlas.face][None]
        corners = model.uv[model.uv_triangles].double()
        edges = corners[:, 1:] - corners[:, :1]
        area = torch.linalg.det(edges)
        flat = area.abs() < 1e-12  # triangles without an extent in the map: no texel shows them
        edges = torch.where(flat[:, None, None], torch.eye(2, dtype=torch.float64, device=edges.device), edges)
        self._per_uv = torch.linalg.inv(edges).to(model.template.dtype)[atlas.face]

    def __call__(self, fit: Fit, displacement: Tensor) -> Tensor:
        """(B, 3, T, T) factor of the albedo; 1 where the map is empty.

        With n the smooth normal, p(u, v) the surface and d(u, v) the displacement in metres, the normal becomes that of
        p + d n, where d is small beside the curvature's radius:

            n' ~ |p_u x p_v| n + s (d_u (n x p_v) + d_v (p_u x n)),  s the map's handedness

        Args:
            fit: of B pictures.
            displacement: (B, 1, T, T) metres. Gradients reach it and the light.
        """
        atlas = self.atlas
        head = pose_head(self.model, fit)
        normals = F.normalize(atlas.spread(head.normals), dim=-1)
        a, b, c = head.vertices[:, self.model.triangles[atlas.face]].unbind(2)
        along_u, along_v = (self._per_uv @ torch.stack([b - a, c - a], 2)).unbind(2)
        across = torch.linalg.cross(along_u, along_v)
        handedness = torch.sign((across * normals).sum(-1, keepdim=True))
        slope_u, slope_v = slopes(displacement)
        slope_u, slope_v = (item.flatten(1)[:, atlas.texel, None] for item in (slope_u, slope_v))
        turned = slope_u * torch.linalg.cross(normals, along_v) + slope_v * torch.linalg.cross(along_u, normals)
        bumpy = F.normalize(across.norm(dim=-1, keepdim=True) * normals + handedness * turned, dim=-1)
        return atlas.image(shade(bumpy, fit.light, self._grey), empty=1.0)


def slopes(displacement: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 1, T, T) -> change a unit of u, and of v: central differences, each (B, 1, T, T)."""
    padded = F.pad(displacement, (1, 1, 1, 1), mode="replicate")
    half = displacement.shape[-1] / 2
    right, left = padded[:, :, 1:-1, 2:], padded[:, :, 1:-1, :-2]
    down, up = padded[:, :, 2:, 1:-1], padded[:, :, :-2, 1:-1]
    return (right - left) * half, (down - up) * half
