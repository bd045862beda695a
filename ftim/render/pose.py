"""The head of a fit, placed before its camera."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ftim.morphable.model import MorphableModel
from ftim.structures import Batched, Fit


@dataclass(frozen=True)
class PosedHead(Batched):
    """A head in camera space and on the picture."""

    vertices: Tensor
    """(B, V, 3) metres, camera space."""
    normals: Tensor
    """(B, V, 3) unit vectors, camera space."""
    positions: Tensor
    """(B, V, 3) x and y in pixels, depth in metres: what a ``Rasterizer`` takes."""


def pose_head(model: MorphableModel, fit: Fit, offsets: Tensor | None = None) -> PosedHead:
    """Identity and expression, then rotation and translation, then projection. Differentiable in all of them.

    ``offsets`` (B, V, 3) in metres are added to the vertices in head space.
    """
    head = model.vertices(fit.identity, fit.expression)
    if offsets is not None:
        head = head + offsets
    to_camera = fit.rotation.mT
    vertices = head @ to_camera + fit.translation[:, None]
    return PosedHead(vertices, model.normals(head) @ to_camera, fit.camera.project(vertices))
