"""Unwrapping on a CPU: ``UvRenderer`` for the texels and pixels that matter, without gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.render.atlas import Atlas
from ftim.render.surface import RasterizedHead, SurfacePixels, sample_at
from ftim.render.visibility import plane_slopes, steps_from, triangle_cosines
from ftim.render.warp_judge import judge_texels
from ftim.render.warp_outlines import both_outlines
from ftim.structures import Camera, PartialTexture
from ftim.uv_settings import UvSettings


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
    triangles, fragments = head.model.triangles, head.fragments
    scale = max(fragments.face.shape[1:]) / 224
    slopes = plane_slopes(head.posed.positions, triangles)
    marks = both_outlines(fragments, slopes, head.model.openings, settings.outer_jump, settings.inner_jump)
    outer, inner = (
        torch.from_numpy(steps_from(mark[0].numpy(), reach))
        for mark, reach in zip(
            marks, (round(settings.outer_fade * scale), round(settings.inner_fade * scale) + 1), strict=True
        )
    )
    flat = triangle_cosines(head.posed.vertices, triangles)[0]
    shown = None if skin is None else skin[0, 0]
    position, certainty = judge_texels(camera, head, atlas, mouth, flat, slopes[0], (outer, inner), shown, settings)

    number = torch.nonzero(certainty >= 0)[:, 0]
    place = atlas.texel[number]
    grid = position[number] / position.new_tensor([camera.width, camera.height]) * 2 - 1
    color = sample_at(image[0], grid)
    seen = _map(image.new_ones(1, len(place)), place, atlas.size)
    lost = _lost_detail(image, head.surface, grid, color, seen, place, settings.refinements)
    return PartialTexture(
        color=_map((color + lost).clamp(0, 1), place, atlas.size)[None],
        visibility=seen[None],
        confidence=_map(certainty[None, number], place, atlas.size)[None],
    )


def _lost_detail(
    image: Tensor, surface: SurfacePixels, grid: Tensor, color: Tensor, seen: Tensor, place: Tensor, rounds: int
) -> Tensor:
    """(3, N): ``UvRenderer`` says what; from colours (3, N) of the seen texels and where they are in the map."""
    size = seen.shape[-1]
    known = surface.where((surface.look_up(seen)[0] - 1).abs() < 0.01)
    photographed = image[0].flatten(1)[:, known.pixel]
    lost = torch.zeros_like(color)
    for _ in range(rounds):
        drawn = known.look_up(_map(color + lost, place, size))
        lost = lost + sample_at(known.picture(photographed - drawn)[0], grid)
    return lost


def _map(values: Tensor, place: Tensor, size: int) -> Tensor:
    """(C, N) -> (C, size, size), 0 elsewhere."""
    return values.new_zeros(len(values), size * size).index_copy_(1, place, values).view(-1, size, size)
