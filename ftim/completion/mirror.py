"""Fill one half of the face from the other, and the rest from the template in the colours of the photograph."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ftim.completion.base import check_sizes, delight, picture_by_picture
from ftim.completion.fill import region_atlas, region_groups
from ftim.completion.layers import build_layers
from ftim.completion.photographed import PhotographedTexture
from ftim.morphable.model import MorphableModel
from ftim.structures import Fit, PartialTexture, Texture
from ftim.uv import UvRenderer


@dataclass(frozen=True)
class MirrorSettings:
    """Lengths are shares of the atlas side."""

    feather: float = 1 / 64
    """Width over which one layer gives way to the next."""
    detail: float = 1 / 64
    """Colour corrections vary no faster than over this length."""


class MirrorCompletion:
    """Seen texels, then the seen texels of the other side mirrored, then the template; each fitted in colour.

    Works on albedo: the fitted light is taken out, each filling layer is multiplied by a smooth factor that
    brings it to the colours seen around it, and the light is put back.
    """

    name = "mirror"

    def __init__(
        self,
        model: MorphableModel,
        uv_renderer: UvRenderer,
        template: Tensor,
        settings: MirrorSettings = MirrorSettings(),
    ) -> None:
        """Args: ``template`` (3, T, T) albedo at the side of ``uv_renderer``."""
        self.uv_renderer = uv_renderer
        self.template = template
        self.settings = settings
        self.atlas = region_atlas(model, uv_renderer.atlas)
        self.groups = region_groups(self.atlas)
        self.photographed = PhotographedTexture(uv_renderer)

    def __call__(self, partial: PartialTexture, fit: Fit) -> Texture:
        check_sizes(partial, fit, self.template)
        return picture_by_picture(self._complete, partial, fit)

    def _complete(self, partial: PartialTexture, fit: Fit) -> Texture:
        device = partial.color.device
        size = self.template.shape[-1]
        atlas, groups = self.atlas.to(device), self.groups.to(device)
        blend, detail = round(self.settings.feather * size), round(self.settings.detail * size)

        shading = self.uv_renderer.shading(fit)
        seen = delight(partial.color, shading)
        weight = partial.confidence * partial.visibility
        layers = build_layers(seen, weight, self.template, atlas, groups, blend, detail)
        return self.photographed(partial, layers.albedo, shading)
