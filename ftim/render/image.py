"""Image Render: texture and fit -> the head drawn into the crop, over the photograph."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.filters import box_blur
from ftim.morphable.model import MorphableModel, Region
from ftim.render.interpolate import differentiable_barycentrics, interpolate
from ftim.render.lookup import look_up
from ftim.render.pose import pose_head
from ftim.render.rasterizer import Rasterizer
from ftim.render.shading import shade
from ftim.render.surface import RasterizedHead, rasterize_head
from ftim.render.visibility import grow
from ftim.structures import Face, Fit, Rendering, learns

FACE_REGIONS: tuple[Region, ...] = (Region.FACE, Region.EYES, Region.TEETH, Region.TONGUE, Region.MOUTH)
"""The face up to the hair line, with all that is inside it."""


NOTCH = 2
"""Pixels. Gaps up to twice as wide in the drawn part of the head are closed."""
STRIP = 256
"""Rows of a photograph that are worked on at once: a large one needs no more memory than a small one."""


class ImageRenderer:
    """Draws textured heads of one model."""

    def __init__(
        self, model: MorphableModel, rasterizer: Rasterizer, regions: tuple[Region, ...] = FACE_REGIONS
    ) -> None:
        """Parts of the head outside ``regions`` hide what is behind them and are not drawn."""
        self.model = model
        self.rasterizer = rasterizer
        self._drawn = model.part_of(regions)

    def draws(self, face: Tensor) -> Tensor:
        """(...) triangles, all >= 0 -> (...) bool: whether they belong to what is drawn."""
        return self._drawn[face]

    @torch.no_grad()
    def shows(self, fit: Fit, regions: tuple[Region, ...], head: RasterizedHead | None = None) -> Tensor:
        """(B, 1, H, W), 1 where the picture of the fit's camera shows one of these parts of the head.

        ``head`` is of this fit, when it was rasterised already.
        """
        fragments = (head or rasterize_head(self.model, self.rasterizer, fit)).fragments
        shown = self.model.part_of(regions)[fragments.face.clamp(min=0)] & fragments.covered
        return shown[:, None].to(fit.light.dtype)

    def __call__(
        self,
        albedo: Tensor,
        fit: Fit,
        photo: Tensor,
        skin: Tensor | None = None,
        offsets: Tensor | None = None,
        head: RasterizedHead | None = None,
    ) -> Rendering:
        """Draw an albedo under the fit's light: image = albedo x shading.

        Args:
            albedo: (B, 3, T, T) sRGB in [0, 1], every texel filled.
            fit: of B pictures. ``fit.camera`` sets the size; ``dataclasses.replace`` it to draw larger or elsewhere.
            photo: (B, 3, H, W) in [0, 1], of the camera's size: what the overlay is laid over.
            skin: (B, 1, H, W) in [0, 1], restricts the mask further: where hair or glasses are not to be covered.
            offsets: (B, V, 3) metres, head space: shape that the model does not hold, added to its vertices.
            head: of one fit (and its offsets), when it was rasterised already.

        Returns:
            Picture, mask and overlay. Gradients reach the albedo, the light and the geometry.
        """
        return self._draw(albedo, fit, photo, skin, offsets, head, lit=True)

    def draw_lit(
        self,
        texture: Tensor,
        fit: Fit,
        photo: Tensor,
        skin: Tensor | None = None,
        offsets: Tensor | None = None,
        head: RasterizedHead | None = None,
    ) -> Rendering:
        """As ``__call__`` for a texture that holds the light already, such as ``Texture.texture``: no shading."""
        return self._draw(texture, fit, photo, skin, offsets, head, lit=False)

    def _draw(
        self,
        texture: Tensor,
        fit: Fit,
        photo: Tensor,
        skin: Tensor | None,
        offsets: Tensor | None,
        head: RasterizedHead | None,
        lit: bool,
    ) -> Rendering:
        height, width = fit.camera.height, fit.camera.width
        for name, tensor, channels in (("photo", photo, 3), ("skin", skin, 1)):
            if tensor is not None and tensor.shape != (len(fit), channels, height, width):
                expected = (len(fit), channels, height, width)
                raise ValueError(f"{name} must be {expected} as the fit's camera, got {tuple(tensor.shape)}")
        if texture.ndim != 4 or texture.shape[:2] != (len(fit), 3):
            raise ValueError(f"texture must be ({len(fit)}, 3, T, T), got {tuple(texture.shape)}")
        if texture.device.type != "cpu" or learns(texture, fit, photo, skin, offsets):
            return self.draw_whole(texture, fit, photo, skin, offsets, lit)
        parts = []
        for number in range(len(fit)):
            one = slice(number, number + 1)
            moved, shown = (None if value is None else value[one] for value in (offsets, skin))
            here = head or rasterize_head(self.model, self.rasterizer, fit[one], moved)
            parts.append(self._draw_listed(texture[one], fit.light[one] if lit else None, photo[one], shown, here))
        return Rendering.concatenate(parts)

    @torch.no_grad()
    def _draw_listed(
        self, texture: Tensor, light: Tensor | None, photo: Tensor, skin: Tensor | None, head: RasterizedHead
    ) -> Rendering:
        """One picture: the pixels that are drawn, and no others, are looked up and shaded."""
        surface = head.surface
        drawn = np.zeros(surface.height * surface.width, np.float32)
        drawn[surface.pixel[self._drawn[surface.face]].numpy()] = 1
        square = np.ones((2 * NOTCH + 1, 2 * NOTCH + 1), np.uint8)
        closed = cv2.morphologyEx(drawn.reshape(surface.height, surface.width), cv2.MORPH_CLOSE, square)
        mask = torch.from_numpy(closed)[None, None] * head.fragments.covered[:, None]
        if skin is not None:
            mask = mask * skin
        surface = surface.where(mask.flatten()[surface.pixel] > 0)
        color = surface.look_up(texture[0])
        if light is not None:
            normals = F.normalize(surface.at_vertices(head.posed.normals[0], self.model.triangles), dim=1)
            color = color * shade(normals[None], light, self.model.openings[surface.face][None])[0].T
        image = surface.picture(color.clamp(0, 1))
        return Rendering(image=image, mask=mask, overlay=torch.lerp(photo, image, soften(mask)))

    def draw_whole(
        self, texture: Tensor, fit: Fit, photo: Tensor, skin: Tensor | None, offsets: Tensor | None, lit: bool
    ) -> Rendering:
        """As ``__call__`` or ``draw_lit`` for all pixels at once, with gradients, on any device: the slow twin."""
        height, width = fit.camera.height, fit.camera.width
        head = pose_head(self.model, fit, offsets)
        triangles = self.model.triangles
        fragments = self.rasterizer(head.positions, triangles, height, width)
        if head.positions.requires_grad:
            weights = differentiable_barycentrics(fragments, head.positions, triangles)
            fragments = replace(fragments, barycentric=weights)
        uv = interpolate(fragments, self.model.uv[None], self.model.uv_triangles)
        color = look_up(texture, uv, fragments.covered)
        if lit:
            normals = F.normalize(interpolate(fragments, head.normals, triangles), dim=1)
            grey = self.model.openings[fragments.face.clamp(min=0)] & fragments.covered
            color = color * shade(normals.permute(0, 2, 3, 1), fit.light, grey).permute(0, 3, 1, 2)
        drawn = (self._drawn[fragments.face.clamp(min=0)] & fragments.covered)[:, None].to(color.dtype)
        # Regions end at triangles, in a zigzag: notches of a pixel or two are drawn too, where they show the head.
        closed = 1 - grow(1 - grow(drawn, NOTCH), NOTCH)
        mask = closed * fragments.covered[:, None]
        if skin is not None:
            mask = mask * skin
        image = color.clamp(0, 1) * (mask > 0)
        return Rendering(image=image, mask=mask, overlay=torch.lerp(photo, image, soften(mask)))


def soften(mask: Tensor) -> Tensor:
    """(B, 1, H, W) in [0, 1] -> same: the mask with an edge that fades to 0 inside it, never outside. No gradient."""
    with torch.no_grad():
        shrunk = 1 - grow(1 - mask)
        return torch.minimum(box_blur(shrunk, 1, 1), mask)


def paste_back(photo: np.ndarray, face: Face, rendering: Rendering) -> np.ndarray:
    """Lay a rendered crop over the photograph that it was cut from.

    Args:
        photo: (H, W, 3) uint8 RGB.
        face: batch of one; says where the crop lies.
        rendering: batch of one, of any size: drawn with ``fit.camera.resized`` it can be as sharp as the photograph.

    Returns:
        (H, W, 3) uint8, a new array; outside the (softened) mask its pixels are the photograph's.
    """
    if len(face) != 1 or len(rendering) != 1:
        raise ValueError(f"one face and one rendering expected, got {len(face)} and {len(rendering)}")
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise ValueError(f"photo must be (H, W, 3) uint8, got {photo.shape} {photo.dtype}")
    scale, left, top = face.crop_to_photo[0].tolist()
    side = scale * face.image.shape[-1]
    alpha = soften(rendering.mask)
    # Colour is weighted by its opacity before it is resampled, or the black outside the mask would bleed in.
    layer = torch.cat([rendering.image * alpha, alpha], dim=1).detach().cpu()
    if side < layer.shape[-1]:
        layer = F.interpolate(layer, size=(max(1, round(side)),) * 2, mode="bilinear", antialias=True)
    rows = slice(max(0, math.floor(top)), min(photo.shape[0], math.ceil(top + side)))
    columns = slice(max(0, math.floor(left)), min(photo.shape[1], math.ceil(left + side)))
    pasted = photo.copy()
    if columns.start >= columns.stop:
        return pasted
    x = (torch.arange(columns.start, columns.stop) + 0.5 - left) / side * 2 - 1
    for start in range(rows.start, rows.stop, STRIP):
        strip = slice(start, min(start + STRIP, rows.stop))
        y = (torch.arange(strip.start, strip.stop) + 0.5 - top) / side * 2 - 1
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None]
        here = F.grid_sample(layer, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        color, alpha = here[0, :3].permute(1, 2, 0), here[0, 3:].permute(1, 2, 0)
        below = torch.from_numpy(pasted[strip, columns].copy())
        blended = color * 255 + below * (1 - alpha)
        pasted[strip, columns] = torch.where(alpha > 0, blended.round().clamp(0, 255), below).to(torch.uint8).numpy()
    return pasted
