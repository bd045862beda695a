"""Pictures that are broken or made to harm: bytes that a reader of photographs must survive."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image

from ftim.data import load_portraits

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")
PORTRAIT = "portrait"
SIDE = 96
HUGE = 65_000


@cache
def sound(kind: str) -> bytes:
    """A picture of one format, with an orientation, a profile and a face-like blob."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    pixels = np.stack([200 - 60 * y, 150 - 40 * x, 120 + 60 * (np.hypot(x - 0.5, y - 0.5) < 0.3)], -1)
    noise = np.random.default_rng(0).normal(0, 6, pixels.shape)
    image = Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    options: dict[str, object] = {}
    if kind != "GIF":
        exif = Image.Exif()
        exif[0x0112] = 6
        options = {"exif": exif, "icc_profile": bytes(range(200)) * 2}
    if kind == "GIF":
        options = {"save_all": True, "append_images": [image.rotate(90)], "duration": 50}
    image.save(file, kind, **options)
    return file.getvalue()


@cache
def portrait() -> bytes:
    """A photograph of a person, as a JPEG."""
    with Image.open(load_portraits("test").photos[0].path) as image:
        file = io.BytesIO()
        image.convert("RGB").resize((236, 315)).save(file, "JPEG", quality=85)
    return file.getvalue()


def truncated(rng: random.Random, data: bytes) -> bytes:
    """Broken off anywhere."""
    return data[: rng.randrange(len(data))]


def flipped(rng: random.Random, data: bytes) -> bytes:
    """A few bits turned."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 3, 20, 200))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def header(rng: random.Random, data: bytes) -> bytes:
    """Bytes near the beginning, where sizes and offsets are, replaced by extremes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 4, 8))):
        place = rng.randrange(min(len(changed), 200))
        changed[place] = rng.choice((0, 1, 127, 128, 255))
    return bytes(changed)


def spliced(rng: random.Random, data: bytes) -> bytes:
    """Parts moved, doubled, or of another format."""
    other = sound(rng.choice(FORMATS))
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    c, d = sorted(rng.randrange(len(other)) for _ in range(2))
    return rng.choice((data[:a] + other[c:d] + data[b:], data[:b] + data[a:], data[:a] + data[b:], data + other))


DAMAGE: tuple[Callable[[random.Random, bytes], bytes], ...] = (truncated, flipped, header, spliced)


def chunk(name: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, rows: bytes, color: int = 2, bits: int = 8, extra: bytes = b"") -> bytes:
    """With a sound header, whatever follows."""
    about = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", about) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bomb(rng: random.Random) -> bytes:
    """Small files of huge pictures."""
    width, height = rng.choice(((HUGE, HUGE), (2**31 - 1, 2), (14_000, 14_000), (1, HUGE), (20_000, 12_000)))
    kind = rng.randrange(6)
    if kind == 0:
        return png(width, height, zlib.compress(bytes(1_000_000)))
    if kind == 1:  # as many rows as are announced, all of them zero
        return png(14_000, 14_000, zlib.compress(bytes(14_000 * 14_001), 9), color=0)
    if kind == 2:
        small = bytearray(sound("JPEG"))
        start = small.index(b"\xff\xc0")
        small[start + 5 : start + 9] = struct.pack(">HH", min(height, 65_500), min(width, 65_500))
        return bytes(small)
    if kind == 3:
        small = bytearray(sound("GIF"))
        small[6:10] = struct.pack("<HH", 65_535, 65_535)
        return bytes(small)
    if kind == 4:  # text that unpacks to much
        text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(60_000_000), 9))
        return png(64, 64, zlib.compress(bytes(64 * 193)), extra=text)
    frames = [Image.new("L", (64, 64), index % 255) for index in range(400)]
    file = io.BytesIO()
    frames[0].save(file, rng.choice(("GIF", "TIFF")), save_all=True, append_images=frames[1:])
    return file.getvalue()


def metadata(rng: random.Random) -> bytes:
    """Absurd EXIF and colour profiles."""
    image = Image.new(rng.choice(("RGB", "L", "CMYK")), (SIDE, SIDE), 120)
    directory = bytearray(struct.pack("<2sHIH", b"II", 42, 8, rng.choice((1, 3, 65_535))))
    for _ in range(3):
        tag, kind = rng.choice((0x0112, 0x8769, 0x8825, 0x010F)), rng.choice((1, 3, 4, 5, 99))
        count, value = rng.choice((1, 0, 2**31, 2**32 - 1)), rng.choice((0, 8, 6, 77, 2**32 - 1))
        directory += struct.pack("<HHII", tag, kind, count, value)
    directory += struct.pack("<I", 8)  # the next directory is this one
    profile = bytearray(rng.randbytes(rng.choice((4, 128, 4000))))
    if len(profile) >= 40:
        profile[:4] = struct.pack(">I", rng.choice((len(profile), 2**32 - 1, 0)))
        profile[12:24] = b"mntrRGB XYZ "
        profile[36:40] = b"acsp"
    file = io.BytesIO()
    image.save(file, "JPEG", exif=b"Exif\0\0" + bytes(directory), icc_profile=bytes(profile))
    return file.getvalue()


def picture(rng: random.Random, kind: str) -> bytes:
    """One of a kind: a format, ``PORTRAIT``, ``bomb`` or ``metadata``."""
    if kind == "bomb":
        return bomb(rng)
    if kind == "metadata":
        return metadata(rng)
    return rng.choice(DAMAGE)(rng, portrait() if kind == PORTRAIT else sound(kind))
