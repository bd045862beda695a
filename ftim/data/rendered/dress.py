"""What rendered heads wear, grow and hold before themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ftim.data.rendered.camera import to_linear
from ftim.data.rendered.things import Lens, Surface, Thing, ball, shell, strands, tube
from ftim.landmarks import (
    CHIN,
    FOREHEAD_TOP,
    LEFT_EYE_OUTER,
    LEFT_IRIS,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
    RIGHT_EYE_OUTER,
    RIGHT_IRIS,
)
from ftim.morphable.model import Region

HAIR_COLOURS = np.array(
    [[0.05, 0.04, 0.04], [0.11, 0.08, 0.06], [0.2, 0.13, 0.08], [0.35, 0.22, 0.12], [0.6, 0.45, 0.28],
     [0.75, 0.62, 0.42], [0.45, 0.18, 0.08], [0.5, 0.5, 0.5], [0.82, 0.81, 0.8]]
)  # fmt: skip
"""sRGB: black, browns, blond, red, grey, white."""
HAIR_SHARES = np.array([0.22, 0.2, 0.18, 0.1, 0.07, 0.06, 0.03, 0.08, 0.06])
OCCLUDERS = (
    "fringe",
    "curls",
    "strands",
    "glasses",
    "sunglasses",
    "hand",
    "microphone",
    "mask",
    "patch",
    "cap",
    "scarf",
)


@dataclass(frozen=True)
class Bust:
    """One head without colours: what things are fitted to. Lengths in metres, in head space."""

    vertices: np.ndarray
    """(V, 3)."""
    normals: np.ndarray
    triangles: np.ndarray
    regions: np.ndarray
    """(F,)."""
    place: np.ndarray
    """(V, 3) on the mean head, ``MorphableModel.place``."""
    landmarks: np.ndarray
    """(478, 3)."""

    @cached_property
    def surface(self) -> Surface:
        """Of the skin, seen from behind the eyes."""
        eyes = self.landmarks[[LEFT_EYE_OUTER, RIGHT_EYE_OUTER]].mean(0)
        inner = np.isin(self.regions, [Region.TEETH, Region.TONGUE, Region.MOUTH, Region.EYES, Region.EARS])
        skin = np.unique(self.triangles[~inner])
        return Surface(eyes - [0, 0, 0.085], self.vertices[skin])

    def region(self, *regions: Region) -> np.ndarray:
        """(V,) bool: vertices of these regions' triangles."""
        found = np.zeros(len(self.vertices), bool)
        found[self.triangles[np.isin(self.regions, regions)]] = True
        return found


def hair_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) linear."""
    return to_linear(np.clip(HAIR_COLOURS[rng.choice(len(HAIR_COLOURS), p=HAIR_SHARES)] * rng.uniform(0.7, 1.3), 0, 1))


def cloth_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) linear: white, greys, black and dark blue are more usual than the others."""
    kind = rng.random()
    grey = rng.uniform(0.02, 0.9)
    if kind < 0.3:
        return np.full(3, grey)
    if kind < 0.5:
        return np.array([0.02, 0.03, 0.08]) * rng.uniform(0.4, 3)
    return to_linear(rng.uniform(0.05, 0.9, 3))


def body(bust: Bust, rng: np.random.Generator) -> list[Thing]:
    """Shoulders, and sometimes a collar."""
    chin = bust.landmarks[CHIN]
    colour = cloth_colour(rng)
    low = bust.region(Region.NECK)
    neck = bust.vertices[low & (bust.vertices[:, 1] < bust.vertices[low, 1].min() + 0.02)].mean(0)
    wide, deep = rng.uniform(0.19, 0.24), rng.uniform(0.09, 0.12)
    middle = neck - [0, rng.uniform(0.13, 0.16), 0.02]
    shoulders = ball(middle, np.array([wide, rng.uniform(0.13, 0.15), deep]), colour, 20)
    stalk = neck + np.array([0, 1.0, 0.0]) * np.linspace(-0.06, 0.015, 4)[:, None]
    found = [shoulders, tube(stalk, 0.058, colour)]
    if rng.random() < 0.6:
        low = bust.region(Region.NECK) & (bust.vertices[:, 1] < chin[1] - rng.uniform(0.03, 0.06))
        found.append(shell(bust.vertices, bust.normals, bust.triangles, low, 0.006, cloth_colour(rng)))
    return found


