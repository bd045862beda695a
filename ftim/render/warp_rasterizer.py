"""The fast rasteriser: one NVIDIA Warp kernel source for CPU and CUDA.

Two passes. ``_depth_pass`` runs once per triangle and keeps, per pixel, the minimum of the 64-bit key
``depth bits << 32 | triangle``: positive floats are ordered as their bits are, so the minimum is the nearest triangle
and the lower index at equal depth, in whatever order the threads come. ``_resolve_pass`` runs once per pixel and
recomputes the winner's weights. Edge functions are taken in double precision, where the differences of float32 pixel
positions are exact: two triangles that share an edge therefore agree about it, and no pixel on it is lost.
"""

from __future__ import annotations

import torch
import warp as wp
from torch import Tensor

from ftim.render.rasterizer import NEAR, Fragments, check_mesh, empty_fragments
from ftim.render.warp_runtime import ready_device

_EMPTY = 0x7FFF_FFFF_FFFF_FFFF

wp.set_module_options({"enable_backward": False})


@wp.func
def _edge(ax: wp.float64, ay: wp.float64, bx: wp.float64, by: wp.float64):
    """Twice the signed area of the triangle (origin, a, b)."""
    return ax * by - ay * bx


@wp.kernel
def _depth_pass(
    positions: wp.array3d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
    height: wp.int32,
    width: wp.int32,
    near: wp.float32,
    keys: wp.array3d(dtype=wp.int64),
):
    b, f = wp.tid()
    i0 = triangles[f, 0]
    i1 = triangles[f, 1]
    i2 = triangles[f, 2]
    z0 = positions[b, i0, 2]
    z1 = positions[b, i1, 2]
    z2 = positions[b, i2, 2]
    # Written so that a corner that is not a number fails the test as well.
    if not (z0 >= near and z1 >= near and z2 >= near):
        return
    x0 = positions[b, i0, 0]
    y0 = positions[b, i0, 1]
    x1 = positions[b, i1, 0]
    y1 = positions[b, i1, 1]
    x2 = positions[b, i2, 0]
    y2 = positions[b, i2, 1]
    left = wp.min(x0, wp.min(x1, x2))
    right = wp.max(x0, wp.max(x1, x2))
    top = wp.min(y0, wp.min(y1, y2))
    bottom = wp.max(y0, wp.max(y1, y2))
    if not (left <= float(width) and right >= 0.0 and top <= float(height) and bottom >= 0.0):
        return
    if not (wp.isfinite(x0 + x1 + x2 + y0 + y1 + y2 + z0 + z1 + z2)):
        return
    # Clamped before the conversion, which is undefined for floats beyond the integers.
    first_column = int(wp.ceil(wp.max(left - 0.5, 0.0)))
    last_column = int(wp.floor(wp.min(right - 0.5, float(width - 1))))
    first_row = int(wp.ceil(wp.max(top - 0.5, 0.0)))
    last_row = int(wp.floor(wp.min(bottom - 0.5, float(height - 1))))
    if first_column > last_column or first_row > last_row:
        return

    area = _edge(
        wp.float64(x1) - wp.float64(x0),
        wp.float64(y1) - wp.float64(y0),
        wp.float64(x2) - wp.float64(x0),
        wp.float64(y2) - wp.float64(y0),
    )
    if area == wp.float64(0.0):
        return
    r0 = wp.float64(1.0) / wp.float64(z0)
    r1 = wp.float64(1.0) / wp.float64(z1)
    r2 = wp.float64(1.0) / wp.float64(z2)
    zero = wp.float64(0.0)
    for row in range(first_row, last_row + 1):
        py = wp.float64(row) + wp.float64(0.5)
        ay = wp.float64(y0) - py
        by = wp.float64(y1) - py
        cy = wp.float64(y2) - py
        for column in range(first_column, last_column + 1):
            px = wp.float64(column) + wp.float64(0.5)
            ax = wp.float64(x0) - px
            bx = wp.float64(x1) - px
            cx = wp.float64(x2) - px
            w0 = _edge(bx, by, cx, cy)
            w1 = _edge(cx, cy, ax, ay)
            w2 = _edge(ax, ay, bx, by)
            # All of one sign, which is that of the area: inside, whichever way the triangle is wound.
            if (w0 >= zero and w1 >= zero and w2 >= zero) or (w0 <= zero and w1 <= zero and w2 <= zero):
                depth = wp.float32(area / (w0 * r0 + w1 * r1 + w2 * r2))
                key = (wp.int64(wp.cast(depth, wp.int32)) << wp.int64(32)) | wp.int64(f)
                wp.atomic_min(keys, b, row, column, key)


