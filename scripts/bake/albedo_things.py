"""What the heads of the albedo test have before their faces: other designs than any training head."""

from __future__ import annotations

import numpy as np

from ftim.data.rendered.camera import to_linear
from ftim.data.rendered.dress import Bust
from ftim.data.rendered.things import Thing, ball, shell, tube
from ftim.landmarks import CHIN, FOREHEAD_TOP, LEFT_IRIS, NOSE_TIP, RIGHT_IRIS
from ftim.morphable.model import Region

KINDS = ("round glasses", "straight fringe", "braids", "bandana", "telephone", "flat hand", "headband")


def before(kind: str, bust: Bust, rng: np.random.Generator, hair: np.ndarray, skin: np.ndarray) -> list[Thing]:
    """One of ``KINDS``; colours are linear."""
    makers = {
        "round glasses": lambda: round_glasses(bust, rng),
        "straight fringe": lambda: straight_fringe(bust, rng, hair),
        "braids": lambda: braids(bust, rng, hair),
        "bandana": lambda: bandana(bust, rng),
        "telephone": lambda: telephone(bust, rng),
        "flat hand": lambda: flat_hand(bust, rng, skin),
        "headband": lambda: headband(bust, rng),
    }
    return makers[kind]()


def round_glasses(bust: Bust, rng: np.random.Generator) -> list[Thing]:
    """Circles of wire or of horn, with lenses that nobody sees."""
    right, left = bust.landmarks[RIGHT_IRIS], bust.landmarks[LEFT_IRIS]
    size = float(rng.uniform(0.021, 0.027))
    wire = float(rng.choice([0.0009, 0.0024]))
    colour = to_linear(
        rng.choice([np.array([0.08, 0.06, 0.05]), np.array([0.75, 0.6, 0.35]), rng.uniform(0.1, 0.7, 3)])
    )
    angle = np.arange(48) / 48 * 2 * np.pi
    ahead = max(right[2], left[2]) + float(rng.uniform(0.013, 0.018))
    things = []
    for eye in (right, left):
        centre = np.array([eye[0], eye[1] - 0.003, ahead])
        ring = centre + size * np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)
        things.append(tube(ring, wire, colour, closed=True, roughness=0.3, reflectance=0.06))
        side = np.sign(eye[0])
        outer = centre + np.array([side * size, 0, 0])
        ear = np.array([side * (np.abs(bust.vertices[:, 0]).max() - 0.004), outer[1] + 0.002, eye[2] - 0.075])
        line = outer + (ear - outer) * np.linspace(0, 1, 8)[:, None]
        things.append(tube(line, wire, colour, roughness=0.3, reflectance=0.06))
    inner = [np.array([eye[0] - np.sign(eye[0]) * size, eye[1] - 0.001, ahead]) for eye in (right, left)]
    things.append(tube(inner[0] + (inner[1] - inner[0]) * np.linspace(0, 1, 6)[:, None], wire, colour))
    return things


def straight_fringe(bust: Bust, rng: np.random.Generator, hair: np.ndarray) -> list[Thing]:
    """A closed sheet of hair over the forehead, cut straight or slanting."""
    x, y, _ = bust.place.T
    cut = rng.uniform(0.28, 0.5) + rng.uniform(-0.25, 0.25) * x + 0.02 * np.sin(x * 60)
    part = bust.region(Region.FACE, Region.SCALP) & (y > cut) & (np.abs(x) < 0.95) & (bust.normals[:, 2] > -0.2)
    strands = np.exp(0.25 * np.sin(x * rng.uniform(150, 300)) + rng.normal(0, 0.1, len(x)))
    return [shell(bust.vertices, bust.normals, bust.triangles, part, 0.006, hair * strands[:, None], 0.45, 0.05)]