def hair(bust: Bust, rng: np.random.Generator) -> tuple[list[Thing], np.ndarray]:
    """Hair on the head, none for a tenth; and its colour."""
    colour = hair_colour(rng)
    if rng.random() < 0.1:
        return [], colour
    thick = rng.choice([0.003, rng.uniform(0.006, 0.025)], p=[0.3, 0.7])
    line = rng.uniform(-0.06, 0.1)
    scalp = bust.region(Region.SCALP) & (bust.place[:, 1] > -0.35 + line)
    bumps = rng.normal(size=len(scalp)) * 0.25 * thick
    mixed = colour * np.exp(rng.normal(0, 0.12, (len(scalp), 1)))
    found = [shell(bust.vertices, bust.normals, bust.triangles, scalp, thick + bumps, mixed, 0.5, 0.04)]
    low = rng.uniform(-0.15, 0.15)
    count = int(rng.integers(250, 600))
    azimuth = rng.uniform(-np.pi, np.pi, count)
    _, top = bust.surface.angles(bust.landmarks[FOREHEAD_TOP])
    front = np.clip(1 - (np.abs(azimuth) - 0.75) / 0.5, 0, 1)
    long = rng.random() < 0.35
    end = front * (top + 0.05 + line) + (1 - front) * (low - (rng.uniform(0.5, 0.9) if long else 0.1))
    found.append(_locks(bust, rng, colour, azimuth, np.full(count, 1.45), end, thick + 0.002, rng.uniform(0.0, 0.05)))
    if long:
        side = np.sign(rng.uniform(-1, 1, 160)) * rng.uniform(1.15, 1.9, 160)
        found.append(_locks(bust, rng, colour, side, np.full(160, 0.6), np.full(160, -1.0), thick + 0.006, 0.03))
    return found, colour


def _locks(
    bust: Bust, rng: np.random.Generator, colour: np.ndarray, azimuth: np.ndarray, start: np.ndarray, end: np.ndarray,
    above: float, curl: float, width: tuple[float, float] = (0.0015, 0.006), length: int = 10,
) -> Thing:  # fmt: skip
    """Strands that hang from ``start`` to ``end`` (radians above the horizon) at these azimuths."""
    count = len(azimuth)
    step = np.linspace(0, 1, length)[None]
    drift = rng.normal(0, 0.12, (count, 1)) * step
    # Neighbours wave together, as locks do.
    turns, phase = rng.uniform(0.4, 2.2), np.sin(azimuth * rng.uniform(3, 9))[:, None] * 0.6
    wave = curl * np.sin(2 * np.pi * (turns * step + phase + rng.normal(0, 0.06, (count, 1))))
    heights = start[:, None] + (end - start + rng.normal(0, 0.06, count))[:, None] * step
    lift = above + rng.uniform(0, 0.006, (count, 1)) + curl * 0.1 * np.cos(2 * np.pi * step)
    paths, out = bust.surface.at(azimuth[:, None] + drift + wave, heights, lift)
    shades = colour * np.exp(rng.normal(0, 0.25, (count, 1)))
    return strands(paths, rng.uniform(*width, count), shades, out, roughness=0.4, reflectance=0.045)


def fringe(bust: Bust, rng: np.random.Generator, colour: np.ndarray) -> list[Thing]:
    """Strands over the forehead, sometimes down to the eyes."""
    count = int(rng.choice([rng.integers(6, 30), rng.integers(40, 160)]))
    middle, reach = rng.uniform(-0.5, 0.5), rng.uniform(0.25, 0.9)
    azimuth = middle + rng.uniform(-reach, reach, count)
    _, top = bust.surface.angles(bust.landmarks[FOREHEAD_TOP])
    start = np.full(count, top + rng.uniform(0.1, 0.35))
    end = top - rng.uniform(0.15, 0.75) * np.exp(rng.normal(0, 0.15, count))
    return [_locks(bust, rng, colour, azimuth, start, end, 0.004, rng.uniform(0, 0.12), (0.001, 0.005), 18)]


