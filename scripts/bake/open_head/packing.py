"""Placing the charts in the unit square: the relaxed head above, eyes, teeth, tongue and mouth in a strip below."""

from __future__ import annotations

import numpy as np

from ftim.morphable.model import Region
from scripts.bake.open_head.atlas import Chart, relax, symmetric, wanted_density
from scripts.bake.open_head.identity import Bases
from scripts.bake.open_head.landmarks import Embedding
from scripts.bake.open_head.mesh import HeadMesh

MARGIN = 0.008
"""Free border around the head chart, in units of the atlas side (4 texels of 512)."""
LANDMARKS_OF_FEATURES = [33, 133, 159, 145, 362, 263, 386, 374, 61, 291, 13, 14, 78, 308]
STACK = {"mouth": 0.070, "upper teeth": 0.034, "lower teeth": 0.034, "tongue": 0.044, "neck": 0.030}
"""Heights of the charts that stand on the middle line below the head, from top to bottom."""
PAIRS = {"eye": (0.125, 0.16), "socket": (0.285, 0.085), "eyeball": (0.37, 0.04)}
"""Centre u (on the left) and side of the charts that come in pairs."""


def chart_of(mesh: HeadMesh, rows: np.ndarray) -> Chart:
    """The triangles ``rows`` as a chart with its own UV vertices in MakeHuman's layout.

    The mirror is filled only when the rows are closed under mirroring; otherwise it is empty.
    """
    used, inverse = np.unique(mesh.corner_uv[rows], return_inverse=True)
    corners = inverse.reshape(-1, 3)
    row_of = {tuple(sorted(triangle)): i for i, triangle in enumerate(mesh.triangles[rows])}
    mirror = np.full(len(used), -1)
    for i, triangle in enumerate(mesh.triangles[rows]):
        flipped = mesh.vertex_mirror[triangle]
        partner = row_of.get(tuple(sorted(flipped)))
        if partner is not None:
            for k in range(3):
                mirror[corners[i, k]] = corners[partner, np.flatnonzero(mesh.triangles[rows][partner] == flipped[k])[0]]
    return Chart(rows, corners, mesh.uv[used], mirror if mirror.min() >= 0 else np.empty(0, int))


def upright(chart: Chart, positions: np.ndarray) -> np.ndarray:
    """UV turned (and mirrored if need be) so that u follows x and v follows -y as well as it can, centred at 0."""
    target = positions[:, :2] * [1.0, -1.0]
    target = target - target.mean(0)
    uv = chart.uv - chart.uv.mean(0)
    u, _, vt = np.linalg.svd(uv.T @ target)
    turned = uv @ (u @ vt)
    return symmetric(turned, chart.mirror) if len(chart.mirror) else turned


def chart_positions(mesh: HeadMesh, bases: Bases, chart: Chart) -> np.ndarray:
    """(U, 3) place in space of each UV vertex."""
    positions = np.zeros((len(chart.uv), 3))
    positions[chart.corners.ravel()] = bases.mean[mesh.triangles[chart.triangles]].reshape(-1, 3)
    return positions


def fitted(uv: np.ndarray, height: float, centre: tuple[float, float]) -> np.ndarray:
    """Scaled to a height and moved so that the bounding box is centred (in u the origin stays the middle line)."""
    low, high = uv.min(0), uv.max(0)
    scaled = uv * height / (high[1] - low[1])
    middle = 0.5 * (scaled.min(0) + scaled.max(0))
    return scaled - middle + np.asarray(centre)


