"""Rotations as exponentials of axis-angle vectors."""

from __future__ import annotations

import torch
from torch import Tensor


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """(B, 3) axis times angle in radians -> (B, 3, 3) rotation matrices (Rodrigues' formula).

    Written with sinc-like ratios that stay exact as the angle goes to 0, so that the
    gradient exists there too.
    """
    if axis_angle.ndim != 2 or axis_angle.shape[1] != 3:
        raise ValueError(f"axis_angle must be (B, 3), not {tuple(axis_angle.shape)}")
    squared = axis_angle.square().sum(1)[:, None, None]
    small = squared < 1e-6
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    first = torch.where(small, 1 - squared / 6, angle.sin() / angle)
    second = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / safe)
    cross = cross_matrix(axis_angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + first * cross + second * (cross @ cross)


def cross_matrix(vectors: Tensor) -> Tensor:
    """(B, 3) -> (B, 3, 3): the matrix whose product with w is ``vectors x w``."""
    x, y, z = vectors.unbind(1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)


def orthonormal(matrix: Tensor) -> Tensor:
    """(B, 3, 3) near-rotations -> (B, 3, 3): one Newton step to the nearest rotation.

    A product of several exponentials drifts away from the rotations by rounding; one step of
    ``R (3 I - R^T R) / 2`` squares that error.
    """
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    return 0.5 * matrix @ (3 * identity - matrix.transpose(1, 2) @ matrix)