def curls(bust: Bust, rng: np.random.Generator, colour: np.ndarray) -> list[Thing]:
    """Locks over the temples and before the ears."""
    found = []
    for side in (-1, 1):
        count = int(rng.integers(0, 60))
        if count:
            azimuth = side * rng.uniform(rng.uniform(0.65, 0.95), 1.4, count)
            start, end = np.full(count, 0.9), np.full(count, rng.uniform(-0.9, -0.1))
            width = (0.0015, rng.choice([0.004, 0.009]))
            found.append(_locks(bust, rng, colour, azimuth, start, end, 0.005, rng.uniform(0.02, 0.15), width, 24))
    return found


def loose_strands(bust: Bust, rng: np.random.Generator, colour: np.ndarray) -> list[Thing]:
    """A few long strands across the face."""
    count = int(rng.integers(2, 12))
    azimuth = rng.uniform(-0.3, 0.3) + rng.normal(0, 0.3, count)
    end = np.full(count, rng.uniform(-0.9, 0.2))
    return [_locks(bust, rng, colour, azimuth, np.full(count, 1.0), end, 0.006, 0.08, (0.0008, 0.003), 24)]


def glasses(bust: Bust, rng: np.random.Generator, dark: bool) -> tuple[list[Thing], list[Lens]]:
    """Rims, bridge, temples and two lenses."""
    right, left = bust.landmarks[RIGHT_IRIS], bust.landmarks[LEFT_IRIS]
    apart = np.linalg.norm(left - right)
    wide, high = apart * rng.uniform(0.36, 0.46), apart * rng.uniform(0.24, 0.4)
    power = rng.choice([2.0, 2.6, 4.0])
    ahead = max(right[2], left[2]) + rng.uniform(0.012, 0.02)
    down = rng.uniform(-0.002, 0.008)
    radius = rng.choice([0.0007, rng.uniform(0.001, 0.0028)], p=[0.35, 0.65])
    kind = rng.random()
    colour = np.full(3, 0.02) if kind < 0.45 else to_linear(rng.uniform(0.1, 0.8, 3))
    roughness, reflectance = float(rng.uniform(0.15, 0.5)), float(rng.choice([0.05, 0.4]))
    angle = np.arange(40) / 40 * 2 * np.pi
    bend = rng.uniform(0.1, 0.35)
    rims: list[Thing] = []
    lenses = []
    rimless = rng.random() < 0.12
    tint = np.full(3, rng.uniform(0.88, 0.99))
    if dark:
        tint = rng.uniform(0.03, 0.3) * np.exp(rng.normal(0, 0.15, 3))
    for middle, sign in ((right, np.sign(right[0])), (left, np.sign(left[0]))):
        x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / power) * wide
        y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / power) * high
        centre = np.array([sign * max(abs(middle[0]), wide + 0.008), middle[1] - down, ahead])
        ring = centre + np.stack([x, y, -bend * np.maximum(0, sign * x) ** 2 / wide], -1)
        if not rimless:
            rims.append(tube(ring, radius, colour, closed=True, roughness=roughness, reflectance=reflectance))
        fan = np.concatenate([centre[None] + [0, 0, 0.001], ring])
        around = np.arange(40)
        triangles = np.stack([np.zeros(40, int), 1 + around, 1 + (around + 1) % 40], -1)
        bulge = (fan - centre) / 0.09
        normals = np.stack([bulge[:, 0] + sign * bend * 0.5, bulge[:, 1] - 0.05, np.ones(len(fan))], -1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        lenses.append(Lens(fan, triangles, normals, tint, float(rng.uniform(0.03, 0.14))))
        outer = ring[np.argmax(sign * x)]
        ear = np.array([sign * (np.abs(bust.vertices[:, 0]).max() - 0.004), outer[1] + 0.002, middle[2] - 0.075])
        line = outer + (ear - outer) * np.linspace(0, 1, 8)[:, None]
        rims.append(tube(line, radius * 0.9 + 0.0002, colour, roughness=roughness, reflectance=reflectance))
    inner = [lens.vertices[1:][np.argmin(np.abs(lens.vertices[1:, 0]))] for lens in lenses]
    arch = np.linspace(0, 1, 9)[:, None]
    lift = np.array([0, 0.004, 0.003]) * np.sin(np.pi * arch)
    rims.append(
        tube(
            inner[0] + (inner[1] - inner[0]) * arch + lift, radius, colour, roughness=roughness, reflectance=reflectance
        )
    )
    return rims, lenses


def hand(bust: Bust, rng: np.random.Generator, skin: np.ndarray) -> list[Thing]:
    """Fingers at a cheek, the chin or before the mouth."""
    side = rng.choice([-1, 1])
    target = bust.landmarks[rng.choice([CHIN, MOUTH_LEFT, MOUTH_RIGHT, NOSE_TIP])]
    azimuth, height = bust.surface.angles(target)
    azimuth = azimuth + side * rng.uniform(0.0, 0.6)
    found = []
    lean = rng.uniform(-0.5, 0.5)
    count = int(rng.integers(1, 5))
    tone = skin * np.exp(rng.normal(0, 0.1))
    for finger in range(count):
        steps = np.linspace(0, 1, 10)
        wide = 0.16 * (finger - count / 2)
        up = height - 0.9 + steps * rng.uniform(0.8, 1.2)
        line, _ = bust.surface.at(azimuth + wide + lean * steps + side * 0.0, up, 0.009 + 0.03 * (1 - steps) ** 2)
        radius = 0.0085 * (1 + 0.06 * np.sin(steps * 9)) * np.sqrt(1 - np.clip((steps - 0.85) / 0.16, 0, 1) ** 2)
        found.append(tube(line, radius, tone * np.exp(rng.normal(0, 0.05)), roughness=0.5, reflectance=0.03))
    if rng.random() < 0.5:
        palm, _ = bust.surface.at(np.array(azimuth), np.array(height - 1.1), 0.04)
        found.append(ball(palm, np.array([0.045, 0.04, 0.02]), tone, roughness=0.5))
    return found


def microphone(bust: Bust, rng: np.random.Generator) -> list[Thing]:
    """A ball and a stick before the chin."""
    mouth = (bust.landmarks[MOUTH_LEFT] + bust.landmarks[MOUTH_RIGHT]) / 2
    at = mouth + np.array([rng.uniform(-0.05, 0.05), -rng.uniform(0.02, 0.06), rng.uniform(0.03, 0.07)])
    size = rng.uniform(0.016, 0.03)
    colour = np.full(3, rng.choice([0.01, 0.05, 0.3]))
    down = np.array([rng.uniform(-0.1, 0.1), -0.25, rng.uniform(0.0, 0.1)])
    line = at + down * np.linspace(0, 1, 8)[:, None]
    head = ball(at, np.full(3, size), colour, roughness=0.4, reflectance=0.1)
    return [head, tube(line, size * 0.6, np.full(3, 0.02), roughness=0.3, reflectance=0.05)]


def face_mask(bust: Bust, rng: np.random.Generator) -> list[Thing]:
    """Over nose, mouth and chin, with bands to the ears."""
    x, y, _ = bust.place.T
    top = rng.uniform(-0.28, -0.12)
    part = (
        (bust.region(Region.FACE))
        & (y < top - 0.12 * np.abs(x) ** 2)
        & (y > -1.35)
        & (np.abs(x) < rng.uniform(0.6, 0.78))
    )
    kind = rng.random()
    colour = np.array([0.35, 0.6, 0.75]) if kind < 0.4 else np.full(3, 0.85) if kind < 0.6 else cloth_colour(rng)
    pleats = 0.004 + 0.002 * np.sin(y * 25)
    found = [shell(bust.vertices, bust.normals, bust.triangles, part, pleats + 0.002, colour, 0.9, 0.02)]
    for side in (-1, 1):
        azimuth = side * np.linspace(0.75, 1.5, 10)
        for high in (-0.15, -0.55):
            line, _ = bust.surface.at(azimuth, np.linspace(high, -0.2, 10), 0.002)
            found.append(tube(line, 0.0014, colour))
    return found


def patch(bust: Bust, rng: np.random.Generator) -> list[Thing]:
    """Over an eye with its band, or a plaster anywhere."""
    if rng.random() < 0.5:
        eye = bust.landmarks[rng.choice([LEFT_IRIS, RIGHT_IRIS])]
        wide, high = rng.uniform(0.024, 0.034), rng.uniform(0.018, 0.028)
        away = bust.vertices - eye
        part = ((away[:, 0] / wide) ** 2 + (away[:, 1] / high) ** 2 < 1) & (away[:, 2] > -0.03)
        part &= ~bust.region(Region.TEETH, Region.TONGUE, Region.MOUTH)
        colour = cloth_colour(rng) if rng.random() < 0.5 else np.full(3, 0.01)
        found = [shell(bust.vertices, bust.normals, bust.triangles, part, 0.008, colour)]
        azimuth, height = bust.surface.angles(eye)
        band = np.linspace(azimuth - 1.4, azimuth + 1.4, 30)
        slope = rng.uniform(0.2, 0.35) * np.sign(-azimuth)
        line, _ = bust.surface.at(band, height + slope * (band - azimuth), 0.002)
        return [*found, tube(line, rng.uniform(0.0015, 0.004), colour)]
    azimuth, height = rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.6)
    turn, long, wide = rng.uniform(0, np.pi), rng.uniform(0.015, 0.035), rng.uniform(0.012, 0.02)
    steps = np.linspace(-1, 1, 12) * long / 0.09
    path, out = bust.surface.at(azimuth + np.cos(turn) * steps, height + np.sin(turn) * steps, 0.0025)
    tone = to_linear(rng.choice([np.array([0.85, 0.7, 0.55]), np.full(3, 0.9), rng.uniform(0.1, 0.9, 3)]))
    return [strands(path[None], np.array([wide]), tone[None], out[None], roughness=0.8)]


