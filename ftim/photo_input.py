"""What the Python API takes for a photograph, in any of the forms that a program may hold it in."""

from __future__ import annotations

import io
import os
from typing import TypeAlias

import numpy as np
from PIL import Image

from ftim.errors import PhotoError
from ftim.photo import Photograph, open_photo

Photo: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Photograph
"""A file; the bytes of a file; a picture of Pillow; (H, W, 3) uint8 RGB; what ``ftim.photo.open_photo`` gave."""
SINGLE = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, np.ndarray, Photograph)
"""One photograph and not a sequence of them."""


def to_photograph(photo: Photo) -> Photograph:
    """Arrays as they are, all else as ``open_photo`` reads a file.

    Raises ``PhotoError``, which says what was given and what is needed.
    """
    if isinstance(photo, Photograph):
        return photo
    if isinstance(photo, np.ndarray):
        if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
            raise PhotoError(
                f"an array of shape {photo.shape} and type {photo.dtype} is no photograph; give (H, W, 3) uint8, "
                "red, green, blue from 0 to 255"
            )
        return Photograph(photo)
    if isinstance(photo, Image.Image):
        return open_photo(_file_of(photo))
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return open_photo(bytes(photo))
    if isinstance(photo, (str, os.PathLike)):
        return open_photo(photo)
    raise PhotoError(
        f"{type(photo).__name__} is no photograph; give a file's path or bytes, a picture of Pillow, or an array "
        "(H, W, 3) uint8"
    )


def name_of(photo: Photo) -> str:
    """A file's path; empty for what has none."""
    return os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else ""


def _file_of(image: Image.Image) -> bytes:
    """A file of the same pixels, orientation and colour profile, so that there is one way of reading photographs."""
    buffer = io.BytesIO()
    try:
        # The orientation tag of a picture that is not yet upright goes along; TIFF keeps every kind of pixel but these.
        plain = image.convert("RGB") if image.mode in ("HSV", "YCbCr") else image
        plain.save(buffer, "TIFF", exif=image.getexif(), icc_profile=image.info.get("icc_profile"))
    except Exception as error:  # as in read_photo: decoders of a broken file raise many types
        raise PhotoError(f"the picture cannot be read: {error}") from error
    return buffer.getvalue()
