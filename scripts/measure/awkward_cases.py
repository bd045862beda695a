"""Awkward photographs, made from ordinary ones and from heads: each asks for a head, a warning or a refusal."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from scripts.measure.not_faces import clock, color_wheel, flower, pool

Wanted = Literal["head", "warning", "refusal", "any"]
"""A head without a word; a head with a warning; an error in words; a head or an error, for which a user may hope."""
GROUND = (150, 152, 148)
WIDE, HIGH = 7360, 5440
"""40 megapixels."""


@dataclass(frozen=True)
class Case:
    """One awkward photograph."""

    name: str
    image: Image.Image
    wanted: Wanted
    faces: int = 1
    """How many of them ``--face all`` must find."""


def cases(photos: list[Image.Image], profile: Image.Image, statue: Image.Image, data: Path | None) -> list[Case]:
    """All of them, from 20 photographs of faces and more, pictures of a head from the side and of one of plaster, and
    the small files of a folder where it is there."""
    first, second = photos[0], photos[1]
    made = [
        Case("profile, 80 degrees", profile, "any"),
        Case("border: a quarter of the face is cut off", border(first), "any"),
        *(Case(f"rolled by {angle} degrees", rolled(first, angle), "head") for angle in (45, 90, 135, 180)),
        *(Case(f"face of {side} pixels", small(first, side), "warning") for side in (24, 40, 60)),
        Case("40 megapixels", on_ground(first, WIDE, HIGH, 1600), "head"),
        Case("face of 100 pixels in 12 megapixels", on_ground(first, 4000, 3000, 190), "warning"),
        Case("heavy shadow", shadowed(first), "warning"),
        Case("overexposed", exposed(first, 2.6), "any"),
        Case("underexposed", exposed(first, 0.12), "warning"),
        Case("out of focus", blurred(first), "any"),
        Case("JPEG of quality 5", squeezed(first, 5), "any"),
        Case("grey", ImageOps.grayscale(first).convert("RGB"), "head"),
        Case("sepia", sepia(first), "head"),
        Case("drawing", drawing(first), "any"),
        Case("statue", statue, "any"),
        Case("two faces", beside([first, second]), "head", 2),
        Case("twenty faces", crowd(photos[:20]), "head", 20),
        Case("face on a shirt", on_a_shirt(first, second), "head", 2),
        Case("hand before the mouth", covered(first), "warning"),
        *(Case(kind.__name__.replace("_", " "), kind(np.random.default_rng(5)), "refusal", 0) for kind in NO_FACES),
    ]
    for name, (wanted, faces) in FILES.items():
        if data is not None and (data / "awkward" / name).is_file():
            with Image.open(data / "awkward" / name) as image:
                made.append(Case(name, image.convert("RGB"), wanted, faces))
    return made


NO_FACES: tuple[Callable[[np.random.Generator], Image.Image], ...] = (clock, color_wheel, flower, pool)
FILES: dict[str, tuple[Wanted, int]] = {
    "app13-multiple.jpg": ("refusal", 0),
    "flower2.jpg": ("refusal", 0),
    "roll180.jpg": ("warning", 1),
    "crowd_one_big.jpg": ("head", 25),
    "panorama.jpg": ("head", 3),
    "mask.jpg": ("warning", 1),
    "sunglasses.jpg": ("warning", 1),
}


def on_ground(photo: Image.Image, width: int, height: int, side: int) -> Image.Image:
    """Small in a large plain picture."""
    canvas = Image.new("RGB", (width, height), GROUND)
    canvas.paste(photo.resize((side, round(side * photo.height / photo.width))), (width * 3 // 5, height // 3))
    return canvas


def small(photo: Image.Image, side: int) -> Image.Image:
    """With a face of about so many pixels: it takes half of these photographs' width."""
    return on_ground(photo, 640, 480, 2 * side)


def rolled(photo: Image.Image, degrees: int) -> Image.Image:
    """Turned, on a plain ground."""
    return photo.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=GROUND)


def border(photo: Image.Image) -> Image.Image:
    """The right part is not in the picture."""
    return photo.crop((0, 0, round(0.58 * photo.width), photo.height))


def shadowed(photo: Image.Image) -> Image.Image:
    """The left half in the dark, with a soft edge."""
    ramp = np.interp(np.arange(photo.width) / photo.width, [0.46, 0.54], [0.12, 1.0])
    return Image.fromarray((np.asarray(photo) * ramp[None, :, None]).astype(np.uint8))


def exposed(photo: Image.Image, factor: float) -> Image.Image:
    """In light of another strength, clipped."""
    linear = (np.asarray(photo) / 255.0) ** 2.2 * factor
    return Image.fromarray((np.clip(linear, 0, 1) ** (1 / 2.2) * 255).round().astype(np.uint8))


def blurred(photo: Image.Image) -> Image.Image:
    """Out of focus."""
    return photo.filter(ImageFilter.GaussianBlur(9))


def squeezed(photo: Image.Image, quality: int) -> Image.Image:
    """Through a JPEG."""
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def sepia(photo: Image.Image) -> Image.Image:
    """Brown."""
    return ImageOps.colorize(ImageOps.grayscale(photo), "#1c1008", "#fff2d8", mid="#a07c52")


def drawing(photo: Image.Image) -> Image.Image:
    """Dark lines on paper."""
    grey = ImageOps.grayscale(photo)
    blurred = np.asarray(grey.filter(ImageFilter.GaussianBlur(6))).astype(float)
    lines = np.clip(np.asarray(grey) * 255.0 / np.maximum(blurred, 1), 0, 255)
    return Image.fromarray(np.where(lines < 245, lines * 0.6, 255).astype(np.uint8)).convert("RGB")


def beside(photos: list[Image.Image]) -> Image.Image:
    """Next to each other, the second smaller."""
    canvas = Image.new("RGB", (sum(photo.width for photo in photos), photos[0].height), GROUND)
    canvas.paste(photos[0], (0, 0))
    canvas.paste(photos[1].resize((photos[1].width * 3 // 4, photos[1].height * 3 // 4)), (photos[0].width, 0))
    return canvas


def crowd(photos: list[Image.Image]) -> Image.Image:
    """Five in a row."""
    side = 220
    canvas = Image.new("RGB", (5 * side, side * -(-len(photos) // 5)), GROUND)
    for index, photo in enumerate(photos):
        canvas.paste(photo.resize((side, side)), (index % 5 * side, index // 5 * side))
    return canvas


def on_a_shirt(wearer: Image.Image, printed: Image.Image) -> Image.Image:
    """A face printed below another's chin."""
    canvas = Image.new("RGB", (wearer.width, round(1.45 * wearer.height)), (60, 70, 90))
    canvas.paste(wearer, (0, 0))
    side = wearer.width // 3
    canvas.paste(printed.resize((side, side)), (wearer.width // 2 - side // 2, wearer.height + 20))
    return canvas


def covered(photo: Image.Image) -> Image.Image:
    """Something of a hand's size and of no skin's colour over mouth and chin."""
    image = photo.copy()
    box = (0.3 * photo.width, 0.56 * photo.height, 0.7 * photo.width, 0.85 * photo.height)
    ImageDraw.Draw(image).ellipse(box, fill=(60, 90, 60))
    return image