def cap(bust: Bust, rng: np.random.Generator) -> list[Thing]:
    """A cap with a peak, a woollen hat or a head scarf, and their shadow."""
    y = bust.place[:, 1]
    line = rng.uniform(0.45, 0.8)
    part = (bust.region(Region.SCALP, Region.FACE)) & (y > line)
    colour = cloth_colour(rng)
    found = [shell(bust.vertices, bust.normals, bust.triangles, part, 0.018, colour, 0.8)]
    if rng.random() < 0.55:
        _, height = bust.surface.angles(bust.landmarks[FOREHEAD_TOP])
        angle = np.linspace(-0.85, 0.85, 24)
        inner, out = bust.surface.at(angle, np.full(24, height - rng.uniform(-0.1, 0.25)), 0.016)
        reach = rng.uniform(0.04, 0.075) * np.cos(angle / 0.85 * np.pi / 2)[:, None] ** 0.5
        forward = out * [1, 0.15, 1] + [0, rng.uniform(-0.25, 0.1), 0.6]
        outer = inner + forward / np.linalg.norm(forward, axis=1, keepdims=True) * reach
        index = np.arange(23)
        quads = np.stack([index, index + 24, index + 25, index, index + 25, index + 1], -1).reshape(-1, 3)
        found.append(Thing(np.concatenate([inner, outer]), quads, np.tile(colour, (48, 1)), 0.8, 0.03))
    elif rng.random() < 0.5:
        sides = bust.region(Region.SCALP, Region.EARS, Region.NECK) | (
            np.abs(bust.place[:, 0]) > rng.uniform(0.62, 0.8)
        )
        found.append(shell(bust.vertices, bust.normals, bust.triangles, sides, 0.016, colour, 0.8))
    return found


