"""Shapes that heads wear and hold: shells over a part of the head, strands, tubes and balls, as meshes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

SIDES = 6
"""Of a tube."""


@dataclass(frozen=True)
class Thing:
    """A mesh in head space, in metres, that hides what is behind it."""

    vertices: np.ndarray
    """(N, 3)."""
    triangles: np.ndarray
    """(M, 3) int64."""
    colour: np.ndarray
    """(N, 3) linear albedo."""
    roughness: float = 0.6
    reflectance: float = 0.03
    """Of light that falls straight on it; hair, cloth and plastic have about 0.02 to 0.05."""


@dataclass(frozen=True)
class Lens:
    """A sheet that is looked through."""

    vertices: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    """(N, 3) unit."""
    tint: np.ndarray
    """(3,) factor of what is behind it."""
    reflectance: float


def joined(things: list[Thing]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (N, 3), triangles (M, 3), and for each vertex colour (N, 3) and (roughness, reflectance) (N, 2)."""
    starts = np.cumsum([0, *[len(thing.vertices) for thing in things]])[:-1]
    vertices = [thing.vertices for thing in things]
    triangles = [thing.triangles + start for thing, start in zip(things, starts, strict=True)]
    gloss = [np.tile([[thing.roughness, thing.reflectance]], (len(thing.vertices), 1)) for thing in things]
    return (
        np.concatenate(vertices).astype(np.float32),
        np.concatenate(triangles),
        np.concatenate([thing.colour for thing in things]).astype(np.float32),
        np.concatenate(gloss).astype(np.float32),
    )


def shell(
    vertices: np.ndarray, normals: np.ndarray, triangles: np.ndarray, part: np.ndarray, offset: np.ndarray | float,
    colour: np.ndarray, roughness: float = 0.7, reflectance: float = 0.03,
) -> Thing:  # fmt: skip
    """A part of the head's surface, pushed outwards.

    Args:
        part: (V,) bool, its vertices. offset: (V,) or a number, metres. colour: (V, 3) or (3,).
    """
    kept = triangles[part[triangles].all(1)]
    moved = vertices + normals * np.broadcast_to(offset, len(vertices))[:, None]
    return Thing(moved, kept, np.broadcast_to(colour, vertices.shape), roughness, reflectance)


def tube(
    points: np.ndarray, radius: np.ndarray | float, colour: np.ndarray, closed: bool = False, *,
    roughness: float = 0.6, reflectance: float = 0.03,
) -> Thing:  # fmt: skip
    """Round a line of points (K, 3); ``radius`` is a number or (K,)."""
    count = len(points)
    ahead = np.roll(points, -1, 0) - np.roll(points, 1, 0)
    if not closed:
        ahead[0], ahead[-1] = points[1] - points[0], points[-1] - points[-2]
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True).clip(1e-9)
    helper = np.where(np.abs(ahead[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    side = np.cross(ahead, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True).clip(1e-9)
    up = np.cross(side, ahead)
    angle = np.arange(SIDES) / SIDES * 2 * np.pi
    around = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * up[:, None]
    vertices = points[:, None] + around * np.broadcast_to(radius, count)[:, None, None]
    ring = np.arange(count if closed else count - 1)[:, None] * SIDES
    here, there = np.arange(SIDES)[None], (np.arange(SIDES) + 1)[None] % SIDES
    after = (ring + SIDES) % (count * SIDES)
    quads = np.stack([ring + here, after + here, after + there, ring + here, after + there, ring + there], -1)
    return Thing(
        vertices.reshape(-1, 3), quads.reshape(-1, 3), np.tile(colour, (count * SIDES, 1)), roughness, reflectance
    )


def ball(centre: np.ndarray, radii: np.ndarray, colour: np.ndarray, rows: int = 12, **gloss: float) -> Thing:
    """An ellipsoid with axes along x, y and z."""
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, 2 * rows), indexing="ij")
    unit = np.stack([np.sin(polar) * np.cos(azimuth), np.cos(polar), np.sin(polar) * np.sin(azimuth)], -1)
    index = np.arange(polar.size).reshape(polar.shape)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    vertices = centre + unit.reshape(-1, 3) * radii
    return Thing(vertices, triangles, np.tile(colour, (len(vertices), 1)), **gloss)


def strands(paths: np.ndarray, width: np.ndarray, colour: np.ndarray, out: np.ndarray, **gloss: float) -> Thing:
    """Ribbons that lie flat on the head.

    Args:
        paths: (S, K, 3) lines of points. width: (S,) metres. colour: (S, 3). out: (S, K, 3) away from the head.
    """
    count, length, _ = paths.shape
    along = np.gradient(paths, axis=1)
    across = np.cross(along, out)
    across /= np.linalg.norm(across, axis=-1, keepdims=True).clip(1e-9)
    taper = np.linspace(1, 0.35, length)[None, :, None]
    half = across * (width[:, None, None] / 2 * taper)
    vertices = np.stack([paths - half, paths + half], 2).reshape(-1, 3)
    start = (np.arange(count)[:, None] * length + np.arange(length - 1)[None]) * 2
    quads = np.stack([start, start + 1, start + 3, start, start + 3, start + 2], -1).reshape(-1, 3)
    return Thing(vertices, quads, np.repeat(colour, 2 * length, 0), **gloss)


@dataclass(frozen=True)
class Surface:
    """The head seen from its middle: how far its skin is in each direction."""

    centre: np.ndarray
    """(3,)."""
    points: np.ndarray
    """(V, 3) of the skin."""

    @cached_property
    def _tree(self) -> tuple[cKDTree, np.ndarray]:
        away = self.points - self.centre
        far = np.linalg.norm(away, axis=1)
        return cKDTree(away / far[:, None]), far

    def at(self, azimuth: np.ndarray, height: np.ndarray, above: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Points ``above`` metres over the skin, and the directions out there.

        Args:
            azimuth: radians from the front towards x. height: radians above the horizon of the centre.
        """
        out = np.stack([np.cos(height) * np.sin(azimuth), np.sin(height), np.cos(height) * np.cos(azimuth)], -1)
        tree, far = self._tree
        distance, index = tree.query(out.reshape(-1, 3), k=3)
        weight = 1 / (distance + 0.01)
        radius = ((far[index] * weight).sum(1) / weight.sum(1)).reshape(out.shape[:-1])
        return self.centre + out * (radius + above)[..., None], out

    def angles(self, point: np.ndarray) -> tuple[float, float]:
        """Azimuth and height of a point (3,)."""
        x, y, z = point - self.centre
        return float(np.arctan2(x, z)), float(np.arctan2(y, np.hypot(x, z)))
