"""The face UV atlas: MakeHuman's charts relaxed towards a wanted texel density, symmetric about u = 0.5.

The main chart (skin of the whole head) starts from MakeHuman's layout and is relaxed with the symmetric
Dirichlet energy (Smith and Schaefer 2015) against each triangle's size times its wanted density, so that the
face gets most of the texels and no triangle flips. The small charts (eyes, sockets, teeth, tongue, mouth) are cut
along the middle where they cross it and placed in mirrored pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import laplacian as graph_laplacian
from scipy.sparse.linalg import factorized

from scripts.bake.open_head.scaffold import fill_holes

FACE_DENSITY, HEAD_DENSITY, EAR_DENSITY = 1.0, 0.27, 0.42
HOLE_WEIGHT = 0.01
"""How stiff the filling of the holes is against the skin."""
FEATURE_GAIN, FEATURE_RADIUS = 0.45, 0.022


@dataclass(frozen=True)
class Chart:
    """One connected piece: its UV vertices and triangles over them."""

    triangles: np.ndarray
    """(F,) rows of the head's triangles."""
    corners: np.ndarray
    """(F, 3) indices into ``uv``."""
    uv: np.ndarray
    """(U, 2)."""
    mirror: np.ndarray
    """(U,) partner under u -> -u; the chart must be its own mirror image."""


def local_frames(points: np.ndarray, density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F, 3, 3) corners -> inverse of the 2x2 edge matrix in the triangle's plane, scaled; and its area."""
    a, b = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    length = np.linalg.norm(a, axis=1)
    along = a / length[:, None]
    x = (b * along).sum(1)
    y = np.linalg.norm(b - x[:, None] * along, axis=1)
    edges = np.zeros((len(points), 2, 2))
    edges[:, 0, 0], edges[:, 0, 1], edges[:, 1, 1] = length * density, x * density, np.maximum(y, 1e-6) * density
    return np.linalg.inv(edges), 0.5 * length * y * density**2


