"""The fitted head's edges over the photograph: how well does it sit?"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from ftim.morphable.model import MorphableModel, Region
from ftim.render.pose import pose_head
from ftim.structures import Face, Fit

COLOURS = {Region.FACE: (120, 200, 255), Region.EARS: (255, 200, 80)}
"""RGB of the edges of the parts that are drawn; eyeballs are not, since their edges would show through the lids."""
STRENGTH = 0.6


@torch.no_grad()
def draw_wireframe(model: MorphableModel, face: Face, fit: Fit, side: int = 768) -> np.ndarray:
    """(side, side, 3) uint8 RGB: the crop with the edges of all triangles that face the camera.

    Args:
        model: the head of the fit.
        face: batch of one.
        fit: batch of one, for the crop of ``face``.
        side: of the picture, pixels.
    """
    crop = (face.image[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    photo = cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC)
    points = pose_head(model, fit).positions[0, :, :2].cpu().numpy() * (side / fit.camera.width)
    corners = points[model.triangles.cpu().numpy()]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    facing = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] < 0  # rows run down: counter-clockwise is negative here
    drawn = photo.copy()
    for region, colour in COLOURS.items():
        chosen = corners[facing & (model.regions.cpu().numpy() == int(region))]
        cv2.polylines(drawn, list((chosen * 16).round().astype(np.int32)), True, colour, 1, cv2.LINE_AA, 4)
    return cv2.addWeighted(drawn, STRENGTH, photo, 1 - STRENGTH, 0)