def scarf(bust: Bust, rng: np.random.Generator) -> list[Thing]:
    """Around neck and chin."""
    y = bust.place[:, 1]
    part = bust.region(Region.NECK, Region.FACE) & (y < rng.uniform(-1.15, -0.55))
    stripes = np.where(np.sin(y * rng.uniform(5, 40)) > rng.uniform(-1, 1), 1.0, rng.uniform(0.3, 1))
    colour = cloth_colour(rng) * stripes[:, None]
    return [shell(bust.vertices, bust.normals, bust.triangles, part, 0.014 + 0.004 * np.sin(y * 30), colour, 0.9)]


def before_the_face(
    kind: str, bust: Bust, rng: np.random.Generator, hair_tone: np.ndarray, skin_tone: np.ndarray
) -> tuple[list[Thing], list[Lens]]:
    """One of ``OCCLUDERS``; colours are linear. ``KeyError`` for another."""
    if kind in ("glasses", "sunglasses"):
        return glasses(bust, rng, kind == "sunglasses")
    makers = {
        "fringe": lambda: fringe(bust, rng, hair_tone),
        "curls": lambda: curls(bust, rng, hair_tone),
        "strands": lambda: loose_strands(bust, rng, hair_tone),
        "hand": lambda: hand(bust, rng, skin_tone),
        "microphone": lambda: microphone(bust, rng),
        "mask": lambda: face_mask(bust, rng),
        "patch": lambda: patch(bust, rng),
        "cap": lambda: cap(bust, rng),
        "scarf": lambda: scarf(bust, rng),
    }
    return makers[kind](), []
