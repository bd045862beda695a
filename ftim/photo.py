"""Reading photographs of every common kind into one format."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ftim.errors import PhotoError

MIN_SIDE = 32
"""Photographs with fewer pixels on either side are refused."""
MAX_PIXELS = 80_000_000
"""Larger pictures are refused before they are decoded; 80 megapixels take 240 MB."""


def read_photo(path: str | os.PathLike[str] | bytes) -> np.ndarray:
    """A photograph, a file or the bytes of one, as (H, W, 3) uint8 sRGB, upright.

    EXIF rotation is applied; an embedded colour profile is converted to sRGB; transparency is laid over
    white; grey becomes three equal channels; 16-bit values are scaled to 8 bits; of an animation the first
    frame is taken.

    Raises ``PhotoError``, naming the file and the reason, for a file that is missing, truncated, not an
    image, of an unsupported pixel type, smaller than ``MIN_SIDE`` or larger than ``MAX_PIXELS``.
    """
    source: Path | io.BytesIO
    if isinstance(path, bytes):
        source, path = io.BytesIO(path), Path("the photograph")
    else:
        source = path = Path(path)
    try:
        # Pillow's own warning about large pictures is replaced by the limit below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(source)
        with image:
            _check_size(image, path)
            image.load()
            return np.asarray(_to_srgb(ImageOps.exif_transpose(image), path))
    except PhotoError:
        raise
    except FileNotFoundError as error:
        raise PhotoError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise PhotoError(f"{path} is a folder; give one photograph") from error
    except PermissionError as error:
        raise PhotoError(f"{path} cannot be opened: permission denied") from error
    except UnidentifiedImageError as error:
        raise PhotoError(
            f"{path} is not an image of a known kind; convert it to JPEG or PNG "
            "(HEIC photographs of phones are not supported)"
        ) from error
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{path} has more than {MAX_PIXELS / 1e6:.0f} megapixels; make it smaller first") from error
    except Exception as error:
        # The decoders of a broken file raise many types (OSError, SyntaxError, struct.error, zlib.error, ...).
        raise PhotoError(f"{path} is damaged or incomplete and cannot be decoded: {error}") from error


def _check_size(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise PhotoError(f"{path} has {width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed")
    if width * height > MAX_PIXELS:
        raise PhotoError(
            f"{path} has {width} x {height} pixels, more than {MAX_PIXELS / 1e6:.0f} megapixels; make it smaller first"
        )


def _to_srgb(image: Image.Image, path: Path) -> Image.Image:
    """A decoded picture as 8-bit sRGB without transparency."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        # Pillow would clip 16-bit grey to 255 instead of scaling it; 65535 / 257 = 255.
        values = np.asarray(image).astype(np.uint32)
        return _convert_profile(Image.fromarray(((values + 128) // 257).astype(np.uint8)), profile).convert("RGB")
    if image.mode in ("I", "F"):
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
