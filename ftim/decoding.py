"""Steps from a picture as the image library gives it to 8-bit sRGB, upright."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageFile

from ftim.errors import PhotoError

LARGEST_LOSS = 0.1
"""Share of its rows that a JPEG may lack at its end."""
SIXTEEN_BITS = 257
"""65535 / 255."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""

_switch = threading.Lock()


def load(image: Image.Image, name: Path) -> bool:
    """Decode; whether all of it was there. A JPEG that breaks off is read as every viewer does, unless much is missing.

    Raises ``PhotoError`` for that, and whatever the decoders raise.
    """
    try:
        image.load()
        return True
    except OSError as error:
        if image.format not in ("JPEG", "MPO") or "truncated" not in str(error):
            raise
    with _switch:  # the library's is one for all threads
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            image.load()
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
    lost = blank_rows(np.asarray(image.convert("L"))) / image.height
    if lost > LARGEST_LOSS:
        raise PhotoError(f"{name} breaks off: its lower {lost:.0%} are missing; copy or load it again")
    return False


def blank_rows(grey: np.ndarray) -> int:
    """How many rows at the end of (H, W) have one value: what a decoder leaves where nothing came."""
    blank = (grey == grey[-1, -1]).all(axis=1)
    return int(len(blank) if blank.all() else np.argmin(blank[::-1]))


def reduced(image: Image.Image, reduction: int, name: Path) -> Image.Image:
    """Each side by ``reduction``; columns and rows at the end that do not fill a pixel are left out."""
    plain = image if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK") else to_srgb(image, name)
    width, height = (side // reduction * reduction for side in image.size)
    return plain.reduce(reduction, (0, 0, width, height))


def raw_box(box: Box, size: tuple[int, int], reduction: int, orientation: int) -> Box:
    """Where a box of the reduced upright picture of a size (w, h) lies in the file's pixels."""
    left, top, right, bottom = box
    width, height = size
    if orientation in (2, 3, 6, 7):  # across the picture the file runs the other way
        left, right = width - right, width - left
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    if orientation in (5, 6, 7, 8):
        left, top, right, bottom = top, left, bottom, right
    return left * reduction, top * reduction, right * reduction, bottom * reduction


def oriented(image: Image.Image, orientation: int) -> Image.Image:
    """Upright, from the value of EXIF's tag."""
    way = Image.Transpose
    ways = {
        2: way.FLIP_LEFT_RIGHT, 3: way.ROTATE_180, 4: way.FLIP_TOP_BOTTOM, 5: way.TRANSPOSE, 6: way.ROTATE_270,
        7: way.TRANSVERSE, 8: way.ROTATE_90,
    }  # fmt: skip
    return image.transpose(ways[orientation]) if orientation in ways else image


def to_srgb(image: Image.Image, path: Path) -> Image.Image:
    """A decoded picture as 8-bit sRGB without transparency. Raises ``PhotoError`` for pixels without a known range."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        # Pillow would clip 16-bit grey to 255 instead of scaling it; values of a PGM it has scaled to 16 bits.
        values = np.asarray(image).astype(np.uint32)
        grey = Image.fromarray(((values + SIXTEEN_BITS // 2) // SIXTEEN_BITS).astype(np.uint8))
        return _convert_profile(grey, profile).convert("RGB")
    if image.mode == "F":
        raise PhotoError(f"{path} holds floating-point pixels, whose range is unknown; save it with 8 or 16 bits")
    if image.mode == "I":
        raise PhotoError(f"{path} holds 32-bit pixels, whose range is unknown; save it with 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        color = _convert_profile(image.convert("RGB"), profile).convert("RGB")
        white = Image.new("RGB", image.size, (255, 255, 255))
        return Image.composite(color, white, alpha)
    if image.mode in ("P", "1", "PA"):
        image = image.convert("RGB")
    return _convert_profile(image, profile).convert("RGB")


def _convert_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture converted from its embedded colour profile to sRGB; unchanged when there is none.

    A profile that is broken or made for another kind of picture is ignored, as browsers do.
    """
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return image if converted is None else converted
