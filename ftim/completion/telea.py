"""Fill by Telea's fast-marching inpainting inside the atlas: what plain image processing reaches."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ftim.completion.base import check_sizes, delight, picture_by_picture
from ftim.completion.fill import close_gaps, feather, over, region_atlas, region_groups, smooth_ratio, smoothstep
from ftim.completion.photographed import PhotographedTexture
from ftim.morphable.model import MorphableModel
from ftim.structures import Fit, PartialTexture, Texture
from ftim.uv import UvRenderer


@dataclass(frozen=True)
class TeleaSettings:
    """Lengths are shares of the atlas side."""

    radius: float = 1 / 128
    """Neighbourhood of the inpainting."""
    near: float = 1 / 24
    """Up to this distance from a seen texel the inpainting is used alone ..."""
    far: float = 1 / 8
    """... and from this distance on the template alone."""
    feather: float = 1 / 64
    """Width over which the seen texels give way to the filling."""


class TeleaCompletion:
    """Telea 2004, "An image inpainting technique based on the fast marching method", on the albedo.

    Only skin grows into skin; eyes and mouth interior, and what lies far from everything seen, come from the
    template in the colours of the photograph. Runs on the CPU whatever the device of the input.
    """

    name = "telea"

    def __init__(
        self,
        model: MorphableModel,
        uv_renderer: UvRenderer,
        template: Tensor,
        settings: TeleaSettings = TeleaSettings(),
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

        shading = self.uv_renderer.shading(fit)
        seen = delight(partial.color, shading)
        alpha = feather(partial.confidence * partial.visibility, groups, round(self.settings.feather * size))
        template = self.template.to(partial.color).expand_as(seen)
        ground = template * smooth_ratio(seen, template, alpha, groups, detail=round(size / 64))

        skin = groups[0].cpu().numpy() > 0
        painted, share = zip(*(self._inpaint(s, a, skin) for s, a in zip(seen, alpha, strict=True)), strict=True)
        layer = torch.stack(painted).to(seen)
        albedo = over([(seen, alpha), (layer, torch.stack(share).to(seen))], ground)
        return self.photographed(partial, close_gaps(albedo, atlas), shading)

    def _inpaint(self, albedo: Tensor, alpha: Tensor, skin: np.ndarray) -> tuple[Tensor, Tensor]:
        """(3, T, T), (1, T, T) and skin (T, T) -> inpainted (3, T, T) and how much of it to use (1, T, T)."""
        size = albedo.shape[-1]
        known = (alpha[0].cpu().numpy() > 0.5) & skin
        if not known.any():
            return albedo, torch.zeros_like(alpha)
        image = albedo.permute(1, 2, 0).cpu().numpy()
        top = max(float(image[known].max()), 1e-3)
        coded = (np.clip(image / top, 0, 1) * 255 + 0.5).astype(np.uint8)
        distance = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5) / size
        hole = ~known & skin & (distance < self.settings.far)
        coded[~known & ~hole] = _flood(coded, known)[~known & ~hole]
        painted = cv2.inpaint(coded, hole.astype(np.uint8) * 255, round(self.settings.radius * size), cv2.INPAINT_TELEA)
        reach = torch.from_numpy((self.settings.far - distance) / (self.settings.far - self.settings.near))
        share = smoothstep(reach.float()) * torch.from_numpy(skin).float()
        return torch.from_numpy(painted).permute(2, 0, 1).float() / 255 * top, share[None]


def _flood(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(T, T, 3) uint8 with each unknown texel given the colour of the nearest known one."""
    unknown = (~known).astype(np.uint8)
    _, label = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    colour_of = np.zeros((label.max() + 1, 3), np.uint8)
    colour_of[label[known]] = image[known]
    return colour_of[label]