def braids(bust: Bust, rng: np.random.Generator, hair: np.ndarray) -> list[Thing]:
    """Thick plaits that hang before temples and cheeks."""
    found = []
    for _ in range(int(rng.integers(2, 6))):
        azimuth = rng.choice([-1, 1]) * rng.uniform(0.35, 1.15)
        height = np.linspace(0.9, rng.uniform(-0.8, -0.2), 40)
        sway = azimuth + 0.06 * np.sin(height * 4 + rng.uniform(0, 6))
        line, _ = bust.surface.at(sway, height, 0.008)
        radius = rng.uniform(0.0035, 0.006) * (1 + 0.25 * np.abs(np.sin(np.arange(40) * 0.9)))
        found.append(tube(line, radius, hair * np.exp(rng.normal(0, 0.15)), roughness=0.45, reflectance=0.05))
    return found


def bandana(bust: Bust, rng: np.random.Generator) -> list[Thing]:
    """A cloth with dots over nose, mouth and chin."""
    x, y, _ = bust.place.T
    part = (
        bust.region(Region.FACE, Region.NECK) & (y < -0.24 - 0.1 * np.abs(x)) & (y > -1.6) & (bust.normals[:, 2] > -0.1)
    )
    ground, dots = to_linear(rng.uniform(0.1, 0.8, 3)), to_linear(rng.uniform(0.5, 1.0, 3))
    dotted = (np.sin(x * 40) * np.sin(y * 40) > 0.5)[:, None]
    colour = np.where(dotted, dots, ground)
    return [shell(bust.vertices, bust.normals, bust.triangles, part, 0.008 + 0.002 * np.sin(x * 30), colour, 0.9, 0.02)]


def telephone(bust: Bust, rng: np.random.Generator) -> list[Thing]:
    """A slab held to a cheek."""
    side = rng.choice([-1, 1])
    at, out = bust.surface.at(np.array(side * 0.95), np.array(-0.35), 0.012)
    up = np.array([side * -0.15, 0.95, 0.25])
    up /= np.linalg.norm(up)
    across = np.cross(up, out)
    across /= np.linalg.norm(across)
    corners = [
        at + up * a * 0.07 + across * b * 0.035 + out * c * 0.004 for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)
    ]
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    colour = np.tile(np.full(3, rng.choice([0.015, 0.5])), (8, 1))
    return [Thing(np.array(corners), triangles, colour, 0.25, 0.05)]


def flat_hand(bust: Bust, rng: np.random.Generator, skin: np.ndarray) -> list[Thing]:
    """A hand laid on the forehead, a cheek or the chin, its fingers beside each other."""
    target = bust.landmarks[rng.choice([FOREHEAD_TOP, CHIN, NOSE_TIP])]
    azimuth, height = bust.surface.angles(target)
    side = rng.choice([-1, 1])
    height = height + (-0.15 if height > 0.2 else 0.1)
    tone = skin * np.exp(rng.normal(0, 0.08))
    found = []
    for finger in range(4):
        steps = np.linspace(0, 1, 14)
        line, _ = bust.surface.at(
            azimuth + side * (1.1 - steps * rng.uniform(0.85, 1.0)), height + 0.14 * (finger - 1.5) + 0.1 * steps, 0.009
        )
        radius = 0.0085 * (1 + 0.07 * np.sin(steps * 11)) * np.sqrt(1 - np.clip((steps - 0.85) / 0.16, 0, 1) ** 2)
        found.append(tube(line, radius, tone * np.exp(rng.normal(0, 0.04)), roughness=0.5, reflectance=0.03))
    palm, _ = bust.surface.at(np.array(azimuth + side * 1.25), np.array(height), 0.02)
    return [*found, ball(palm, np.array([0.02, 0.042, 0.045]), tone, roughness=0.5)]


def headband(bust: Bust, rng: np.random.Generator) -> list[Thing]:
    """A broad band around the forehead."""
    y = bust.place[:, 1]
    low = rng.uniform(0.4, 0.55)
    part = bust.region(Region.FACE, Region.SCALP) & (y > low) & (y < low + rng.uniform(0.2, 0.35))
    return [shell(bust.vertices, bust.normals, bust.triangles, part, 0.012, to_linear(rng.uniform(0.05, 0.9, 3)), 0.9)]
