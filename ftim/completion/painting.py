"""The paper's FTIM as it is described, and the simple image-to-image network of Table 2: the network paints the whole
texture, then the light is taken out (paper, 2.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.completion.bands import shrink_seen
from ftim.completion.base import check_sizes, delight
from ftim.completion.fill import feather, region_atlas, region_groups
from ftim.completion.ftim import BLEND, DARKEST, fit_parameters
from ftim.completion.network import TextureNetwork
from ftim.completion.settings import PaintingSettings
from ftim.filters import enlarge, shrink
from ftim.render.shading import SHADING_FLOOR
from ftim.structures import Fit, PartialTexture, Texture
from ftim.uv import UvRenderer


class PaintingCompletion:
    """A completion by a ``TextureNetwork`` that paints; differentiable in its weights."""

    def __init__(
        self,
        name: str,
        uv_renderer: UvRenderer,
        template: Tensor,
        network: TextureNetwork,
        settings: PaintingSettings,
        precision: torch.dtype = torch.float32,
    ) -> None:
        """As ``FtimCompletion``."""
        if network.settings != settings.network:
            raise ValueError("the network is not the one that these settings need")
        if template.shape[-1] % settings.size:
            raise ValueError(f"the texture's side must be a multiple of {settings.size}, got {template.shape[-1]}")
        self.name = name
        self.uv_renderer = uv_renderer
        self.template = template
        self.network = network
        self.settings = settings
        self.precision = precision
        self.scale = template.shape[-1] // settings.size
        atlas = region_atlas(uv_renderer.model, uv_renderer.atlas)
        self._groups = region_groups(atlas[:: self.scale, :: self.scale].contiguous())
        self._template = shrink(template[None], self.scale)[0]

    def __call__(self, partial: PartialTexture, fit: Fit) -> Texture:
        """The texture is the painted picture, with the seen skin over it where ``keep_seen``."""
        check_sizes(partial, fit, self.template)
        shading = self.uv_renderer.shading(fit).clamp_min(SHADING_FLOOR)
        picture = self._paint(partial, fit)
        if self.settings.lighting == "divide":
            albedo = delight(picture, shading)
        else:
            template = self.template.to(picture)
            albedo = picture - template * shading + template
        return Texture(picture, albedo.clamp_min(DARKEST), torch.ones_like(albedo))

    def _paint(self, partial: PartialTexture, fit: Fit) -> Tensor:
        color, weight = shrink_seen(partial.color, partial.confidence * partial.visibility, self.scale)
        maps = [color, shrink(partial.visibility, self.scale)]
        if self.settings.template_input:
            maps.append(self._template.to(color).expand_as(color))
        with torch.autocast(color.device.type, self.precision, enabled=self.precision != torch.float32):
            decoded = self.network(torch.cat(maps, 1), fit_parameters(fit))
        picture = enlarge(torch.sigmoid(decoded.free), self.scale)
        if not self.settings.keep_seen:
            return picture
        keep = feather(weight, self._groups.to(color.device), round(BLEND * self.settings.size))
        return torch.lerp(picture, partial.color, enlarge(keep, self.scale) * partial.visibility)
