"""Reading photographs of every common kind into one format."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ftim.decoding import Box, load, oriented, raw_box, reduced, to_srgb
from ftim.errors import PhotoError

MIN_SIDE = 32
"""Photographs with fewer pixels on either side are refused."""
MAX_PIXELS = 210_000_000
"""Larger pictures are refused before they are decoded. The largest that phones take have 200 megapixels."""
WHOLE_PIXELS = 25_000_000
"""Larger pictures are reduced by a power of two; a part of them may be read as it is."""
ORIENTATION = 0x0112
"""EXIF's tag."""
HTML = (b"<!doctype html", b"<html", b"<?xml", b"<head", b"<!--")
HEIC = (b"ftypheic", b"ftypheix", b"ftypheim", b"ftyphevc", b"ftypmif1", b"ftypmsf1")


@dataclass(frozen=True)
class Photograph:
    """A photograph of any size: the whole on as many pixels as memory has room for, and parts of it as they are."""

    pixels: np.ndarray
    """(H, W, 3) uint8 sRGB, upright."""
    reduction: int = 1
    """Pixels of the photograph along one of ``pixels``."""
    source: Path | bytes | None = None
    """The file, where ``reduction`` is more than 1."""
    turn: int = 0
    """Quarter turns counter-clockwise by which ``pixels`` were turned since."""
    complete: bool = True
    """Whether the file does not break off before its end."""

    def turned(self, turn: int) -> Photograph:
        """By quarter turns counter-clockwise, as ``numpy.rot90``."""
        if turn == 0:
            return self
        pixels = np.ascontiguousarray(np.rot90(self.pixels, turn))
        return replace(self, pixels=pixels, turn=(self.turn + turn) % 4)

    def part(self, box: Box) -> np.ndarray:
        """(h * reduction, w * reduction, 3): a part, given in ``pixels``, with all its detail.

        Raises ``PhotoError``.
        """
        left, top, right, bottom = box
        if self.source is None:
            return self.pixels[top:bottom, left:right]
        height, width = self.pixels.shape[:2]
        for _ in range(-self.turn % 4):
            left, top, right, bottom = top, width - right, bottom, width - left
            width, height = height, width
        pixels, _, _ = _read(self.source, self.reduction, ((left, top, right, bottom), (width, height)))
        return np.ascontiguousarray(np.rot90(pixels, self.turn))


def read_photo(path: str | os.PathLike[str] | bytes) -> np.ndarray:
    """A photograph, a file or the bytes of one, as (H, W, 3) uint8 sRGB, upright; reduced where it has more than
    ``WHOLE_PIXELS`` (``open_photo``).

    EXIF rotation is applied; an embedded colour profile is converted to sRGB; transparency is laid over
    white; grey becomes three equal channels; 16-bit values are scaled to 8 bits; of an animation the first
    frame is taken. Of a JPEG that breaks off shortly before its end the rest is grey (``Photograph.complete``).

    Raises ``PhotoError``, naming the file and the reason, for a file that is missing, truncated, not an
    image, of an unsupported pixel type, smaller than ``MIN_SIDE`` or larger than ``MAX_PIXELS``.
    """
    return open_photo(path).pixels


def open_photo(path: str | os.PathLike[str] | bytes) -> Photograph:
    """As ``read_photo``, with the way to a part of it as it is. Raises ``PhotoError``."""
    source = path if isinstance(path, bytes) else Path(path)
    pixels, reduction, complete = _read(source)
    return Photograph(pixels, reduction, source if reduction > 1 else None, complete=complete)


@cache
def register_heif() -> bool:
    """Let the image library read HEIC, where the extra for it is installed; whether it is."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def reduction_of(pixels: int) -> int:
    """The power of two by which each side of a photograph of so many pixels is reduced."""
    reduction = 1
    while pixels > WHOLE_PIXELS * reduction**2:
        reduction *= 2
    return reduction


def check_size(image: Image.Image, path: Path) -> None:
    """Raises ``PhotoError`` for a picture with too few or too many pixels."""
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise PhotoError(f"{path} has {width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed")
    if width * height > MAX_PIXELS:
        raise PhotoError(
            f"{path} has {width} x {height} pixels, more than {MAX_PIXELS / 1e6:.0f} megapixels; make it smaller first"
        )


def _read(
    source: Path | bytes, reduction: int | None = None, part: tuple[Box, tuple[int, int]] | None = None
) -> tuple[np.ndarray, int, bool]:
    """Pixels, what they were reduced by, and whether all of the file was there. Of a ``part``, a box in the reduced
    upright picture and that one's width and height, all pixels."""
    register_heif()
    name = Path("the photograph") if isinstance(source, bytes) else source
    with _errors_named(source, name):
        if isinstance(source, Path) and source.exists() and not (source.is_file() or source.is_dir()):
            raise PhotoError(f"{source} is a pipe or a device and no file")  # whose end may never come
        # Pillow's own warning about large pictures is replaced by the limit of ``check_size``.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        with image:
            if image.format == "EPS":  # the image library would have Ghostscript run it
                raise PhotoError(f"{name} is PostScript, a program and no photograph; convert it to JPEG")
            check_size(image, name)
            width, height = image.size
            reduction = reduction or reduction_of(width * height)
            smaller = (width // reduction, height // reduction)
            drafted = part is None and reduction > 1 and image.draft("RGB", smaller) is not None  # JPEG alone can
            complete = load(image, name)
            orientation = int(image.getexif().get(ORIENTATION, 1))
            if part is not None:
                shown = image.crop(raw_box(*part, reduction, orientation))
            elif reduction > 1:
                shown = image.crop((0, 0, *smaller)) if drafted else reduced(image, reduction, name)
            else:
                shown = image
            return np.asarray(oriented(to_srgb(shown, name), orientation)), reduction, complete


@contextmanager
def _errors_named(source: Path | bytes, path: Path) -> Iterator[None]:
    """Every error of reading as a ``PhotoError`` that names the file and the remedy."""
    try:
        yield
    except PhotoError:
        raise
    except FileNotFoundError as error:
        raise PhotoError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise PhotoError(f"{path} is a folder; give one photograph") from error
    except PermissionError as error:
        raise PhotoError(f"{path} cannot be opened: permission denied") from error
    except UnidentifiedImageError as error:
        raise PhotoError(_what_it_is(source, path)) from error
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{path} has more than {MAX_PIXELS / 1e6:.0f} megapixels; make it smaller first") from error
    except Exception as error:
        # The decoders of a broken file raise many types (OSError, SyntaxError, struct.error, zlib.error, ...).
        raise PhotoError(f"{path} is damaged or incomplete and cannot be decoded: {error}") from error


def _what_it_is(source: Path | bytes, path: Path) -> str:
    """A sentence on a file that the image library does not know."""
    if isinstance(source, bytes):
        start = source[:64]
    else:
        with source.open("rb") as file:
            start = file.read(64)
    if not start:
        return f"{path} is empty: it has 0 bytes; copy or load it again"
    if start.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(HTML):
        return f"{path} is a web page and no photograph; load the picture itself"
    if start[4:12] in HEIC:
        return f"{path} is a HEIC photograph: pip install 'ftim[heic]' lets ftim read it; or convert it to JPEG"
    return f"{path} is not an image of a known kind; convert it to JPEG or PNG"
