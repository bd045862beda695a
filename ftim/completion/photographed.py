"""From albedo and light to ``Texture``: seen skin as it was photographed, over what was completed under its light."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.completion.fill import feather, region_atlas, region_groups
from ftim.render.shading import SHADING_FLOOR
from ftim.structures import PartialTexture, Texture
from ftim.uv import UvRenderer

BLEND = 1 / 128
"""Of the side: width over which seen skin gives way to what was completed."""


class PhotographedTexture:
    """The last step of every completion, so that all of them keep what was seen in the same way."""

    def __init__(self, uv_renderer: UvRenderer) -> None:
        self.blend = round(BLEND * uv_renderer.size)
        self._groups = region_groups(region_atlas(uv_renderer.model, uv_renderer.atlas))

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
        """(B, 1, T, T) of the photograph: 1 where skin was seen, falling to 0 towards what was not."""
        return feather(partial.visibility, self._groups.to(partial.visibility), self.blend) * partial.visibility
