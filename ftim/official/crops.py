"""The crops that DECA and Deng were trained on, cut out of ours.

Both are squares of 224 pixels without rotation, so each is our crop scaled and shifted. A point that a network predicts
in its crop is drawn in ours by a camera with the scale and the shift undone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.landmarks import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MESH_LANDMARK_COUNT,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)
from ftim.structures import Batched, Camera, Face

INPUT_SIDE = 224
"""Pixels a side of both networks' input."""

DENG_POINTS: tuple[tuple[float, float, float], ...] = (
    (-0.31148657, 0.29036078, 0.13377953),
    (0.30979887, 0.28972036, 0.13179526),
    (0.0032535, -0.04617932, 0.55244243),
    (-0.25216928, -0.38133916, 0.22405732),
    (0.2484662, -0.38128236, 0.22235769),
)
"""Deng's standard face, decimetres, y up: the eye at x < 0, the other eye, the nose tip, the mouth corners likewise."""
DENG_SCALE = 102.0
"""Pixels of Deng's input that a decimetre of the standard face covers."""

# The landmarks of MediaPipe that lie where the outlines of the 68-point scheme do: jaw from ear to ear, and brows.
_JAW = (127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356)
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
DECA_SCALE = 1.1 * 1.25
"""Side of DECA's crop over the mean side of the box around the 68 landmarks."""


@dataclass(frozen=True)
class InnerCrop(Batched):
    """Where a network's input lies in a face's crop: input position = scale * crop position + shift, in pixels."""

    scale: Tensor
    """(B,)."""
    shift: Tensor
    """(B, 2) x and y."""

    def cut(self, face: Face) -> Tensor:
        """(B, 3, 224, 224) in [0, 1], bicubic; outside the photograph black, outside our crop its edge repeated."""
        centres = torch.arange(INPUT_SIDE, device=self.scale.device) + 0.5
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        positions = (torch.stack([x, y], -1) - self.shift[:, None, None]) / self.scale[:, None, None, None]
        side = face.image.shape[-1]
        parts = []
        for number, scale in enumerate(self.scale.tolist()):
            # A much larger crop is averaged first, so that no pixel of it is left out.
            factor = max(1, int(1 / scale))
            picture = F.avg_pool2d(face.image[number : number + 1], factor)
            place = positions[number : number + 1] * 2
            grid = place / (picture.shape[-1] * factor) - 1
            cut = F.grid_sample(picture, grid, mode="bicubic", padding_mode="border", align_corners=False)
            valid = face.valid[number : number + 1]
            known = F.grid_sample(valid, place / side - 1, padding_mode="border", align_corners=False)
            parts.append(cut.clamp(0, 1) * (known > 0.5))
        return torch.cat(parts)

    def outer_camera(self, camera: Camera, side: int) -> Camera:
        """The camera that draws into our crop of ``side`` pixels what ``camera`` draws into the network's input."""
        principal = (camera.principal - self.shift) / self.scale[:, None]
        return Camera(camera.focal / self.scale, principal, side, side)


def deng_crop(face: Face) -> InnerCrop:
    """Deng's alignment: the affine camera that best takes the standard face to five landmarks gives size and centre."""
    points = face.landmarks
    eyes = [(RIGHT_EYE_OUTER, RIGHT_EYE_INNER), (LEFT_EYE_OUTER, LEFT_EYE_INNER)]
    five = torch.stack(
        [points[:, list(pair)].mean(1) for pair in eyes] + [points[:, i] for i in (NOSE_TIP, MOUTH_RIGHT, MOUTH_LEFT)],
        dim=1,
    )
    standard = points.new_tensor(DENG_POINTS)
    design = torch.cat([standard, torch.ones_like(standard[:, :1])], dim=1)
    affine = torch.linalg.pinv(design) @ five
    pixels = affine[:, :3].norm(dim=1).mean(1)
    scale = DENG_SCALE / pixels
    return InnerCrop(scale, INPUT_SIDE / 2 - scale[:, None] * affine[:, 3])


def deca_crop(face: Face) -> InnerCrop:
    """DECA's crop: a square around the box of the landmarks that correspond to the 68-point scheme."""
    outline = face.landmarks[:, list(_JAW + _BROWS)]
    low, high = outline.amin(1), outline.amax(1)
    side = DECA_SCALE * (high - low).mean(1)
    # The official code lays the centres of the first and the last pixel on the square's edges.
    scale = (INPUT_SIDE - 1) / side
    corner = (low + high) / 2 - side[:, None] / 2
    return InnerCrop(scale, 0.5 - scale[:, None] * corner)


def check_landmarks(face: Face) -> None:
    """Raise ``ValueError`` with the shape when the landmarks are not MediaPipe's."""
    if face.landmarks.ndim != 3 or face.landmarks.shape[1] < MESH_LANDMARK_COUNT or face.landmarks.shape[2] != 2:
        raise ValueError(f"landmarks must be (B, 478, 2), got {tuple(face.landmarks.shape)}")
