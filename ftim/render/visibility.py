"""What the camera sees of a surface: depth tests against the rasterised head, and distance to its outlines.

Depth is compared on the plane of the triangle that a pixel sees, not at the pixel centre. Inverse depth is affine
on the screen, so the plane's depth a fraction of a pixel away is known exactly, and the tolerance can be small
enough to tell an eyeball from the lid above it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ftim.render.rasterizer import Fragments
from ftim.structures import Batched

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
SQUARE = np.ones((3, 3), np.uint8)
MAX_SLOPE_SHIFT = 0.01
"""Metres. A plane seen nearly edge-on is not followed further than this away from the depth at the pixel centre."""


@dataclass(frozen=True)
class DepthPlanes(Batched):
    """The plane that each pixel sees."""

    inverse: Tensor
    """(B, H, W) inverse depth at the pixel centre, 1 / m; 0 where nothing is seen."""
    gradient: Tensor
    """(B, 2, H, W) change of the inverse depth for a pixel to the right and a pixel down."""


def depth_planes(fragments: Fragments, positions: Tensor, triangles: Tensor) -> DepthPlanes:
    """Planes from fragments; positions (B, V, 3) and triangles (F, 3) as they were rasterised. No gradients."""
    with torch.no_grad():
        batch, faces = len(positions), len(triangles)
        slopes = plane_slopes(positions, triangles).view(batch * faces, 2)
        index = fragments.face.clamp(min=0) + torch.arange(batch, device=positions.device).view(-1, 1, 1) * faces
        gradient = slopes.index_select(0, index.reshape(-1)).view(*index.shape, 2)
        gradient = torch.where(fragments.covered[..., None], gradient, 0.0).permute(0, 3, 1, 2)
        return DepthPlanes(1 / fragments.depth, gradient)


@torch.no_grad()
def plane_slopes(positions: Tensor, triangles: Tensor) -> Tensor:
    """(B, F, 2): by how much a triangle's inverse depth changes for a pixel to the right and a pixel down."""
    corners = positions[:, triangles]
    inverse = 1 / corners[..., 2]
    edge1, edge2 = corners[:, :, 1, :2] - corners[:, :, 0, :2], corners[:, :, 2, :2] - corners[:, :, 0, :2]
    rise1, rise2 = inverse[..., 1] - inverse[..., 0], inverse[..., 2] - inverse[..., 0]
    area = edge1[..., 0] * edge2[..., 1] - edge1[..., 1] * edge2[..., 0]
    right = (rise1 * edge2[..., 1] - rise2 * edge1[..., 1]) / area
    down = (rise2 * edge1[..., 0] - rise1 * edge2[..., 0]) / area
    return torch.stack([right, down], -1)


def shifted_depth(planes: DepthPlanes, right: Tensor | float, down: Tensor | float) -> Tensor:
    """(B, H, W) depth of each pixel's plane at an offset in pixels from the centre; inf where nothing is seen."""
    depth = 1 / planes.inverse
    moved = planes.inverse + planes.gradient[:, 0] * right + planes.gradient[:, 1] * down
    followed = 1 / moved.clamp(min=1e-6)
    return torch.where(
        torch.isfinite(depth), depth + (followed - depth).clamp(-MAX_SLOPE_SHIFT, MAX_SLOPE_SHIFT), depth
    )


