"""What the acceptance of a completion measures: empty texels, seams, and light left in the albedo."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from ftim.morphable import MorphableModel, Region
from ftim.render.image import ImageRenderer
from ftim.render.visibility import grow
from ftim.skin.geometry import LEFT_EYE, LIPS, RIGHT_EYE, grown
from ftim.structures import Face, Fit, PartialTexture, Texture
from ftim.training.sampling import turn
from ftim.uv import UvRenderer

BAND = 2
"""Texels on each side of a border that belong to it."""
AROUND = 12
"""Texels on each side of a border that are its surroundings."""
EMPTY = 0.005
"""Albedo in all channels up to which a made-up texel counts as empty."""
MIN_TEXELS = 200
"""A border, its surroundings, or an area with fewer says nothing."""
MIDDLE = (0.0, -0.01, -0.07)
"""Metres, in head space: about where the skull turns."""
NOSTRILS = (48, 64, 98, 97, 2, 326, 327, 294, 278, 1)
"""Landmarks around the underside of the nose, in MediaPipe's face mesh."""
RIM = 1 / 64
"""Of the side: how far lids, lips and nostrils reach beyond their landmarks."""
WHITE_SHARE = 0.99
"""A synthetic photograph is exposed so that this share of the head is not clipped."""


@dataclass(frozen=True)
class Seam:
    """The step across a border over the step in the skin around it: see ``seam_ratio``."""

    ratio: float
    """Of the completed texture."""
    control: float
    """Of a texture without a seam, at the same border: what the shape of the face alone gives."""


class Studio:
    """Takes synthetic photographs of one model's heads."""

    def __init__(self, uv_renderer: UvRenderer) -> None:
        model, rasterizer = uv_renderer.model, uv_renderer.rasterizer
        self.uv = uv_renderer
        self.face = ImageRenderer(model, rasterizer)
        self.head = ImageRenderer(model, rasterizer, tuple(Region))

    def photograph(self, albedo: Tensor, fit: Fit) -> PartialTexture:
        """What a camera sees of a face with this albedo (1, 3, T, T), in the pose and light of the fit.

        The whole head is drawn, so that no background shines in at the rim of the face, which alone is unwrapped.
        """
        paper = albedo.new_ones(1, 3, fit.camera.height, fit.camera.width)
        return self.uv(self.head(albedo, fit, paper).image, fit, self.face(albedo, fit, paper).mask)

    def relit(self, face: Face, fit: Fit, light: Tensor) -> Face:
        """The photograph (batch of one) under another light (1, 9, 3): the head times new over fitted shading.

        It is exposed anew, darker where it would be too bright; hardly a pixel of the head is clipped.
        """
        # The renderer clips at 1: a dark head leaves room for bright light, and the ratio is the same.
        grey = face.image.new_full((1, 3, 8, 8), 0.2)
        before, after = (self.head(grey, item, face.image) for item in (fit, replace(fit, light=light)))
        drawn = before.mask > 0.5
        image = torch.where(drawn, face.image * after.image / before.image.clamp_min(1e-3), face.image)
        bright = torch.quantile(image[drawn.expand_as(image)], WHITE_SHARE) if drawn.any() else image.new_ones(())
        return replace(face, image=(image / bright.clamp_min(1)).clamp(0, 1))


def turned(fit: Fit, yaw: float) -> Fit:
    """The fit (batch of one) seen from straight ahead, then turned by degrees about the middle of the skull."""
    rotation = turn(yaw).to(fit.rotation)[None]
    middle = fit.rotation.new_tensor(MIDDLE)
    depth = (fit.rotation @ middle + fit.translation)[:, 2]
    centre = torch.stack([torch.zeros_like(depth), torch.zeros_like(depth), depth], -1)
    camera = replace(fit.camera, principal=fit.camera.principal.new_tensor([[fit.camera.width, fit.camera.height]]) / 2)
    return replace(fit, rotation=rotation, translation=centre - rotation @ middle, camera=camera)


def empty_texels(texture: Texture, visibility: Tensor, charts: Tensor) -> int:
    """Texels of the charts (1, 1, T, T) bool that are not finite, or made up and black."""
    finite = torch.isfinite(texture.albedo).all(1, keepdim=True) & torch.isfinite(texture.texture).all(1, keepdim=True)
    black = (texture.albedo <= EMPTY).all(1, keepdim=True) & (visibility == 0)
    return int(((~finite | black) & charts).sum())


