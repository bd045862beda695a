"""A face at the resolution of its photograph."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ftim.face import recut_in
from ftim.filters import resized
from ftim.photo import Photograph
from ftim.structures import Face, Fit

LARGEST_CROP = 1280
PIXELS_A_TEXEL = 1.25
"""Crops of larger faces are reduced to so many pixels and, along a side, so many times the texture's: two pixels of the
face fall on a texel then, and no map holds more."""


def sharpened(photo: Photograph, face: Face, fit: Fit, skin: Tensor, texture_size: int) -> tuple[Face, Fit, Tensor]:
    """A face with its fit and skin on as many pixels as its photograph has there, up to ``LARGEST_CROP`` and to
    ``PIXELS_A_TEXEL`` times the side of the texture.

    A batch of one; never smaller than it was. What is unwrapped and drawn from it has the photograph's detail.
    """
    side = round(float(face.crop_to_photo[0, 0]) * face.image.shape[-1] * photo.reduction)
    side = max(min(side, LARGEST_CROP, round(PIXELS_A_TEXEL * texture_size)), face.image.shape[-1])
    if side == face.image.shape[-1]:
        return face, fit, skin
    return recut_in(photo, face, side), replace(fit, camera=fit.camera.resized(side, side)), resized(skin, side, side)
