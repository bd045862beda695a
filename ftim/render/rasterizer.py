"""The border between triangles and pixels: ``Fragments``, and the interface that every backend has.

All backends follow the same rules, so that their fragments are equal up to ties:

* A pixel is covered by a triangle that contains its centre, edges included, whichever way the triangle faces:
  the inside of the head is hidden by depth, not by culling.
* The smallest depth wins; at equal depth the lower triangle index.
* A triangle with a corner nearer than ``NEAR`` (or behind the camera), a corner that is not finite, or no area is
  dropped whole. Heads stand well in front of the camera, so nothing is cut in two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ftim.structures import Batched

NEAR = 1e-3
"""Metres. Triangles that reach nearer to the camera are not drawn."""


@dataclass(frozen=True)
class Fragments(Batched):
    """Which triangle each pixel centre sees, and where on it."""

    face: Tensor
    """(B, H, W) int64 triangle index, -1 where nothing is seen."""
    barycentric: Tensor
    """(B, H, W, 3) perspective-correct weights of the triangle's corners; 0 where nothing is seen."""
    depth: Tensor
    """(B, H, W) metres along the optical axis, inf where nothing is seen."""

    @property
    def covered(self) -> Tensor:
        """(B, H, W) bool: the pixel sees a triangle."""
        return self.face >= 0


class Rasterizer(Protocol):
    """Finds the nearest triangle at each pixel centre. Not differentiable: see ``ftim.render.interpolate``."""

    def __call__(self, positions: Tensor, triangles: Tensor, height: int, width: int) -> Fragments:
        """Rasterise one mesh per picture.

        Args:
            positions: (B, V, 3) x and y in pixels (the first pixel's centre is at 0.5) and depth in metres,
                as ``Camera.project`` gives them.
            triangles: (F, 3) int64 vertex indices, shared by the batch.
            height, width: of the picture in pixels.
        """
        ...


def check_mesh(positions: Tensor, triangles: Tensor, height: int, width: int) -> None:
    """Raise ``ValueError`` with the shapes when ``Rasterizer`` cannot take these arguments."""
    if positions.ndim != 3 or positions.shape[-1] != 3:
        raise ValueError(f"positions must be (B, V, 3), got {tuple(positions.shape)}")
    if triangles.ndim != 2 or triangles.shape[-1] != 3:
        raise ValueError(f"triangles must be (F, 3), got {tuple(triangles.shape)}")
    if height < 1 or width < 1:
        raise ValueError(f"the picture must have pixels, got {height} x {width}")
    if triangles.device != positions.device:
        raise ValueError(f"positions are on {positions.device}, triangles on {triangles.device}")
    if len(triangles) and not 0 <= int(triangles.min()) <= int(triangles.max()) < positions.shape[1]:
        raise ValueError(f"triangles refer to vertices outside 0..{positions.shape[1] - 1}")


def empty_fragments(batch: int, height: int, width: int, device: torch.device) -> Fragments:
    """Fragments of pictures in which nothing is seen."""
    return Fragments(
        face=torch.full((batch, height, width), -1, dtype=torch.int64, device=device),
        barycentric=torch.zeros(batch, height, width, 3, device=device),
        depth=torch.full((batch, height, width), torch.inf, device=device),
    )


def default_rasterizer() -> Rasterizer:
    """The backend to use unless there is a reason for another: Warp, on CPU and CUDA alike."""
    from ftim.render.warp_rasterizer import WarpRasterizer

    return WarpRasterizer()
