"""Pictures without a human face: those that come with scikit-image, scikit-learn and matplotlib, parts of them, and
made ones, some of them much like a face.

    python -m scripts.measure.not_faces --packages ../wheels --output ../not_faces

``packages`` is a folder of those packages' wheels (``pip download --no-deps scikit-image scikit-learn matplotlib``),
of which the pictures are read and nothing is run. The same seed makes the same pictures.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image, ImageDraw, ImageFilter

SUFFIXES = (".png", ".jpg")
WITH_A_FACE = ("astronaut.png", "camera.png", "grace_hopper.jpg")
"""Pictures of these packages that show a person."""
SMALLEST = 100
"""Pixels: icons are enlarged to it."""
PARTS = 5
"""Of each picture of the packages."""
SIDE = 400
SEED = 20221101


@dataclass(frozen=True)
class NotFacesConfig:
    """Where the pictures come from and go to."""

    packages: Path
    """A folder of wheels."""
    output: Path
    count: int = 300
    """All pictures together."""


def pictures(packages: Path, count: int = 300) -> Iterator[tuple[str, Image.Image]]:
    """Names and pictures, RGB, ``count`` of them: the packages', parts of those, and for the rest made ones."""
    number = 0
    for name, picture in _from_packages(packages):
        yield name, picture
        number += 1
    for index in range(count - number):
        kind = KINDS[index % len(KINDS)]
        yield f"{kind.__name__.lstrip('_')}_{index:03d}", kind(np.random.default_rng([SEED, index]))


def _from_packages(packages: Path) -> Iterator[tuple[str, Image.Image]]:
    rng = np.random.default_rng(SEED)
    wheels = sorted(packages.glob("*.whl"))
    if not wheels:
        raise SystemExit(f"{packages} holds no wheel: pip download --no-deps scikit-image scikit-learn matplotlib")
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in sorted(archive.namelist()):
                path = Path(member)
                if path.suffix not in SUFFIXES or path.name in WITH_A_FACE or "tests" in path.parts:
                    continue
                with Image.open(io.BytesIO(archive.read(member))) as image:
                    picture = image.convert("RGBA")
                white = Image.new("RGBA", picture.size, "white")
                whole = Image.alpha_composite(white, picture).convert("RGB")
                if min(whole.size) < SMALLEST:
                    factor = SMALLEST / min(whole.size)
                    yield path.stem, whole.resize((round(factor * whole.width), round(factor * whole.height)))
                    continue
                yield path.stem, whole
                for part in range(PARTS):
                    side = int(rng.uniform(0.3, 0.8) * min(whole.size))
                    x, y = (int(rng.integers(0, length - side + 1)) for length in whole.size)
                    yield f"{path.stem}_{part}", whole.crop((x, y, x + side, y + side)).resize((SIDE, SIDE))


def _canvas(rng: np.random.Generator) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (SIDE, SIDE), _color(rng))
    return image, ImageDraw.Draw(image)


def _color(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, rx: float, ry: float, color: tuple[int, int, int]) -> None:
    draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=color)


def noise(rng: np.random.Generator) -> Image.Image:
    """Of one size of grain."""
    side = int(2 ** rng.integers(2, 9))
    return Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize((SIDE, SIDE))


def gradient(rng: np.random.Generator) -> Image.Image:
    """Like a sky or a wall."""
    corners = Image.fromarray(rng.integers(0, 256, (3, 3, 3), dtype=np.uint8))
    return corners.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def color_wheel(rng: np.random.Generator) -> Image.Image:
    """All hues."""
    y, x = (np.mgrid[0:SIDE, 0:SIDE] / SIDE - 0.5) + rng.uniform(-0.1, 0.1, (2, 1, 1))
    hue = ((np.arctan2(y, x) / np.pi + 1) * 127.5 + rng.uniform(0, 255)) % 255
    radius = np.hypot(x, y)
    saturation = np.clip(radius / 0.4, 0, 1) * 255
    value = np.where(radius < 0.42, 255, 30)
    return Image.fromarray(np.stack([hue, saturation, value], -1).astype(np.uint8), "HSV").convert("RGB")


def clock(rng: np.random.Generator) -> Image.Image:
    """A dial with hands."""
    image, draw = _canvas(rng)
    radius = rng.uniform(0.25, 0.45) * SIDE
    _disc(draw, SIDE / 2, SIDE / 2, radius, radius, _color(rng))
    ink = _color(rng)
    for hour in range(12):
        x, y = np.sin(hour * np.pi / 6), np.cos(hour * np.pi / 6)
        _disc(draw, SIDE / 2 + 0.85 * radius * x, SIDE / 2 + 0.85 * radius * y, 8, 8, ink)
    for length in (0.5, 0.75):
        angle = rng.uniform(0, 2 * np.pi)
        end = (SIDE / 2 + length * radius * np.sin(angle), SIDE / 2 + length * radius * np.cos(angle))
        draw.line((SIDE / 2, SIDE / 2, *end), fill=ink, width=7)
    return image


