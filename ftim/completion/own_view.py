"""The photograph's own view: skin as its camera saw it (docs/paper.md, S29)."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.completion.fill import feather, region_atlas, region_groups
from ftim.structures import PartialTexture, Texture
from ftim.uv import UvRenderer

BLEND = 1 / 128
"""Of the side: width over which seen skin gives way to the completed texture."""


class OwnView:
    """View-dependent texture (Debevec et al. 1996) for the one camera that took the photograph.

    Where a fit is off by a millimetre, skin seen under a steep angle is a smear from elsewhere, and a completion may
    give it up. From where it was photographed it is no smear: there every seen texel shows what the camera saw.
    """

    def __init__(self, uv_renderer: UvRenderer) -> None:
        self.blend = round(BLEND * uv_renderer.size)
        self._groups = region_groups(region_atlas(uv_renderer.model, uv_renderer.atlas))

    def __call__(self, texture: Texture, partial: PartialTexture) -> Tensor:
        """(B, 3, T, T) sRGB under the photograph's light: seen skin over the completed texture."""
        return torch.lerp(texture.texture, partial.color, self.kept(partial))

    def kept(self, partial: PartialTexture) -> Tensor:
        """(B, 1, T, T) the share of the photograph: 1 where skin was seen, falling to 0 towards what was not."""
        return feather(partial.visibility, self._groups.to(partial.visibility), self.blend) * partial.visibility
