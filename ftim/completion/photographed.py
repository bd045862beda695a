"""From albedo and light to ``Texture``: seen skin as it was photographed, over what was completed under its light."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.completion.fill import feather, region_atlas, region_groups
from ftim.morphable.model import MorphableModel, Region
from ftim.regressors.rotation import axis_angle_to_matrix
from ftim.render.rasterizer import Rasterizer
from ftim.render.shading import SHADING_FLOOR
from ftim.structures import Camera, PartialTexture, Texture
from ftim.uv import UvRenderer

BLEND = 1 / 128
"""Of the side: width over which seen skin gives way to what was completed."""
YAWS, PITCHES = (-60, -30, 0, 30, 60), (-25, 0, 25)
"""Degrees: skin of the neutral head that none of these views shows is folded away, as inside the lips."""


class PhotographedTexture:
    """The last step of every completion, so that all of them keep what was seen in the same way."""

    def __init__(self, uv_renderer: UvRenderer) -> None:
        self.blend = round(BLEND * uv_renderer.size)
        self._groups = region_groups(region_atlas(uv_renderer.model, uv_renderer.atlas))
        folded = folded_triangles(uv_renderer.model, uv_renderer.rasterizer)
        atlas = uv_renderer.atlas
        self._folded = atlas.image(folded[atlas.face].float()[None, :, None])[0]

    def __call__(
        self, partial: PartialTexture, albedo: Tensor, shading: Tensor, residual: Tensor | None = None
    ) -> Texture:
        """The whole texture of a photograph.

        Args:
            partial: what the camera saw (B, at T x T).
            albedo: (B, 3, T, T), complete.
            shading: (B, 3, T, T) of the fit, ``UvRenderer.shading``.
            residual: (B, 3, T, T) positive; ones by default.
        """
        residual = torch.ones_like(albedo) if residual is None else residual
        completed = albedo * shading.clamp_min(SHADING_FLOOR) * residual
        return Texture(torch.lerp(completed, partial.color, self.share(partial)), albedo, residual)

    @torch.no_grad()
    def share(self, partial: PartialTexture) -> Tensor:
        """(B, 1, T, T) of the photograph: 1 where skin was seen, falling to 0 towards what was not.

        Skin that is folded away is no end of what was seen: nobody sees the step to it.
        """
        groups, folded = self._groups.to(partial.visibility), self._folded.to(partial.visibility)
        shares = [
            feather(seen, groups * (1 - folded * (1 - seen[0])), self.blend) for seen in partial.visibility.split(1)
        ]
        return torch.cat(shares) * partial.visibility


def folded_triangles(model: MorphableModel, rasterizer: Rasterizer, side: int = 448) -> Tensor:
    """(F,) bool: triangles of the neutral face that no view of ``YAWS`` and ``PITCHES`` shows a pixel of."""
    device = model.template.device
    poses = torch.tensor([(pitch, yaw) for yaw in YAWS for pitch in PITCHES], device=device).deg2rad()
    none = torch.zeros_like(poses[:, 0])
    pitched = axis_angle_to_matrix(torch.stack([poses[:, 0], none, none], 1))
    rotations = pitched @ axis_angle_to_matrix(torch.stack([none, poses[:, 1], none], 1))
    points = model.template @ rotations.mT + model.template.new_tensor([0.0, 0.0, -0.6])
    count = len(rotations)
    middle = model.template.new_full((count, 2), side / 2)
    camera = Camera(model.template.new_full((count,), 2.2 * side), middle, side, side)
    seen = rasterizer(camera.project(points), model.triangles, side, side).face
    shown = torch.zeros(len(model.triangles), dtype=torch.bool, device=device)
    shown[seen[seen >= 0]] = True
    return ~shown & (model.regions == int(Region.FACE))
