"""Values at pixels from values at vertices, with gradients to both the values and the positions."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.render.rasterizer import Fragments


def _gather(values: Tensor, triangles: Tensor, face: Tensor) -> Tensor:
    """(B, V, C) values, (F, 3) triangles, (B, H, W) faces, all >= 0 -> (B, H, W, 3, C) the corners' values."""
    batch, count, channels = values.shape
    index = triangles[face]
    index = index + torch.arange(batch, device=face.device).view(-1, 1, 1, 1) * count
    # index_select is several times faster than indexing, forward and backward.
    return values.reshape(-1, channels).index_select(0, index.reshape(-1)).view(*index.shape, channels)


def differentiable_barycentrics(fragments: Fragments, positions: Tensor, triangles: Tensor) -> Tensor:
    """The fragments' weights computed again from the positions, so that gradients flow into them.

    Which triangle a pixel sees is taken as fixed: there are no gradients from silhouettes.

    Args:
        fragments: of B pictures, from a ``Rasterizer``.
        positions: (B, V, 3) x and y in pixels, depth in metres; the ones that were rasterised.
        triangles: (F, 3).

    Returns:
        (B, H, W, 3) perspective-correct weights; 0 where nothing is seen.
    """
    height, width = fragments.face.shape[1:]
    covered = fragments.covered[..., None]
    corners = _gather(positions, triangles, fragments.face.clamp(min=0))
    y = torch.arange(height, device=positions.device, dtype=positions.dtype) + 0.5
    x = torch.arange(width, device=positions.device, dtype=positions.dtype) + 0.5
    dx = corners[..., 0] - x.view(1, 1, -1, 1)
    dy = corners[..., 1] - y.view(1, -1, 1, 1)
    following, preceding = [1, 2, 0], [2, 0, 1]
    areas = dx[..., following] * dy[..., preceding] - dy[..., following] * dx[..., preceding]
    weights = areas / corners[..., 2]
    # Empty pixels divide by one instead of by a sum that may be zero, or their gradient would not be a number.
    weights = torch.where(covered, weights, 0.0)
    total = torch.where(covered, weights.sum(-1, keepdim=True), 1.0)
    return weights / total


def interpolate(
    fragments: Fragments, attributes: Tensor, triangles: Tensor, barycentric: Tensor | None = None
) -> Tensor:
    """Spread attributes of vertices over the pixels.

    Args:
        fragments: of B pictures.
        attributes: (B, V, C), or (1, V, C) when the pictures share them.
        triangles: (F, 3) indices into the attributes: a mesh's triangles, or its UV triangles.
        barycentric: (B, H, W, 3) weights to use instead of the fragments' own, which carry no gradient;
            from ``differentiable_barycentrics``.

    Returns:
        (B, C, H, W); 0 where nothing is seen.
    """
    if attributes.ndim != 3 or len(attributes) not in (1, len(fragments)):
        raise ValueError(f"attributes must be ({len(fragments)} or 1, V, C), got {tuple(attributes.shape)}")
    weights = fragments.barycentric if barycentric is None else barycentric
    face = fragments.face.clamp(min=0)
    if len(attributes) == len(face):
        corners = _gather(attributes, triangles, face)
    else:
        corners = _gather(attributes, triangles, face.view(1, -1, face.shape[-1])).view(*face.shape, 3, -1)
    # The weights of empty pixels are zero already.
    return torch.einsum("bhwk,bhwkc->bchw", weights.to(attributes.dtype), corners)
