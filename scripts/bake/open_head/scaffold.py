"""Triangles that fill the holes of a chart (mouth, eyes, nostrils), so that relaxing it cannot make lips overlap."""

from __future__ import annotations

import numpy as np


def boundary_loops(corners: np.ndarray) -> list[list[int]]:
    """Closed loops of UV vertices along edges that belong to one triangle of (F, 3)."""
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    present = {tuple(edge) for edge in edges.tolist()}
    following = {b: a for a, b in present if (b, a) not in present}
    loops = []
    while following:
        start = min(following)
        loop, vertex = [start], following.pop(start)
        while vertex != start:
            loop.append(vertex)
            vertex = following.pop(vertex)
        loops.append(loop)
    return loops


def fill_holes(uv: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(S, 3) triangles over the UV vertices (U, 2) that close every hole but the outer boundary."""
    loops = boundary_loops(corners)
    extent = [float(np.ptp(uv[loop], axis=0).sum()) for loop in loops]
    outer = int(np.argmax(extent))
    triangles = [ear for i, loop in enumerate(loops) if i != outer for ear in clip_ears(uv, loop)]
    return np.array(triangles, dtype=np.int64).reshape(-1, 3)


def clip_ears(uv: np.ndarray, loop: list[int]) -> list[tuple[int, int, int]]:
    """Triangulate a simple polygon by cutting the ear with the widest smallest angle first (Meisters 1975)."""

    def area(a: int, b: int, c: int) -> float:
        (ax, ay), (bx, by), (cx, cy) = uv[a], uv[b], uv[c]
        return float((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))

    def quality(a: int, b: int, c: int) -> float:
        sides = sum(float(((uv[p] - uv[q]) ** 2).sum()) for p, q in ((a, b), (b, c), (c, a)))
        return sign * area(a, b, c) / max(sides, 1e-30)

    x, y = uv[loop].T
    sign = float(np.sign((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()))
    rest, triangles = list(loop), []
    while len(rest) > 3:
        best, best_quality = -1, 0.0
        for i in range(len(rest)):
            a, b, c = rest[i - 1], rest[i], rest[(i + 1) % len(rest)]
            value = quality(a, b, c)
            if value > best_quality and not any(
                min(sign * area(a, b, p), sign * area(b, c, p), sign * area(c, a, p)) >= 0
                for p in rest
                if p not in (a, b, c)
            ):
                best, best_quality = i, value
        if best < 0:
            raise ValueError(f"the hole of {len(loop)} vertices is not a simple polygon")
        triangles.append((rest[best - 1], rest[best], rest[(best + 1) % len(rest)]))
        del rest[best]
    return [*triangles, (rest[0], rest[1], rest[2])]
