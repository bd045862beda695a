"""Outlines of a rasterised head in one pass: the quick twin of ``ftim.render.visibility.outlines``."""

from __future__ import annotations

import torch
import warp as wp
from torch import Tensor

from ftim.render.rasterizer import Fragments
from ftim.render.visibility import MAX_SLOPE_SHIFT
from ftim.render.warp_runtime import ready_device

wp.set_module_options({"enable_backward": False})


@wp.func
def _followed(depth: wp.float32, slope: wp.float32, limit: wp.float32):
    """Depth of a plane one pixel further along."""
    moved = 1.0 / wp.max(1.0 / depth + slope, 1.0e-6)
    return depth + wp.clamp(moved - depth, -limit, limit)


@wp.func
def _step(
    first: wp.int32,
    second: wp.int32,
    depth1: wp.float32,
    depth2: wp.float32,
    slope1: wp.float32,
    slope2: wp.float32,
    limit: wp.float32,
):
    """By how much the surface breaks off between two pixels; infinite where it ends, 0 where there is none."""
    if first < 0 and second < 0:
        return 0.0
    if first < 0 or second < 0:
        return wp.inf
    forward = wp.abs(_followed(depth1, slope1, limit) - depth2)
    backward = wp.abs(_followed(depth2, -slope2, limit) - depth1)
    return wp.min(forward, backward)


@wp.kernel
def _outlines(
    face: wp.array3d(dtype=wp.int64),
    depth: wp.array3d(dtype=wp.float32),
    slopes: wp.array3d(dtype=wp.float32),
    opening: wp.array(dtype=wp.bool),
    outer_jump: wp.float32,
    inner_jump: wp.float32,
    limit: wp.float32,
    outer: wp.array3d(dtype=wp.uint8),
    inner: wp.array3d(dtype=wp.uint8),
):
    b, row, column = wp.tid()
    height = face.shape[1]
    width = face.shape[2]
    here = wp.int32(face[b, row, column])
    for axis in range(2):
        r = row + axis
        c = column + 1 - axis
        if r < height and c < width:
            there = wp.int32(face[b, r, c])
            slope1 = 0.0
            slope2 = 0.0
            open_to_it = False
            if here >= 0:
                slope1 = slopes[b, here, axis]
                open_to_it = opening[here]
            if there >= 0:
                slope2 = slopes[b, there, axis]
                open_to_it = open_to_it or opening[there]
            jump = _step(here, there, depth[b, row, column], depth[b, r, c], slope1, slope2, limit)
            if jump > inner_jump:
                inner[b, row, column] = wp.uint8(1)
                inner[b, r, c] = wp.uint8(1)
            if jump > outer_jump and not open_to_it:
                outer[b, row, column] = wp.uint8(1)
                outer[b, r, c] = wp.uint8(1)


def both_outlines(
    fragments: Fragments, slopes: Tensor, opening: Tensor, outer_jump: float, inner_jump: float
) -> tuple[Tensor, Tensor]:
    """Outlines by two jumps at once.

    Args:
        fragments: of B pictures, on a CPU or CUDA.
        slopes: (B, F, 2) of ``plane_slopes``.
        opening: (F,) bool: triangles seen through an opening, whose rims are no outer outlines.
        outer_jump, inner_jump: metres.

    Returns:
        Two of (B, H, W) uint8, 1 on both sides of a break.
    """
    device = ready_device(__name__, fragments.face.device)
    marks = torch.zeros((2, *fragments.face.shape), dtype=torch.uint8, device=fragments.face.device)
    stream = wp.stream_from_torch(torch.cuda.current_stream(marks.device)) if marks.is_cuda else None
    inputs = (fragments.face, fragments.depth, slopes.contiguous(), opening)
    wp.launch(
        _outlines,
        dim=tuple(fragments.face.shape),
        inputs=[*map(wp.from_torch, inputs), outer_jump, inner_jump, MAX_SLOPE_SHIFT],
        outputs=[wp.from_torch(marks[0]), wp.from_torch(marks[1])],
        device=device,
        stream=stream,
    )
    return marks[0], marks[1]
