"""Laying one surface over another: closest points, rigid motions, and the centres of eyeballs."""

from __future__ import annotations

import torch
from scipy.spatial import cKDTree
from torch import Tensor


def closest_on_surface(points: Tensor, corners: Tensor, candidates: int) -> tuple[Tensor, Tensor]:
    """(N, 3) points, (F, 3, 3) triangles -> (N,) the triangle of each closest point and (N, 3) its weights there."""
    tree = cKDTree(corners.mean(1).numpy())
    near = torch.from_numpy(tree.query(points.numpy(), k=candidates)[1]).long()
    weights = closest_on_triangles(points[:, None], corners[near])
    distance = ((corners[near] * weights[..., None]).sum(2) - points[:, None]).norm(dim=-1)
    best = distance.argmin(1)
    rows = torch.arange(len(points))
    return near[rows, best], weights[rows, best]


def closest_on_triangles(points: Tensor, corners: Tensor) -> Tensor:
    """(N, k or 1, 3) points, (N, k, 3, 3) triangles -> (N, k, 3) weights of each triangle's point that lies closest."""
    a, b, c = corners.unbind(-2)
    across = torch.linalg.cross(b - a, c - a)
    squared = across.square().sum(-1).clamp_min(1e-24)
    beta = (torch.linalg.cross(points - a, c - a) * across).sum(-1) / squared
    gamma = (torch.linalg.cross(b - a, points - a) * across).sum(-1) / squared
    options = [torch.stack([1 - beta - gamma, beta, gamma], -1)]
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, edge = corners[..., first, :], corners[..., second, :] - corners[..., first, :]
        share = ((points - start) * edge).sum(-1) / edge.square().sum(-1).clamp_min(1e-24)
        share = share.clamp(0, 1)
        weights = torch.zeros_like(options[0])
        weights[..., first], weights[..., second] = 1 - share, share
        options.append(weights)
    stacked = torch.stack(options)
    distance = ((stacked[..., None] * corners).sum(-2) - points).square().sum(-1)
    # The foot of the perpendicular counts only inside the triangle.
    distance[0] = torch.where((options[0] >= 0).all(-1), distance[0], torch.inf)
    best = distance.argmin(0)
    return stacked.gather(0, best[None, ..., None].expand(1, *best.shape, 3))[0]


def rigid(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 3), (N, 3) -> (3, 3) and (3,): target = rotation @ source + translation in least squares."""
    middle, goal = source.mean(0), target.mean(0)
    u, _, v = torch.linalg.svd((target - goal).T @ (source - middle))
    flip = torch.ones(3, dtype=source.dtype)
    flip[2] = torch.sign(torch.linalg.det(u @ v))
    rotation = u @ torch.diag(flip) @ v
    return rotation, goal - rotation @ middle


def sphere_centre(points: Tensor) -> Tensor:
    """(N, 3) points of a sphere or of a part of it -> (3,) its centre, least squares."""
    middle = points.mean(0)
    moved = points - middle
    design = torch.cat([2 * moved, torch.ones_like(moved[:, :1])], dim=1)
    return middle + torch.linalg.lstsq(design, moved.square().sum(1, keepdim=True)).solution[:3, 0]
