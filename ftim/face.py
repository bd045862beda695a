"""Aligned crops around faces that were found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from ftim.detector import Detection, check_face_side, check_photo, cut
from ftim.photo import Photograph
from ftim.structures import Face

CROP_SIZE = 224
MARGIN = 4
"""Pixels of a reduced photograph around a part that is read as it is: the reach of the kernel."""
CENTER_SHIFT = 0.06
"""How far the crop's centre lies above that of the landmarks' box, in larger sides of the box."""


def align(photo: np.ndarray, detection: Detection, size: int = CROP_SIZE, margin: float = 1.5) -> Face:
    """The square crop around a face: a batch of one.

    photo: (H, W, 3) uint8 RGB. The crop is not rotated; its side is ``margin`` times the larger side of
    the landmarks' box, whose centre lies a little below the crop's, because the landmarks end below the
    hair line. Outside the photo the crop repeats the photo's edge and ``Face.valid`` is 0.

    The face must be upright in the photo (``Detection.upright``). Aligning the mirrored photo with mirrored
    landmarks gives the mirrored crop.
    Raises ``FaceTooSmallError``.
    """
    check_photo(photo)
    check_face_side(detection)
    left, top, right, bottom = detection.box
    # Scale and offset are rounded to multiples of 2^-10 pixels, which makes every position below
    # exact in floating point and so the result the same in the mirror.
    scale = max(round(margin * detection.side / size * 1024), 1) / 1024
    center_x = round((left + right) / 2 * 1024) / 1024
    center_y = round(((top + bottom) / 2 - CENTER_SHIFT * detection.side) * 1024) / 1024
    offset_x, offset_y = center_x - scale * size / 2, center_y - scale * size / 2
    image, valid = _cut_with_valid(photo, offset_x, offset_y, scale, size)
    landmarks = (detection.landmarks.astype(np.float64) - [offset_x, offset_y]) / scale
    return Face(
        image=image,
        valid=valid,
        landmarks=torch.from_numpy(landmarks.astype(np.float32))[None],
        blendshapes=torch.from_numpy(detection.blendshapes.astype(np.float32))[None],
        crop_to_photo=torch.tensor([[scale, offset_x, offset_y]], dtype=torch.float32),
    )


def recut(photo: np.ndarray, face: Face, size: int) -> Face:
    """The same square of the photograph on another number of pixels, such as its own.

    Args:
        photo: (H, W, 3) uint8 RGB, which the face was cut from.
        face: batch of one.
        size: side of the new crop in pixels.
    """
    check_photo(photo)
    scale, left, top = face.crop_to_photo[0].tolist()
    before = face.image.shape[-1]
    new_scale = scale * before / size
    image, valid = _cut_with_valid(photo, left, top, new_scale, size)
    return Face(
        image=image.to(face.image),
        valid=valid.to(face.image),
        landmarks=face.landmarks * (size / before),
        blendshapes=face.blendshapes,
        crop_to_photo=face.crop_to_photo.new_tensor([[new_scale, left, top]]),
    )


def recut_in(photo: Photograph, face: Face, size: int) -> Face:
    """As ``recut``, from the photograph's own pixels where it was reduced and they have more detail."""
    scale, left, top = face.crop_to_photo[0].tolist()
    side = scale * face.image.shape[-1]
    if photo.reduction == 1 or size <= side:
        return recut(photo.pixels, face, size)
    height, width = photo.pixels.shape[:2]
    x, y = max(int(left) - MARGIN, 0), max(int(top) - MARGIN, 0)
    part = photo.part((x, y, min(int(left + side) + MARGIN, width), min(int(top + side) + MARGIN, height)))
    offset = face.crop_to_photo.new_tensor([[0.0, x, y]])
    there = replace(face, crop_to_photo=(face.crop_to_photo - offset) * photo.reduction)
    new = recut(part, there, size)
    return replace(new, crop_to_photo=new.crop_to_photo / photo.reduction + offset)


def _cut_with_valid(
    photo: np.ndarray, offset_x: float, offset_y: float, scale: float, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 3, size, size) ``cut_crop``, and (1, 1, size, size): 1 where it lies inside the photograph."""
    image = cut_crop(photo, offset_x, offset_y, scale, size)
    height, width = photo.shape[:2]
    centers = (np.arange(size) + 0.5) * scale
    inside_x = (centers + offset_x >= 0) & (centers + offset_x <= width)
    inside_y = (centers + offset_y >= 0) & (centers + offset_y <= height)
    valid = (inside_y[:, None] & inside_x[None, :]).astype(np.float32)
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous(), torch.from_numpy(valid)[None, None]


def cut_crop(photo: np.ndarray, offset_x: float, offset_y: float, scale: float, size: int) -> np.ndarray:
    """(size, size, 3) float32 in [0, 1]: the pixel at i + 0.5 shows the photo at offset + scale * (i + 0.5).

    Bicubic; when it shrinks, the kernel is widened to cover the area of the new pixel (Pillow does both).
    """
    # The kernel reaches two source pixels, or two new pixels, beyond the crop.
    reach = int(np.ceil(2 * max(scale, 1.0))) + 1
    left, top = int(np.floor(offset_x)) - reach, int(np.floor(offset_y)) - reach
    right = int(np.ceil(offset_x + scale * size)) + reach
    bottom = int(np.ceil(offset_y + scale * size)) + reach
    region = Image.fromarray(cut(photo, left, top, right - left, bottom - top))
    box = (offset_x - left, offset_y - top, offset_x - left + scale * size, offset_y - top + scale * size)
    crop = region.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(crop, dtype=np.float32) / np.float32(255)
