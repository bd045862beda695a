"""What the official heads need of a triangle mesh and the project has for its own head only."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from ftim.render.image import soften
from ftim.structures import Face, Rendering


def vertex_normals(vertices: Tensor, triangles: Tensor) -> Tensor:
    """(B, V, 3), (F, 3) -> (B, V, 3) unit normals, each the area-weighted mean of its triangles."""
    a, b, c = vertices[:, triangles].unbind(2)
    weighted = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for corner in triangles.unbind(1):
        total = total.index_add(1, corner, weighted)
    return F.normalize(total, dim=-1, eps=1e-6)


def laid_over(color: Tensor, mask: Tensor, face: Face) -> Rendering:
    """A drawn head over its crop, as ``ftim.render.ImageRenderer`` does it.

    Args:
        color: (B, 3, S, S), clamped to [0, 1] here.
        mask: (B, 1, S, S): 1 where the head was drawn; it is kept inside the photograph.
        face: the crops.
    """
    mask = mask * face.valid
    image = color.clamp(0, 1) * (mask > 0)
    return Rendering(image=image, mask=mask, overlay=torch.lerp(face.image, image, soften(mask)))


def connected_parts(triangles: Tensor, count: int) -> list[Tensor]:
    """The vertices of a mesh's three largest connected parts, largest first."""
    corners = triangles.numpy()
    links = coo_matrix((np.ones(corners.size), (corners.ravel(), np.roll(corners, 1, 1).ravel())), (count, count))
    labels = connected_components(links, directed=False)[1]
    order = np.argsort(-np.bincount(labels), kind="stable")
    return [torch.from_numpy(np.flatnonzero(labels == label)) for label in order[:3]]


def skin_vertices(triangles: Tensor, count: int) -> Tensor:
    """(N,) the vertices of a mesh's largest connected part."""
    return connected_parts(triangles, count)[0]