def symmetric(uv: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The part of (U, 2) that is its own mirror image about u = 0."""
    return 0.5 * (uv + uv[mirror] * [-1.0, 1.0])


def energy(
    flat: np.ndarray, corners: np.ndarray, mirror: np.ndarray, inverse: np.ndarray, area: np.ndarray, sign: float
) -> tuple[float, np.ndarray]:
    """Symmetric Dirichlet energy and the symmetric part of its gradient; 1e30 when a triangle is flipped."""
    uv = flat.reshape(-1, 2)
    a, b = uv[corners[:, 1]] - uv[corners[:, 0]], uv[corners[:, 2]] - uv[corners[:, 0]]
    jacobian = np.stack([a, b], -1) @ inverse
    det = jacobian[:, 0, 0] * jacobian[:, 1, 1] - jacobian[:, 0, 1] * jacobian[:, 1, 0]
    if (sign * det).min() <= 0:
        return 1e30, np.zeros_like(flat)
    square = (jacobian**2).sum((1, 2))
    value = (area * square * (1 + 1 / det**2)).sum()
    cofactor = np.stack(
        [
            np.stack([jacobian[:, 1, 1], -jacobian[:, 1, 0]], -1),
            np.stack([-jacobian[:, 0, 1], jacobian[:, 0, 0]], -1),
        ],
        -2,
    )
    slope = 2 * jacobian * (1 + 1 / det**2)[:, None, None] - 2 * (square / det**3)[:, None, None] * cofactor
    on_edges = (area[:, None, None] * slope) @ inverse.transpose(0, 2, 1)
    gradient = np.zeros_like(uv)
    np.add.at(gradient, corners[:, 1], on_edges[:, :, 0])
    np.add.at(gradient, corners[:, 2], on_edges[:, :, 1])
    np.add.at(gradient, corners[:, 0], -on_edges.sum(2))
    return float(value), symmetric(gradient, mirror).ravel()


def relax(chart: Chart, points: np.ndarray, density: np.ndarray, rounds: int, iterations: int) -> np.ndarray:
    """Relaxed UV (U, 2) of a chart, in metres times density, exactly symmetric about u = 0.

    points is (F, 3, 3), the triangles' corners in space; density (F,) the wanted texels a metre, relative.
    """
    inverse, area = local_frames(points, density)
    first, second = chart.uv[chart.corners[:, 1]], chart.uv[chart.corners[:, 2]]
    origin = chart.uv[chart.corners[:, 0]]
    det = np.linalg.det(np.stack([first - origin, second - origin], -1))
    sign = float(np.sign(np.median(det)))
    if (sign * det).min() <= 0:
        raise ValueError(f"{int((sign * det <= 0).sum())} triangles of the chart start flipped")
    uv = chart.uv * np.sqrt(area.sum() / (0.5 * np.abs(det).sum()))

    skin = (chart.corners, chart.mirror, inverse, area, sign)
    start = energy(uv.ravel(), *skin)[0] / area.sum()
    for _ in range(rounds):
        # The filling is cut anew from the present shape of the holes, else its first triangles would lock them.
        holes = fill_holes(uv, chart.corners)
        flat = np.concatenate([uv, np.zeros((len(uv), 1))], 1)
        hole_inverse, hole_area = local_frames(flat[holes], np.ones(len(holes)))
        with_holes = (
            np.concatenate([chart.corners, holes]),
            chart.mirror,
            np.concatenate([inverse, hole_inverse]),
            np.concatenate([area, HOLE_WEIGHT * hole_area]),
            sign,
        )
        uv = symmetric(descend(uv, with_holes, iterations), chart.mirror)
    final = energy(uv.ravel(), *skin)[0] / area.sum()
    print(f"chart of {len(chart.triangles)} triangles: energy {start:.2f} -> {final:.2f} (4 is isometric)")
    return uv


def descend(
    uv: np.ndarray, arguments: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float], iterations: int
) -> np.ndarray:
    """Minimise the energy by L-BFGS preconditioned with the chart's graph Laplacian (Zhu et al. 2018, simplified).

    Steps are halved until no triangle flips and the energy falls (Armijo).
    """
    corners = arguments[0]
    rows = corners.ravel()
    columns = np.roll(corners, 1, 1).ravel()
    links = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(uv),) * 2)
    laplacian = graph_laplacian((links + links.T).tocsr()) + 1e-4 * sparse.eye(len(uv))
    solve = factorized(laplacian.tocsc())

    def precondition(vector: np.ndarray) -> np.ndarray:
        return symmetric(np.stack([solve(column) for column in vector.reshape(-1, 2).T], -1), arguments[1]).ravel()

    x = uv.ravel().copy()
    value, gradient = energy(x, *arguments)
    history: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(iterations):
        q, weights = gradient.copy(), []
        for s, y in reversed(history):
            weights.append((s @ q) / (s @ y))
            q -= weights[-1] * y
        direction = -precondition(q)
        for (s, y), weight in zip(history, reversed(weights), strict=True):
            direction += s * (-weight - (y @ direction) / (s @ y))
        slope = direction @ gradient
        if slope >= 0:
            history.clear()
            direction = -precondition(gradient)
            slope = direction @ gradient
        step = 1.0
        while step > 1e-12:
            candidate, new_gradient = energy(x + step * direction, *arguments)
            if candidate <= value + 1e-4 * step * slope:
                break
            step *= 0.5
        else:
            break
        s, y = step * direction, new_gradient - gradient
        if s @ y > 1e-14 * np.sqrt((s @ s) * (y @ y)):
            history = [*history[-9:], (s, y)]
        improvement = value - candidate
        x, value, gradient = x + s, candidate, new_gradient
        if improvement < 1e-7 * value:
            break
    return x.reshape(-1, 2)


def wanted_density(centres: np.ndarray, face: np.ndarray, ears: np.ndarray, features: np.ndarray) -> np.ndarray:
    """(F,) relative texels a metre: full on the face, more around eyes and mouth, falling off over 4 cm behind it."""
    from scipy.spatial import cKDTree

    away = cKDTree(centres[face]).query(centres)[0]
    density = HEAD_DENSITY + (FACE_DENSITY - HEAD_DENSITY) * np.exp(-((away / 0.03) ** 2))
    density[ears] = np.maximum(density[ears], EAR_DENSITY)
    near = cKDTree(features).query(centres)[0]
    return density * (1 + FEATURE_GAIN * np.exp(-((near / FEATURE_RADIUS) ** 2)))
