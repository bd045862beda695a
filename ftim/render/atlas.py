"""The UV atlas as a picture: which point of the head each texel shows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.morphable.model import MorphableModel
from ftim.render.rasterizer import Fragments, Rasterizer
from ftim.structures import Batched

GUTTER = 4
"""Texels. Charts are extended this far beyond their border, so that filtering there never meets an empty texel."""


@dataclass(frozen=True)
class Atlas(Batched):
    """The texels that show a point of the head, N of them, in the order of the map's rows."""

    texel: Tensor
    """(N,) int64, row * size + column."""
    face: Tensor
    """(N,) int64 triangle. A texel of the gutter has the triangle nearest to it."""
    corners: Tensor
    """(N, 3) int64 vertices of that triangle."""
    weights: Tensor
    """(N, 3) barycentric weights, all >= 0."""
    inside: Tensor
    """(N,) bool: the texel's centre lies in a chart, not in the gutter."""
    size: int
    """Side of the map, T."""

    def spread(self, attributes: Tensor) -> Tensor:
        """(B, V, C) values at vertices -> (B, N, C) at texels. Differentiable."""
        batch, count, channels = attributes.shape
        table = attributes.permute(1, 0, 2).reshape(count, batch * channels)
        # One weighted lookup for the whole batch; several times faster than gathering corners and summing.
        values = F.embedding_bag(self.corners, table, per_sample_weights=self.weights.to(table.dtype), mode="sum")
        return values.view(-1, batch, channels).permute(1, 0, 2)

    def image(self, values: Tensor, empty: float = 0.0) -> Tensor:
        """(B, N, C) values at texels -> (B, C, T, T), ``empty`` where no point of the head is shown."""
        batch, _, channels = values.shape
        image = values.new_full((batch, channels, self.size * self.size), empty)
        return image.index_copy(2, self.texel, values.permute(0, 2, 1)).view(batch, channels, self.size, self.size)


def rasterize_atlas(model: MorphableModel, rasterizer: Rasterizer, size: int) -> Fragments:
    """Fragments (batch of 1) of the model's UV charts on a map of ``size`` texels; depth is 1 everywhere."""
    flat = torch.cat([model.uv * size, torch.ones_like(model.uv[:, :1])], dim=1)
    return rasterizer(flat[None], model.uv_triangles, size, size)


def build_atlas(model: MorphableModel, rasterizer: Rasterizer, size: int) -> Atlas:
    """Rasterise the charts and extend them by ``GUTTER``."""
    face = rasterize_atlas(model, rasterizer, size).face[0]
    inside = (face >= 0).flatten()
    extended = _extend(face, GUTTER).flatten()
    texel = torch.nonzero(extended >= 0)[:, 0]
    chosen = extended[texel]
    centre = torch.stack([texel % size, texel // size], -1).double() + 0.5
    corners = model.uv[model.uv_triangles[chosen]].double() * size - centre[:, None]
    weights = torch.where(inside[texel][:, None], _weights(corners), _nearest_on_rim(corners))
    return Atlas(
        texel=texel,
        face=chosen,
        corners=model.triangles[chosen],
        weights=weights.to(model.template.dtype),
        inside=inside[texel],
        size=size,
    )


def _extend(face: Tensor, reach: int) -> Tensor:
    """(T, T) -> (T, T): empty entries (-1) take the value of the nearest other one, up to ``reach`` away."""
    offsets = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    offsets = sorted((o for o in offsets if 0 < o[0] ** 2 + o[1] ** 2 <= reach**2), key=lambda o: o[0] ** 2 + o[1] ** 2)
    height, width = face.shape
    padded = F.pad(face, (reach, reach, reach, reach), value=-1)
    result = face
    for y, x in offsets:
        neighbour = padded[reach + y : reach + y + height, reach + x : reach + x + width]
        result = torch.where(result < 0, neighbour, result)
    return result


def _weights(corners: Tensor) -> Tensor:
    """(N, 3, 2) corners around the origin -> (N, 3) barycentric weights of the origin, >= 0 against rounding."""
    a, b, c = corners.unbind(1)
    areas = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], -1)
    weights = (areas / areas.sum(-1, keepdim=True)).clamp(min=0)
    return weights / weights.sum(-1, keepdim=True)


def _nearest_on_rim(corners: Tensor) -> Tensor:
    """(N, 3, 2) corners -> (N, 3) barycentric weights of the point on the triangle's rim nearest to the origin."""
    after = corners.roll(-1, 1)
    along = after - corners
    share = (-(corners * along).sum(-1) / along.square().sum(-1).clamp(min=1e-12)).clamp(0, 1)
    distance = (corners + share[..., None] * along).square().sum(-1)
    edge = distance.argmin(1, keepdim=True)
    share = share.gather(1, edge)
    weights = torch.zeros_like(distance).scatter_(1, edge, 1 - share)
    return weights.scatter_(1, (edge + 1) % 3, share)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Twice the signed area of the triangle (origin, a, b); both (..., 2)."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
