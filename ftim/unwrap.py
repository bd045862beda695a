"""Unwrapping on a CPU: ``UvRenderer`` for the texels and pixels that matter, without gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.render.atlas import Atlas
from ftim.render.rasterizer import Fragments
from ftim.render.surface import RasterizedHead, SurfacePixels, sample_at
from ftim.render.visibility import MAX_SLOPE_SHIFT, facing, plane_slopes, ramp, steps_from, triangle_cosines
from ftim.render.warp_outlines import both_outlines
from ftim.structures import Camera, PartialTexture
from ftim.uv_settings import UvSettings


@dataclass(frozen=True)
class ListedTexels:
    """N texels of an atlas and where a picture shows them."""

    number: Tensor
    """(N,) int64, their place in the atlas."""
    grid: Tensor
    """(N, 2) in [-1, 1]: x and y in the picture."""
    certainty: Tensor
    """(N,) in [0, 1]."""

    def __getitem__(self, kept: Tensor) -> ListedTexels:
        return ListedTexels(self.number[kept], self.grid[kept], self.certainty[kept])


@torch.no_grad()
def unwrap_listed(
    image: Tensor,
    camera: Camera,
    head: RasterizedHead,
    skin: Tensor | None,
    atlas: Atlas,
    mouth: Tensor,
    settings: UvSettings,
) -> PartialTexture:
    """What ``UvRenderer`` gives for one picture.

    Args:
        image: (1, 3, H, W). skin: (1, 1, H, W) or None.
        camera, head: of the picture.
        mouth: (N,) bool, texels of the atlas inside the mouth.
    """
    texels = judge_listed(camera, head, atlas, mouth, settings)
    if skin is not None:
        shown = F.grid_sample(skin, texels.grid[None, None], mode="bilinear", align_corners=False)[0, 0, 0]
        texels = ListedTexels(texels.number, texels.grid, texels.certainty * shown)[shown >= 0.5]
    color = sample_at(image[0], texels.grid)
    place = atlas.texel[texels.number]
    seen = _map(image.new_ones(1, len(place)), place, atlas.size)
    lost = _lost_detail(image, head.surface, texels.grid, color, seen, place, settings.refinements)
    return PartialTexture(
        color=_map((color + lost).clamp(0, 1), place, atlas.size)[None],
        visibility=seen[None],
        confidence=_map(texels.certainty[None], place, atlas.size)[None],
    )


def judge_listed(
    camera: Camera, head: RasterizedHead, atlas: Atlas, mouth: Tensor, settings: UvSettings
) -> ListedTexels:
    """The texels that geometry lets the picture see, with how certain it is."""
    triangles, vertices, fragments = head.model.triangles, head.posed.vertices[0], head.fragments
    flat = triangle_cosines(vertices[None], triangles)[0][atlas.face]
    number = torch.nonzero((flat > 0) | mouth)[:, 0]
    flat, mouth = flat[number], mouth[number]
    corners, weights = atlas.corners[number], atlas.weights[number]
    points = F.embedding_bag(corners, vertices, per_sample_weights=weights, mode="sum")
    normals = F.embedding_bag(corners, head.posed.normals[0], per_sample_weights=weights, mode="sum")
    projected = camera.project(points[None])[0]
    cosine = torch.maximum(facing(normals, points), flat)
    slopes = plane_slopes(head.posed.positions, triangles)
    drawn = head.surface.texels(atlas.size)[atlas.texel[number]]
    drawn_mouth = drawn & mouth
    front = (flat > 0) & (cosine > settings.min_cosine)
    seen = ((_in_sight(fragments, slopes[0], projected, settings.tolerance) | drawn) & front) | drawn_mouth
    kept = torch.nonzero(seen)[:, 0]
    number, cosine, drawn_mouth = number[kept], cosine[kept], drawn_mouth[kept]
    grid = projected[kept, :2] / projected.new_tensor([camera.width, camera.height]) * 2 - 1

    scale = max(fragments.face.shape[1:]) / 224
    erosion, outer, inner = settings.outer_erosion * scale, settings.outer_fade * scale, settings.inner_fade * scale
    marks = both_outlines(fragments, slopes, head.model.openings, settings.outer_jump, settings.inner_jump)
    reaches = (round(outer), round(inner) + 1)
    steps = [torch.from_numpy(steps_from(m[0].numpy(), reach)) for m, reach in zip(marks, reaches, strict=True)]
    distances = torch.stack(steps)[None].to(grid.dtype) + 0.5
    sampled = F.grid_sample(distances, grid[None, None], mode="bilinear", padding_mode="border", align_corners=False)
    from_outer, from_inner = sampled[0, :, 0]
    fade = ramp(from_outer, erosion, outer) * (0.8 + 0.2 * ramp(from_inner, 0.5, inner + 0.5))
    certainty = torch.where(drawn_mouth, 1.0, ramp(cosine, settings.min_cosine, settings.full_cosine) * fade)
    return ListedTexels(number, grid, certainty)[from_outer > erosion]


def _in_sight(fragments: Fragments, slopes: Tensor, projected: Tensor, tolerance: float) -> Tensor:
    """(N,) bool: ``ftim.render.visibility.in_sight`` with the planes of the pixels that are asked for alone."""
    height, width = fragments.face.shape[1:]
    x, y, depth = projected.unbind(-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    column = x.nan_to_num().floor().clamp(0, width - 1)
    row = y.nan_to_num().floor().clamp(0, height - 1)
    pixel = (row * width + column).long()
    here, face = fragments.depth.flatten()[pixel], fragments.face.flatten()[pixel]
    across, along = slopes[face.clamp(min=0)].unbind(-1)
    moved = 1 / here + across * (x - column - 0.5) + along * (y - row - 0.5)
    followed = here + (1 / moved.clamp(min=1e-6) - here).clamp(-MAX_SLOPE_SHIFT, MAX_SLOPE_SHIFT)
    return inside & (depth <= torch.where(face >= 0, followed, torch.inf) + tolerance)


def _lost_detail(
    image: Tensor, surface: SurfacePixels, grid: Tensor, color: Tensor, seen: Tensor, place: Tensor, rounds: int
) -> Tensor:
    """(3, N): ``UvRenderer`` says what; from colours (3, N) of the seen texels and where they are in the map."""
    size = seen.shape[-1]
    known = surface[(surface.look_up(seen)[0] - 1).abs() < 0.01]
    photographed = image[0].flatten(1)[:, known.pixel]
    lost = torch.zeros_like(color)
    for _ in range(rounds):
        drawn = known.look_up(_map(color + lost, place, size))
        lost = lost + sample_at(known.picture(photographed - drawn)[0], grid)
    return lost


def _map(values: Tensor, place: Tensor, size: int) -> Tensor:
    """(C, N) -> (C, size, size), 0 elsewhere."""
    return values.new_zeros(len(values), size * size).index_copy_(1, place, values).view(-1, size, size)
