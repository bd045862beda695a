"""What the Python API takes for a photograph, in any of the forms that a program may hold it in."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor

from ftim.errors import FaceError, PhotoError
from ftim.photo import Photograph, open_photo

Photo: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | np.ndarray | Tensor | Photograph
"""A file's path, bytes, or object open for reading; a picture of Pillow; (H, W, 3) RGB, uint8 or float in [0, 1]; a
tensor (H, W, 3) or (3, H, W) of the same; what ``ftim.photo.open_photo`` gave."""
SINGLE = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, np.ndarray, Tensor, Photograph)
ROUNDING = 1e-3
"""By so much floats may leave [0, 1]."""


def to_photograph(photo: Photo) -> Photograph:
    """Arrays as they are, all else as ``open_photo`` reads a file.

    Raises ``PhotoError``, which says what was given and what is needed.
    """
    if isinstance(photo, Photograph):
        return photo
    if isinstance(photo, Tensor):
        photo = photo.detach().cpu().numpy()
        if photo.ndim == 3 and photo.shape[0] == 3 and photo.shape[2] != 3:
            photo = np.ascontiguousarray(photo.transpose(1, 2, 0))
    if isinstance(photo, np.ndarray):
        return Photograph(_pixels_of(photo))
    if isinstance(photo, Image.Image):
        return open_photo(_file_of(photo))
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return open_photo(bytes(photo))
    if isinstance(photo, (str, os.PathLike)):
        return open_photo(photo)
    if callable(getattr(photo, "read", None)):
        return open_photo(_content_of(photo))
    raise PhotoError(
        f"{type(photo).__name__} is no photograph; give a file's path, bytes or object, a picture of Pillow, or "
        "an array (H, W, 3)"
    )


def _pixels_of(array: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 or float in [0, 1] -> (H, W, 3) uint8. Raises ``PhotoError``."""
    shaped = array.ndim == 3 and array.shape[2] == 3 and array.size > 0
    if shaped and array.dtype == np.uint8:
        return array
    if not shaped or not np.issubdtype(array.dtype, np.floating):
        raise PhotoError(
            f"an array of shape {array.shape} and type {array.dtype} is no photograph; give (H, W, 3), red, green, "
            "blue as uint8 from 0 to 255 or as floats from 0 to 1"
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # nor what is no number
        raise PhotoError(f"floats of a photograph lie from 0 to 1, these from {low:g} to {high:g}; divide them by 255?")
    return (np.clip(array, 0, 1) * 255).round().astype(np.uint8)


def _content_of(file: IO[bytes]) -> bytes:
    """All of an open file. Raises ``PhotoError`` for one of text or one that cannot be read."""
    try:
        content = file.read()
    except (OSError, ValueError) as error:
        raise PhotoError(f"the open file cannot be read: {error}") from error
    if not isinstance(content, bytes):
        raise PhotoError('the open file gives text; open it with open(path, "rb")')
    return content


def is_single(photo: object) -> bool:
    """Whether it is one photograph and not a sequence of them."""
    return isinstance(photo, SINGLE) or callable(getattr(photo, "read", None))


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


@contextmanager
def photo_named(photo: Photo, place: int, count: int) -> Iterator[None]:
    """Makes an error of one photograph of several say which it was."""
    try:
        yield
    except (PhotoError, FaceError) as error:
        if count == 1:
            raise
        name = name_of(photo)
        which = f" ({name})" if name and name not in str(error) else ""
        raise type(error)(f"photograph {place + 1} of {count}{which}: {error}") from error
