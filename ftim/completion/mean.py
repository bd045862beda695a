"""The lower bar: everybody has the same skin, under the light of the photograph."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.completion.base import check_sizes
from ftim.render.shading import SHADING_FLOOR
from ftim.structures import Fit, PartialTexture, Texture
from ftim.uv import UvRenderer


class MeanCompletion:
    """The template albedo everywhere; nothing of the photograph but the light that was fitted to it."""

    name = "mean"

    def __init__(self, uv_renderer: UvRenderer, template: Tensor) -> None:
        """Args: ``template`` (3, T, T) albedo at the side of ``uv_renderer``."""
        self.uv_renderer = uv_renderer
        self.template = template

    def __call__(self, partial: PartialTexture, fit: Fit) -> Texture:
        check_sizes(partial, fit, self.template)
        template = self.template.to(partial.color)
        albedo = template.expand_as(partial.color).clone()
        shading = self.uv_renderer.shading(fit).clamp_min(SHADING_FLOOR)
        return Texture(albedo * shading, albedo, torch.ones_like(albedo))
