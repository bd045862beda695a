"""Which triangle is face, ear, scalp, neck, eye, tooth, tongue, or inside of the mouth."""

from __future__ import annotations

import numpy as np
from matplotlib.path import Path as Polygon

from ftim.morphable.model import Region
from scripts.bake.open_head.identity import Bases
from scripts.bake.open_head.landmarks import Embedding
from scripts.bake.open_head.mesh import AnnyModel, HeadMesh

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""MediaPipe's outer contour of the face, from the top of the forehead towards the subject's left."""
FOREHEAD_RISE = 0.012
"""Metres by which the face reaches above MediaPipe's contour, towards the hair line."""
GROWTH = 0.003


def chart_components(corner_uv: np.ndarray) -> np.ndarray:
    """(F, 3) UV indices -> (F,) number of the connected UV chart of each triangle."""
    import scipy.sparse as sparse
    from scipy.sparse.csgraph import connected_components

    rows = np.repeat(np.arange(len(corner_uv)), 3)
    incidence = sparse.coo_matrix((np.ones(len(rows)), (rows, corner_uv.ravel()))).tocsr()
    return connected_components(incidence @ incidence.T, directed=False)[1]


def label_regions(
    mesh: HeadMesh, bases: Bases, embedding: Embedding, charts: np.ndarray, ears: np.ndarray
) -> np.ndarray:
    """(F,) values of ``Region``; mirror-symmetric because every rule is.

    charts (F,) numbers the UV charts; ears (V,) is true for vertices that the ears' changes move.
    """
    head = bases.mean
    centre = head[mesh.triangles].mean(1)
    skin = mesh.groups == 0
    sizes = np.bincount(charts[skin], minlength=charts.max() + 1)
    main = charts == sizes.argmax()
    regions = np.full(len(centre), int(Region.SCALP))
    corners = head[mesh.triangles[embedding.triangles]]
    oval = (corners * embedding.barycentrics[:, :, None]).sum(1)[list(FACE_OVAL)]
    oval = 0.5 * (oval + oval[[0, *range(len(oval) - 1, 0, -1)]] * [-1.0, 1.0, 1.0])
    chin = oval[:, 1].min()
    middle = oval[:, 1].mean()
    rise = np.clip((oval[:, 1] - middle) / (oval[:, 1].max() - middle), 0, 1) ** 2
    outline = np.stack([unrolled(oval), oval[:, 1] + FOREHEAD_RISE * rise], -1)
    outline += GROWTH * (outline - [0, middle]) / np.linalg.norm(outline - [0, middle], axis=1, keepdims=True)
    face = Polygon(outline).contains_points(np.stack([unrolled(centre), centre[:, 1]], -1)) & (centre[:, 2] > -0.09)
    in_front = np.clip(centre[:, 2] + 0.085, 0, None)
    regions[centre[:, 1] < chin + 0.03 + 0.9 * in_front] = Region.NECK
    regions[centre[:, 1] > 0.02] = Region.SCALP
    regions[face] = Region.FACE
    regions[ears[mesh.triangles].all(1) & (regions != Region.FACE)] = Region.EARS
    for chart in np.unique(charts[skin & ~main]):
        rows = charts == chart
        if np.abs(centre[rows, 0]).min() > 0.005:
            regions[rows] = Region.EYES  # the socket behind the lids
        else:
            regions[rows] = Region.MOUTH if centre[rows, 2].max() > 0.0 else Region.NECK
    for group, region in ((1, Region.EYES), (2, Region.EYES), (3, Region.TEETH), (4, Region.TEETH), (5, Region.TONGUE)):
        regions[mesh.groups == group] = region
    return regions


def unrolled(points: np.ndarray) -> np.ndarray:
    """Arc length in metres around a vertical cylinder of 75 mm radius through the head's middle."""
    return 0.075 * np.arctan2(points[..., 0], points[..., 2] + 0.075)


def ear_vertices(whole: AnnyModel, mesh: HeadMesh) -> np.ndarray:
    """(V,) true where the ears' own changes move the surface by more than five millimetres."""
    labels = list(whole.blendshape_labels)
    rows = [i for i, name in enumerate(labels) if name.split(":")[-1][2:].startswith("ear-")]
    return (whole.blendshapes[rows][:, mesh.base_vertices].norm(dim=-1).amax(0) > 5e-3).numpy()