def in_sight(planes: DepthPlanes, positions: Tensor, tolerance: float) -> Tensor:
    """Whether points are not hidden by the rasterised surface.

    Args:
        positions: (B, N, 3) x and y in pixels, depth in metres.
        tolerance: metres that a point may lie behind the surface.

    Returns:
        (B, N) bool; False outside the picture.
    """
    height, width = planes.inverse.shape[1:]
    x, y, depth = positions.detach().unbind(-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    column = x.nan_to_num().floor().clamp(0, width - 1)
    row = y.nan_to_num().floor().clamp(0, height - 1)
    pixel = (row * width + column).long()
    seen = DepthPlanes(
        planes.inverse.flatten(1).gather(1, pixel),
        planes.gradient.flatten(2).gather(2, pixel[:, None].expand(-1, 2, -1)),
    )
    return inside & (depth <= shifted_depth(seen, x - column - 0.5, y - row - 0.5) + tolerance)


def outlines(planes: DepthPlanes, jump: float, openings: Tensor | None = None) -> Tensor:
    """Pixels at which the surface breaks off: a neighbour is empty, or further along by more than ``jump`` metres.

    A steep surface is no outline: the neighbour has to leave the planes of both pixels.

    Args:
        openings: (B, H, W) bool, pixels that are seen through an opening (eyes, mouth); its rim is not an outline.

    Returns:
        (B, 1, H, W) float, 1 on both sides of the break. The picture's rim is not an outline.
    """
    inverse, gradient = planes.inverse, planes.gradient
    rows, columns = slice(None), slice(None)
    near, far = slice(None, -1), slice(1, None)
    marked = torch.zeros_like(inverse)
    for axis, (a, b) in enumerate((((rows, near), (rows, far)), ((near, columns), (far, columns)))):
        first = DepthPlanes(inverse[:, *a], gradient[:, :, *a])
        second = DepthPlanes(inverse[:, *b], gradient[:, :, *b])
        step = (1.0, 0.0) if axis == 0 else (0.0, 1.0)
        forward = (shifted_depth(first, *step) - 1 / second.inverse).abs()
        backward = (shifted_depth(second, -step[0], -step[1]) - 1 / first.inverse).abs()
        # Empty minus empty is not a number, and not a break.
        broken = torch.minimum(forward, backward) > jump
        if openings is not None:
            broken = broken & ~openings[:, *a] & ~openings[:, *b]
        broken = broken.to(inverse.dtype)
        marked[:, *a] = torch.maximum(marked[:, *a], broken)
        marked[:, *b] = torch.maximum(marked[:, *b], broken)
    return marked[:, None]


def distance_to(marked: Tensor, reach: int) -> Tensor:
    """(B, 1, H, W) 0/1 marks -> (B, 1, H, W) pixels to the nearest mark: 0 on it, at most ``reach``.

    Steps go to the sides and, every second time, to the corners too: an octagon, near enough to a circle. On a CPU by
    ``steps_from``; elsewhere step by step.
    """
    if marked.device.type == "cpu":
        planes = marked[:, 0].to(torch.uint8).numpy()
        return torch.from_numpy(np.stack([steps_from(plane, reach) for plane in planes]))[:, None].to(marked.dtype)
    near = marked
    distance = reach * (1 - marked)
    for step in range(1, reach):
        near = torch.maximum(_maximum(near, -1), _maximum(near, -2)) if step % 2 else grow_step_by_step(near)
        distance = torch.where(near > 0, distance.clamp(max=step), distance)
    return distance


def steps_from(marked: np.ndarray, reach: int) -> np.ndarray:
    """(H, W) uint8 0/1 marks -> (H, W) uint8: ``distance_to``, by OpenCV."""
    if not 1 <= reach <= 255:
        raise ValueError(f"reach is 1 to 255 pixels, not {reach}")
    near = marked
    distance = reach - marked * np.uint8(reach)
    for step in range(1, reach):
        near = cv2.dilate(near, CROSS if step % 2 else SQUARE)
        # One less for each step at which it is near already.
        distance = distance - (near - marked)
    return distance


def grow(values: Tensor, radius: int = 1) -> Tensor:
    """(..., H, W) -> same: the maximum over the (2 radius + 1)^2 pixels around each, within the picture.

    Without gradients on a CPU by OpenCV; elsewhere ``grow_step_by_step``.
    """
    if (
        values.device.type != "cpu"
        or values.dtype != torch.float32
        or (values.requires_grad and torch.is_grad_enabled())
    ):
        return grow_step_by_step(values, radius)
    if radius == 0 or not values.numel():
        return values
    planes = values.detach().reshape(-1, *values.shape[-2:]).numpy()
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return torch.from_numpy(np.stack([cv2.dilate(plane, kernel) for plane in planes])).view(values.shape)


def grow_step_by_step(values: Tensor, radius: int = 1) -> Tensor:
    """``grow`` with gradients, on any device: the slow twin."""
    for _ in range(radius):
        values = _maximum(_maximum(values, -1), -2)
    return values


def _maximum(values: Tensor, axis: int) -> Tensor:
    """The maximum of each pixel and its two neighbours along one axis; much faster on a CPU than pooling."""
    result = values.clone()
    size = values.shape[axis]
    later, earlier = values.narrow(axis, 1, size - 1), values.narrow(axis, 0, size - 1)
    torch.maximum(result.narrow(axis, 0, size - 1), later, out=result.narrow(axis, 0, size - 1))
    torch.maximum(result.narrow(axis, 1, size - 1), earlier, out=result.narrow(axis, 1, size - 1))
    return result


def facing(normals: Tensor, points: Tensor) -> Tensor:
    """(..., 3) normals of any length, at points in camera space -> (...) cosine to the direction of the camera."""
    return -(normals * points).sum(-1) / (normals.square().sum(-1) * points.square().sum(-1)).sqrt().clamp(min=1e-12)


def triangle_cosines(vertices: Tensor, triangles: Tensor) -> Tensor:
    """(B, V, 3) camera space -> (B, F): ``facing`` of each triangle; negative when it is seen from behind."""
    a, b, c = vertices[:, triangles].unbind(2)
    return facing(torch.linalg.cross(b - a, c - a), (a + b + c) / 3)


def ramp(value: Tensor, low: float, high: float) -> Tensor:
    """0 at ``low`` and below, 1 at ``high`` and above, smooth between."""
    t = ((value - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)
