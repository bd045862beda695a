"""The pixels of one picture that show the head, as a list: what is worked out for them alone costs a third."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.morphable.model import MorphableModel
from ftim.render.lookup import dense_sample, halved, span_halvings
from ftim.render.pose import PosedHead, pose_head
from ftim.render.rasterizer import Fragments, Rasterizer
from ftim.structures import Fit


@dataclass(frozen=True)
class RasterizedHead:
    """A posed head and what each pixel of its picture sees: made once, used by unwrapping and drawing. No gradients."""

    model: MorphableModel
    posed: PosedHead
    fragments: Fragments

    @cached_property
    def surface(self) -> SurfacePixels:
        """Its pixels; of a batch of one."""
        return surface_pixels(self.model, self.fragments)


@torch.no_grad()
def rasterize_head(
    model: MorphableModel, rasterizer: Rasterizer, fit: Fit, offsets: Tensor | None = None
) -> RasterizedHead:
    """The heads of B fits as their cameras see them; ``offsets`` as in ``pose_head``."""
    posed = pose_head(model, fit, offsets)
    fragments = rasterizer(posed.positions, model.triangles, fit.camera.height, fit.camera.width)
    return RasterizedHead(model, posed, fragments)


@dataclass(frozen=True)
class SurfacePixels:
    """M pixels of a picture, in the order of its rows."""

    fragments: Fragments
    """Of the picture; a batch of one."""
    pixel: Tensor
    """(M,) int64, row * width + column."""
    uv: Tensor
    """(M, 2) in [0, 1], origin top-left, v down."""
    neighbours: Tensor
    """(K, 3, 2) uv of some pixels, of the pixels to their right, and of those below: how dense the map is here."""

    @property
    def height(self) -> int:
        """Of the picture."""
        return self.fragments.face.shape[1]

    @property
    def width(self) -> int:
        """Of the picture."""
        return self.fragments.face.shape[2]

    @cached_property
    def face(self) -> Tensor:
        """(M,) int64 triangle."""
        return self.fragments.face.flatten()[self.pixel]

    @cached_property
    def weights(self) -> Tensor:
        """(M, 3) barycentric."""
        return self.fragments.barycentric.view(-1, 3).index_select(0, self.pixel)

    def where(self, kept: Tensor) -> SurfacePixels:
        """Those of a mask (M,)."""
        number = torch.nonzero(kept)[:, 0]
        return SurfacePixels(self.fragments, self.pixel[number], self.uv.index_select(0, number), self.neighbours)

    def look_up(self, texture: Tensor) -> Tensor:
        """(C, T, T) -> (C, M): ``ftim.render.lookup.look_up`` at these pixels."""
        level = span_halvings(self.neighbours, texture.shape[-1])
        return sample_at(halved(texture[None], level)[0], self.uv * 2 - 1)

    def picture(self, values: Tensor) -> Tensor:
        """(C, M) -> (1, C, height, width), 0 elsewhere."""
        result = values.new_zeros(len(values), self.height * self.width)
        return result.index_copy_(1, self.pixel, values).view(1, -1, self.height, self.width)

    def at_vertices(self, values: Tensor, triangles: Tensor) -> Tensor:
        """(V, C) values at vertices -> (M, C) at the pixels."""
        return F.embedding_bag(triangles[self.face], values, per_sample_weights=self.weights, mode="sum")

    def texels(self, size: int) -> Tensor:
        """(size * size) bool: the texels of a map that bilinear lookups at these pixels read."""
        place = self.uv.cpu().numpy() * np.float32(size) - np.float32(0.5)
        first = np.floor(place).astype(np.int32)
        column, row = (
            (np.clip(first[:, axis], 0, size - 1), np.clip(first[:, axis] + 1, 0, size - 1)) for axis in (0, 1)
        )
        read = np.zeros(size * size, bool)
        for down in row:
            start = down * size
            for right in column:
                read[start + right] = True
        return torch.from_numpy(read).to(self.uv.device)


def surface_pixels(model: MorphableModel, fragments: Fragments) -> SurfacePixels:
    """Of fragments of a batch of one."""
    (face,) = fragments.face
    covered = face >= 0
    pixel = torch.nonzero(covered.flatten())[:, 0]
    weights = fragments.barycentric.view(-1, 3)
    corner_uv = model.uv[model.uv_triangles].flatten(1)

    def uv_of(pixels: Tensor) -> Tensor:
        # One lookup of the three corners' six numbers a pixel.
        corners = corner_uv.index_select(0, face.flatten()[pixels]).view(-1, 3, 2)
        return (corners * weights.index_select(0, pixels)[..., None].to(corners.dtype)).sum(1)

    some = dense_sample(covered)
    neighbours = torch.stack([uv_of(some + step) for step in (0, 1, face.shape[1])], 1)
    return SurfacePixels(fragments, pixel, uv_of(pixel), neighbours)


def sample_at(image: Tensor, grid: Tensor) -> Tensor:
    """Bicubic samples as ``ftim.render.lookup.sample_texture``.

    Args:
        image: (C, H, W).
        grid: (M, 2) in [-1, 1], x and y.

    Returns:
        (C, M). Large lists are shared among PyTorch's threads, which it does by pictures of a batch alone.
    """
    count, parts = len(grid), torch.get_num_threads() if image.device.type == "cpu" and len(grid) > 16384 else 1
    each = -(-count // parts)
    padded = F.pad(grid, (0, 0, 0, each * parts - count)).view(parts, 1, each, 2)
    pictures = image[None].expand(parts, -1, -1, -1)
    values = F.grid_sample(pictures, padded, mode="bicubic", padding_mode="border", align_corners=False)[:, :, 0]
    return values[0] if parts == 1 else values.permute(1, 0, 2).reshape(len(image), -1)[:, :count]