def features(model: MorphableModel, size: int) -> Tensor:
    """(1, 1, T, T) bool: lids, lips and nostrils. Skin hides itself there, and has edges of its own."""
    corners = model.uv[model.uv_triangles[model.landmark_triangles]]
    places = (corners * model.landmark_barycentrics[:, :, None]).sum(1).cpu().numpy() * size
    mask = np.zeros((size, size), np.uint8)
    for outline in (LEFT_EYE, RIGHT_EYE, LIPS, NOSTRILS):
        # OpenCV counts from pixel centres, in 1/16 pixel here.
        points = np.round((places[list(outline)] - 0.5) * 16).astype(np.int32)
        cv2.fillConvexPoly(mask, cv2.convexHull(points), 1, shift=4)
    return torch.from_numpy(grown(mask > 0, RIM * size))[None, None]


def seam_ratio(texture: Tensor, known: Tensor, skin: Tensor) -> float | None:
    """Mean luminance step across a border, over the mean step in the skin around it.

    Args:
        texture: (1, 3, T, T), complete.
        known: (1, 1, T, T) 0 or 1: on one side of the border seen, on the other made up.
        skin: (1, 1, T, T) bool: where a seam would show; steps that leave it do not count.

    Returns:
        The ratio, over steps to the right and down; None where the border or its surroundings are too short.
    """
    luminance = (texture * texture.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    border = torch.zeros_like(known)
    for axis in (-1, -2):
        first, second = _pairs(known, axis)
        one, other = _pairs(skin, axis)
        cut = ((first != second) & one & other).to(border)
        for start in (0, 1):
            part = border.narrow(axis, start, cut.shape[axis])
            part.copy_(torch.maximum(part, cut))
    around = skin & (grow(border, AROUND) > 0) & (grow(border, BAND) == 0)
    across, beside = [], []
    for axis in (-1, -2):
        dark, light = _pairs(luminance, axis)
        step = (dark - light).abs()
        first, second = _pairs(known, axis)
        one, other = _pairs(skin, axis)
        across.append(step[(first != second) & one & other])
        one, other = _pairs(around, axis)
        beside.append(step[one & other])
    steps, surroundings = torch.cat(across), torch.cat(beside)
    if min(len(steps), len(surroundings)) < MIN_TEXELS:
        return None
    return float(steps.mean() / surroundings.mean().clamp_min(1e-9))


def _pairs(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Each texel but the last, and its neighbour, along an axis."""
    count = values.shape[axis] - 1
    return values.narrow(axis, 0, count), values.narrow(axis, 1, count)


def worst_seam(texture: Tensor, control: Tensor, partial: PartialTexture, skin: Tensor) -> Seam | None:
    """The larger ratio of two borders: of what was seen, and of where its weight is one half.

    Args:
        texture: (1, 3, T, T), complete. control: the same without a seam.
        partial: what was completed.
        skin: (1, 1, T, T) bool, as for ``seam_ratio``.
    """
    weight = partial.confidence * partial.visibility
    found = []
    for border in (partial.visibility, (weight > 0.5).to(weight)):
        ratio, without = seam_ratio(texture, border, skin), seam_ratio(control, border, skin)
        if ratio is not None and without is not None:
            found.append(Seam(ratio, without))
    return max(found, key=lambda seam: seam.ratio) if found else None


def two_lights(like: Tensor) -> tuple[Tensor, Tensor]:
    """Two lights (1, 9, 3): warm from the upper left, and cool from the right. Both are positive everywhere."""
    lights = []
    for tint, (y, z, x) in (((1.1, 1.0, 0.85), (0.45, 0.5, -0.75)), ((0.85, 0.95, 1.1), (-0.1, 0.5, 0.8))):
        light = like.new_zeros(1, 9, 3)
        for band, value in ((0, 2.2), (1, y), (2, z), (3, x)):
            light[:, band] = value * like.new_tensor(tint)
        lights.append(light)
    return lights[0], lights[1]


def light_left(albedos: tuple[Tensor, Tensor], photos: tuple[Tensor, Tensor], both: Tensor) -> float | None:
    """How much of a change of light is left in the albedo: 0 nothing, 1 as much as in the photographs.

    Args:
        albedos: (1, 3, T, T) each, completed under one light and under the other.
        photos: the same as photographed and unwrapped.
        both: (1, 1, T, T) bool: the texels to compare.

    Returns:
        Mean difference of the albedos over that of the photographs; None where there is little to compare.
    """
    if int(both.sum()) < MIN_TEXELS:
        return None
    chosen = both.expand_as(photos[0])
    between = (albedos[0] - albedos[1]).abs()[chosen].mean()
    return float(between / (photos[0] - photos[1]).abs()[chosen].mean().clamp_min(1e-9))
