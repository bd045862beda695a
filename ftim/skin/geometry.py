"""Where on the head each pixel of the crop lies, according to the fit and the landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ftim.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from ftim.morphable.model import MorphableModel
from ftim.render.interpolate import interpolate
from ftim.render.rasterizer import Rasterizer
from ftim.render.surface import RasterizedHead, rasterize_head
from ftim.structures import Face, Fit

RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
"""Outlines in MediaPipe's face mesh, in order around each feature."""


@dataclass(frozen=True)
class HeadPixels:
    """One crop's pixels on the head. Lengths are in units of the distance between the outer eye corners."""

    region: np.ndarray
    """(S, S) int: ``Region`` of the head there, -1 beside it."""
    place: np.ndarray
    """(S, S, 3) float32: position on the template relative to the middle between the eyes; x right, y up, z to
    the viewer. 0 beside the head."""
    normal: np.ndarray
    """(S, S, 3) float32 unit, camera space; 0 beside the head."""
    eyes: np.ndarray
    brows: np.ndarray
    lips: np.ndarray
    """(S, S) bool, from the detected landmarks."""
    unit: float
    """Pixels of one unit of length."""

    @property
    def inside(self) -> np.ndarray:
        """(S, S) bool: the fitted head covers the pixel."""
        return self.region >= 0


def head_pixels(
    face: Face, fit: Fit, model: MorphableModel, rasterizer: Rasterizer, head: RasterizedHead | None = None
) -> list[HeadPixels]:
    """The head of each face of a batch as the crop sees it; ``head`` is of these fits, where it was rasterised
    already."""
    size = face.image.shape[-1]
    corners = model.landmarks(model.template[None])[0, [RIGHT_EYE_OUTER, LEFT_EYE_OUTER]]
    length = (corners[1] - corners[0]).norm()
    place = (model.template - corners.mean(0)) / length

    head = head or rasterize_head(model, rasterizer, fit)
    fragments, normals = head.fragments, head.posed.normals
    attributes = torch.cat([place.expand_as(normals), normals], dim=-1)
    maps = interpolate(fragments, attributes, model.triangles).permute(0, 2, 3, 1).cpu().numpy()
    region = torch.where(fragments.face >= 0, model.regions[fragments.face.clamp_min(0)], -1).cpu().numpy()
    unit = (length * fit.camera.focal / -fit.translation[:, 2]).cpu().numpy()
    landmarks = face.landmarks.cpu().numpy()

    result = []
    for index in range(len(face)):
        normal = maps[index, ..., 3:]
        x, y, z = np.moveaxis(normal, -1, 0)
        normal = normal / np.maximum(np.sqrt(x * x + y * y + z * z), 1e-6)[..., None]
        result.append(
            HeadPixels(
                region=region[index],
                place=maps[index, ..., :3],
                normal=normal,
                eyes=_polygons(landmarks[index], size, (RIGHT_EYE, LEFT_EYE)),
                brows=_polygons(landmarks[index], size, (RIGHT_BROW, LEFT_BROW)),
                lips=_polygons(landmarks[index], size, (LIPS,)),
                unit=float(unit[index]),
            )
        )
    return result


def _polygons(landmarks: np.ndarray, size: int, outlines: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """(S, S) bool: inside one of the outlines."""
    mask = np.zeros((size, size), np.uint8)
    for outline in outlines:
        # OpenCV counts from pixel centres, in 1/16 pixel here.
        points = np.round((landmarks[list(outline)] - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], 1, shift=4)
    return mask > 0


def grown(mask: np.ndarray, pixels: float) -> np.ndarray:
    """A mask dilated (or, for negative numbers, eroded) by a distance in pixels."""
    if pixels >= 0:
        return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) <= pixels
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5) > -pixels