@wp.kernel
def _resolve_pass(
    positions: wp.array3d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
    keys: wp.array3d(dtype=wp.int64),
    empty: wp.int64,
    face: wp.array3d(dtype=wp.int64),
    barycentric: wp.array4d(dtype=wp.float32),
    depth: wp.array3d(dtype=wp.float32),
):
    b, row, column = wp.tid()
    key = keys[b, row, column]
    if key == empty:
        return
    f = wp.int32(key & wp.int64(0xFFFFFFFF))
    i0 = triangles[f, 0]
    i1 = triangles[f, 1]
    i2 = triangles[f, 2]
    px = wp.float64(column) + wp.float64(0.5)
    py = wp.float64(row) + wp.float64(0.5)
    ax = wp.float64(positions[b, i0, 0]) - px
    ay = wp.float64(positions[b, i0, 1]) - py
    bx = wp.float64(positions[b, i1, 0]) - px
    by = wp.float64(positions[b, i1, 1]) - py
    cx = wp.float64(positions[b, i2, 0]) - px
    cy = wp.float64(positions[b, i2, 1]) - py
    z0 = wp.float64(positions[b, i0, 2])
    z1 = wp.float64(positions[b, i1, 2])
    z2 = wp.float64(positions[b, i2, 2])
    # Weights on the screen divided by depth are the weights in space, up to their sum; here all times z0 z1 z2.
    w0 = _edge(bx, by, cx, cy) * z1 * z2
    w1 = _edge(cx, cy, ax, ay) * z2 * z0
    w2 = _edge(ax, ay, bx, by) * z0 * z1
    scale = wp.float64(1.0) / (w0 + w1 + w2)
    face[b, row, column] = wp.int64(f)
    barycentric[b, row, column, 0] = wp.float32(w0 * scale)
    barycentric[b, row, column, 1] = wp.float32(w1 * scale)
    barycentric[b, row, column, 2] = wp.float32(w2 * scale)
    depth[b, row, column] = wp.cast(wp.int32(key >> wp.int64(32)), wp.float32)


class WarpRasterizer:
    """Rasterises on the device of its arguments. The first call on a machine compiles for about two seconds."""

    def __call__(self, positions: Tensor, triangles: Tensor, height: int, width: int) -> Fragments:
        """See ``Rasterizer``. Returns float32 weights and depths, without gradients."""
        check_mesh(positions, triangles, height, width)
        batch, device = len(positions), positions.device
        if device.type not in ("cpu", "cuda"):  # Apple's GPU, for one, has no Warp
            return self(positions.cpu(), triangles.cpu(), height, width).to(device)
        fragments = empty_fragments(batch, height, width, device)
        if batch == 0 or len(triangles) == 0:
            return fragments
        name = ready_device(__name__, device)
        points = positions.detach().to(torch.float32).contiguous()
        corners = triangles.to(torch.int32).contiguous()
        keys = torch.full((batch, height, width), _EMPTY, dtype=torch.int64, device=device)

        stream = wp.stream_from_torch(torch.cuda.current_stream(device)) if points.is_cuda else None
        mesh = [wp.from_torch(points), wp.from_torch(corners)]
        buffer = wp.from_torch(keys)
        wp.launch(
            _depth_pass,
            dim=(batch, len(corners)),
            inputs=[*mesh, height, width, NEAR],
            outputs=[buffer],
            device=name,
            stream=stream,
        )
        outputs = [fragments.face, fragments.barycentric, fragments.depth]
        wp.launch(
            _resolve_pass,
            dim=(batch, height, width),
            inputs=[*mesh, buffer, _EMPTY],
            outputs=[wp.from_torch(output) for output in outputs],
            device=name,
            stream=stream,
        )
        return fragments