def pack(
    mesh: HeadMesh, bases: Bases, embedding: Embedding, charts: np.ndarray, regions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(U, 2) in [0, 1] with v down, and (F, 3) indices into it: the atlas of the whole head."""
    parts = {int(number): np.flatnonzero(charts == number) for number in np.unique(charts)}
    main = max(parts, key=lambda number: len(parts[number]))
    placed: list[tuple[Chart, np.ndarray]] = []

    head = chart_of(mesh, parts[main])
    corners = bases.mean[mesh.triangles]
    features = (corners[embedding.triangles] * embedding.barycentrics[:, :, None]).sum(1)[LANDMARKS_OF_FEATURES]
    rows = head.triangles
    density = wanted_density(
        corners[rows].mean(1), regions[rows] == Region.FACE, regions[rows] == Region.EARS, features
    )
    start = upright(head, chart_positions(mesh, bases, head))
    relaxed = relax(Chart(rows, head.corners, start, head.mirror), corners[rows], density, 40, 30)
    relaxed *= (0.5 - MARGIN) / np.abs(relaxed[:, 0]).max()
    relaxed += [0.5, MARGIN - relaxed[:, 1].min()]
    placed.append((head, relaxed))

    below = relaxed[:, 1].max()
    strip = 1.0 - below
    tops = dict(zip(STACK, np.cumsum([0.0, *STACK.values()]), strict=False))
    gap = (strip - MARGIN - sum(STACK.values())) / len(STACK)
    if gap < 0.004:
        raise ValueError(f"the strip below the head chart is {strip:.3f} high: too low for the small charts")
    for number, part in parts.items():
        if number == main:
            continue
        chart = chart_of(mesh, part)
        positions = chart_positions(mesh, bases, chart)
        uv = upright(chart, positions)
        name = name_of(mesh, positions, part)
        if name in STACK:
            order = list(STACK).index(name)
            middle = below + tops[name] + gap * (order + 1) + 0.5 * STACK[name]
            placed.append((chart, fitted(uv, STACK[name], (0.5, middle))))
        elif positions[:, 0].mean() < 0:
            u, side = PAIRS[name]
            left = fitted(uv, side, (u, below + 0.5 * strip))
            placed.append((chart, left))
            placed.append(mirrored_chart(mesh, chart, left))
    return joined(placed, len(mesh.triangles))


def name_of(mesh: HeadMesh, positions: np.ndarray, rows: np.ndarray) -> str:
    """Which of the small charts this is, by its group and place."""
    group = int(mesh.groups[rows[0]])
    if group in (1, 2):
        return "eye" if positions[:, 2].mean() > 0 else "eyeball"
    if group:
        return {3: "upper teeth", 4: "lower teeth", 5: "tongue"}[group]
    if np.abs(positions[:, 0]).min() > 0.005:
        return "socket"
    return "mouth" if positions[:, 2].max() > 0.0 else "neck"


def mirrored_chart(mesh: HeadMesh, chart: Chart, uv: np.ndarray) -> tuple[Chart, np.ndarray]:
    """The partner of a chart that lies on one side, with the exactly mirrored layout."""
    row_of = {tuple(sorted(triangle)): i for i, triangle in enumerate(mesh.triangles)}
    rows = [row_of[tuple(sorted(mesh.vertex_mirror[triangle]))] for triangle in mesh.triangles[chart.triangles]]
    partner = chart_of(mesh, np.array(rows))
    layout = np.zeros_like(partner.uv)
    for i, triangle in enumerate(mesh.triangles[chart.triangles]):
        for k in range(3):
            where = np.flatnonzero(mesh.triangles[rows[i]] == mesh.vertex_mirror[triangle[k]])[0]
            layout[partner.corners[i, where]] = [1.0, 0.0] + uv[chart.corners[i, k]] * [-1.0, 1.0]
    return partner, layout


def joined(placed: list[tuple[Chart, np.ndarray]], triangles: int) -> tuple[np.ndarray, np.ndarray]:
    """One UV table and one corner table from the placed charts."""
    corners = np.full((triangles, 3), -1)
    uv: list[np.ndarray] = []
    for chart, layout in placed:
        corners[chart.triangles] = chart.corners + sum(len(item) for item in uv)
        uv.append(layout)
    table = np.concatenate(uv)
    if corners.min() < 0 or table.min() < 0 or table.max() > 1:
        raise ValueError("the atlas leaves out triangles or leaves the unit square")
    return table, corners