def smiley(rng: np.random.Generator) -> Image.Image:
    """Two dots and a line on a disc; soft or hard."""
    image, draw = _canvas(rng)
    radius = rng.uniform(0.2, 0.45) * SIDE
    _disc(draw, SIDE / 2, SIDE / 2, radius * rng.uniform(0.7, 1), radius, _color(rng))
    ink = _color(rng)
    for sign in (-1, 1):
        _disc(draw, SIDE / 2 + sign * 0.4 * radius, SIDE / 2 - 0.25 * radius, 0.12 * radius, 0.15 * radius, ink)
    box = (SIDE / 2 - 0.5 * radius, SIDE / 2, SIDE / 2 + 0.5 * radius, SIDE / 2 + 0.6 * radius)
    draw.arc(box, 20, 160, fill=ink, width=int(0.08 * radius) + 1)
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 8)))


def socket(rng: np.random.Generator) -> Image.Image:
    """Holes in a plate, lit from above."""
    image, draw = _canvas(rng)
    plate, hole = _color(rng), (20, 20, 20)
    draw.rounded_rectangle((80, 60, 320, 340), 30, fill=plate)
    for x in (150, 250):
        draw.rounded_rectangle((x - 12, 140, x + 12, 190), 5, fill=hole)
    _disc(draw, 200, 260, 22, 18, hole)
    shade = Image.fromarray(np.linspace(255, 90, SIDE).astype(np.uint8)[:, None].repeat(SIDE, 1))
    return Image.composite(image, Image.new("RGB", image.size), shade)


def blobs(rng: np.random.Generator) -> Image.Image:
    """Soft ellipses in the colours of skin, with dark ones about where eyes and a mouth would be."""
    image = Image.new("RGB", (SIDE, SIDE), _color(rng))
    draw = ImageDraw.Draw(image)
    tone = np.array([225, 172, 140]) * rng.uniform(0.3, 1)
    red, green, blue = (int(value) for value in tone)
    _disc(draw, SIDE / 2, SIDE / 2, rng.uniform(90, 150), rng.uniform(120, 180), (red, green, blue))
    dark = (red // 3, green // 3, blue // 3)
    for x, y in ((140, 160), (260, 160), (200, 290)):
        _disc(draw, x + rng.normal(0, 15), y + rng.normal(0, 15), rng.uniform(15, 40), rng.uniform(8, 25), dark)
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(2, 12)))


def pool(rng: np.random.Generator) -> Image.Image:
    """Ripples."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    waves = sum(
        np.sin(2 * np.pi * (rng.uniform(2, 9) * x + rng.uniform(2, 9) * y) + rng.uniform(0, 6)) for _ in range(5)
    )
    value = np.clip(128 + 50 * waves, 0, 255)
    return Image.fromarray(np.stack([value * 0.4, value * 0.9, np.full_like(value, 220)], -1).astype(np.uint8))


def flower(rng: np.random.Generator) -> Image.Image:
    """Petals around a disc."""
    image, draw = _canvas(rng)
    petals, color = int(rng.integers(5, 12)), _color(rng)
    for petal in range(petals):
        angle = 2 * np.pi * petal / petals
        _disc(draw, SIDE / 2 + 110 * np.cos(angle), SIDE / 2 + 110 * np.sin(angle), 60, 60, color)
    _disc(draw, SIDE / 2, SIDE / 2, 70, 70, _color(rng))
    for _ in range(60):
        x, y = rng.normal(SIDE / 2, 25, 2)
        _disc(draw, x, y, 4, 4, _color(rng))
    return image


def house(rng: np.random.Generator) -> Image.Image:
    """Two windows and a door."""
    image, draw = _canvas(rng)
    wall, glass = _color(rng), _color(rng)
    draw.rectangle((90, 120, 310, 360), fill=wall)
    draw.polygon((70, 120, 330, 120, 200, 40), fill=_color(rng))
    for x in (150, 250):
        draw.rectangle((x - 28, 165, x + 28, 220), fill=glass)
    draw.rectangle((165, 280, 235, 360), fill=_color(rng))
    return image


def chart(rng: np.random.Generator) -> Image.Image:
    """Bars."""
    image, draw = _canvas(rng)
    for index in range(10):
        draw.rectangle((30 + 35 * index, int(rng.uniform(60, 340)), 55 + 35 * index, 370), fill=_color(rng))
    return image


KINDS: tuple[Callable[[np.random.Generator], Image.Image], ...] = (
    noise, gradient, color_wheel, clock, smiley, socket, blobs, pool, flower, house, chart,
)  # fmt: skip


def main() -> None:
    """Write them all."""
    config = tyro.cli(NotFacesConfig, description=__doc__)
    config.output.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures(config.packages, config.count):
        picture.save(config.output / f"{name}.png")


if __name__ == "__main__":
    main()
