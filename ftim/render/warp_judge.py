"""Which texels a picture shows, and how certainly, in one pass over the atlas: the kernel of ``ftim.unwrap``."""

from __future__ import annotations

import torch
import warp as wp
from torch import Tensor

from ftim.render.atlas import Atlas
from ftim.render.surface import RasterizedHead
from ftim.render.visibility import MAX_SLOPE_SHIFT
from ftim.render.warp_runtime import ready_device
from ftim.structures import Camera
from ftim.uv_settings import UvSettings

wp.set_module_options({"enable_backward": False})


@wp.struct
class Rules:
    """``UvSettings`` in pixels of the picture, and its camera."""

    focal: wp.float32
    principal_x: wp.float32
    principal_y: wp.float32
    tolerance: wp.float32
    min_cosine: wp.float32
    full_cosine: wp.float32
    erosion: wp.float32
    outer: wp.float32
    inner: wp.float32
    limit: wp.float32


@wp.func
def _ramp(value: wp.float32, low: wp.float32, high: wp.float32):
    t = wp.clamp((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@wp.func
def _facing(normal: wp.vec3, point: wp.vec3):
    return -wp.dot(normal, point) / wp.max(wp.length(normal) * wp.length(point), 1.0e-12)


@wp.func
def _bilinear_bytes(image: wp.array2d(dtype=wp.uint8), x: wp.float32, y: wp.float32):
    """At pixel positions, the border repeated; half a pixel is added to each value."""
    height = image.shape[0]
    width = image.shape[1]
    px = wp.clamp(x - 0.5, 0.0, float(width - 1))
    py = wp.clamp(y - 0.5, 0.0, float(height - 1))
    c0 = int(wp.floor(px))
    r0 = int(wp.floor(py))
    c1 = wp.min(c0 + 1, width - 1)
    r1 = wp.min(r0 + 1, height - 1)
    fx = px - float(c0)
    fy = py - float(r0)
    top = float(image[r0, c0]) * (1.0 - fx) + float(image[r0, c1]) * fx
    bottom = float(image[r1, c0]) * (1.0 - fx) + float(image[r1, c1]) * fx
    return top * (1.0 - fy) + bottom * fy + 0.5


@wp.func
def _value(image: wp.array2d(dtype=wp.float32), row: wp.int32, column: wp.int32):
    if row < 0 or column < 0 or row >= image.shape[0] or column >= image.shape[1]:
        return 0.0
    return image[row, column]


@wp.func
def _bilinear(image: wp.array2d(dtype=wp.float32), x: wp.float32, y: wp.float32):
    """At pixel positions; 0 outside the picture."""
    px = x - 0.5
    py = y - 0.5
    c = int(wp.floor(px))
    r = int(wp.floor(py))
    fx = px - float(c)
    fy = py - float(r)
    top = _value(image, r, c) * (1.0 - fx) + _value(image, r, c + 1) * fx
    bottom = _value(image, r + 1, c) * (1.0 - fx) + _value(image, r + 1, c + 1) * fx
    return top * (1.0 - fy) + bottom * fy


@wp.kernel
def _judge(
    texel: wp.array(dtype=wp.int64),
    face: wp.array(dtype=wp.int64),
    corners: wp.array2d(dtype=wp.int64),
    weights: wp.array2d(dtype=wp.float32),
    mouth: wp.array(dtype=wp.bool),
    vertices: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    flat: wp.array(dtype=wp.float32),
    slopes: wp.array2d(dtype=wp.float32),
    seen_face: wp.array2d(dtype=wp.int64),
    depth: wp.array2d(dtype=wp.float32),
    drawn: wp.array(dtype=wp.bool),
    outer: wp.array2d(dtype=wp.uint8),
    inner: wp.array2d(dtype=wp.uint8),
    skin: wp.array2d(dtype=wp.float32),
    rules: Rules,
    place: wp.array2d(dtype=wp.float32),
    certainty: wp.array(dtype=wp.float32),
):
    n = wp.tid()
    certainty[n] = -1.0
    f = face[n]
    front = flat[f] > 0.0
    if not front and not mouth[n]:
        return
    i0 = corners[n, 0]
    i1 = corners[n, 1]
    i2 = corners[n, 2]
    point = weights[n, 0] * vertices[i0] + weights[n, 1] * vertices[i1] + weights[n, 2] * vertices[i2]
    normal = weights[n, 0] * normals[i0] + weights[n, 1] * normals[i1] + weights[n, 2] * normals[i2]
    cosine = wp.max(_facing(normal, point), flat[f])
    is_drawn = drawn[texel[n]]
    drawn_mouth = is_drawn and mouth[n]
    if not (front and cosine > rules.min_cosine) and not drawn_mouth:
        return
    away = -point[2]
    scale = rules.focal / away
    x = rules.principal_x + scale * point[0]
    y = rules.principal_y - scale * point[1]
    height = depth.shape[0]
    width = depth.shape[1]
    # Written so that what is no number is outside.
    inside = x >= 0.0 and x < float(width) and y >= 0.0 and y < float(height)
    if not is_drawn:
        if not inside:
            return
        row = int(wp.floor(y))
        column = int(wp.floor(x))
        shown = seen_face[row, column]
        if shown >= wp.int64(0):
            here = depth[row, column]
            moved = (
                1.0 / here + slopes[shown, 0] * (x - float(column) - 0.5) + slopes[shown, 1] * (y - float(row) - 0.5)
            )
            followed = here + wp.clamp(1.0 / wp.max(moved, 1.0e-6) - here, -rules.limit, rules.limit)
            if away > followed + rules.tolerance:
                return
    from_outer = _bilinear_bytes(outer, x, y)
    if not from_outer > rules.erosion:
        return
    sure = 1.0
    if not drawn_mouth:
        from_inner = _bilinear_bytes(inner, x, y)
        fade = _ramp(from_outer, rules.erosion, rules.outer) * (0.8 + 0.2 * _ramp(from_inner, 0.5, rules.inner + 0.5))
        sure = _ramp(cosine, rules.min_cosine, rules.full_cosine) * fade
    if skin.shape[0] > 0:
        open_to_it = _bilinear(skin, x, y)
        if not open_to_it >= 0.5:
            return
        sure = sure * open_to_it
    place[n, 0] = x
    place[n, 1] = y
    certainty[n] = sure


def judge_texels(
    camera: Camera,
    head: RasterizedHead,
    atlas: Atlas,
    mouth: Tensor,
    flat: Tensor,
    slopes: Tensor,
    steps: tuple[Tensor, Tensor],
    skin: Tensor | None,
    settings: UvSettings,
) -> tuple[Tensor, Tensor]:
    """Of a picture on a CPU.

    Args:
        camera, head: a batch of one.
        mouth: (N,) bool, texels inside the mouth.
        flat: (F,) ``triangle_cosines``. slopes: (F, 2) ``plane_slopes``.
        steps: (H, W) uint8 twice, ``steps_from`` outer and inner outlines.
        skin: (H, W) or None.

    Returns:
        (N, 2) pixel positions, and (N,) certainty in [0, 1]; -1 where a texel is not seen, whose position is
        undefined.
    """
    device = ready_device(__name__, flat.device)
    scale = max(head.fragments.face.shape[1:]) / 224
    rules = Rules()
    rules.focal = float(camera.focal[0])
    rules.principal_x, rules.principal_y = camera.principal[0].tolist()
    rules.tolerance, rules.limit = settings.tolerance, MAX_SLOPE_SHIFT
    rules.min_cosine, rules.full_cosine = settings.min_cosine, settings.full_cosine
    rules.erosion, rules.outer = settings.outer_erosion * scale, settings.outer_fade * scale
    rules.inner = settings.inner_fade * scale
    count = len(atlas.texel)
    place, certainty = torch.empty(count, 2), torch.empty(count)
    vertices, normals = (
        wp.from_torch(v[0].contiguous(), dtype=wp.vec3) for v in (head.posed.vertices, head.posed.normals)
    )
    fragments = head.fragments
    plain = (
        *(atlas.texel, atlas.face, atlas.corners, atlas.weights, mouth),
        *(flat.contiguous(), slopes.contiguous(), fragments.face[0], fragments.depth[0]),
        *(head.surface.texels(atlas.size), *steps, torch.empty(0, 0) if skin is None else skin.contiguous()),
    )
    arrays = [wp.from_torch(value) for value in plain]
    wp.launch(
        _judge,
        dim=count,
        inputs=[*arrays[:5], vertices, normals, *arrays[5:], rules],
        outputs=[wp.from_torch(place), wp.from_torch(certainty)],
        device=device,
    )
    return place, certainty
