"""The slow, readable twin of the Warp rasteriser: the oracle of its tests."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.render.rasterizer import NEAR, Fragments, check_mesh, empty_fragments


class TorchRasterizer:
    """Tests every pixel of each triangle's box, triangle after triangle, in double precision. Any device."""

    def __call__(self, positions: Tensor, triangles: Tensor, height: int, width: int) -> Fragments:
        """See ``Rasterizer``."""
        check_mesh(positions, triangles, height, width)
        fragments = empty_fragments(len(positions), height, width, positions.device)
        for picture in range(len(positions)):
            corners = positions[picture].detach().to(torch.float32).double()[triangles]
            for face, corner in enumerate(corners):
                if torch.isfinite(corner).all() and (corner[:, 2] >= NEAR).all():
                    _draw_triangle(fragments, picture, face, corner)
        return fragments


def _draw_triangle(fragments: Fragments, picture: int, face: int, corner: Tensor) -> None:
    """Draw one triangle, corner (3, 3), where it is nearer than what is there."""
    height, width = fragments.face.shape[1:]
    (x0, y0, _), (x1, y1, _) = corner.amin(0).tolist(), corner.amax(0).tolist()
    rows = slice(min(max(int(y0), 0), height), min(max(int(y1) + 1, 0), height))
    columns = slice(min(max(int(x0), 0), width), min(max(int(x1) + 1, 0), width))
    y, x = torch.meshgrid(
        torch.arange(rows.start, rows.stop, device=corner.device) + 0.5,
        torch.arange(columns.start, columns.stop, device=corner.device) + 0.5,
        indexing="ij",
    )
    a, b, c = (corner[i, :2] - torch.stack([x, y], -1).double() for i in range(3))
    areas = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], -1)
    area = _cross(corner[1, :2] - corner[0, :2], corner[2, :2] - corner[0, :2])
    if area == 0 or areas.numel() == 0:
        return
    inside = (areas / area >= 0).all(-1)
    # Weights on the screen divided by depth are the weights in space, up to their sum.
    weights = areas * (1 / corner[:, 2])
    depth = (area / weights.sum(-1)).to(torch.float32)

    there = fragments.depth[picture, rows, columns]
    wins = inside & (depth < there)
    fragments.face[picture, rows, columns][wins] = face
    fragments.depth[picture, rows, columns][wins] = depth[wins]
    barycentric = weights / weights.sum(-1, keepdim=True)
    fragments.barycentric[picture, rows, columns][wins] = barycentric[wins].to(torch.float32)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Twice the signed area of the triangle (origin, a, b); both (..., 2)."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
