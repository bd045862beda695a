"""Spherical-harmonic light by robust least squares against a template albedo.

The photograph is explained as ``albedo_c(p) * sum_j Y_j(n_p) L_jc`` at a sparse set of points p of the
face (Ramamoorthi and Hanrahan 2001: nine real harmonics hold over 98 % of diffuse light). Points
that do not follow, such as highlights, hair and glasses, are forgotten by iterated re-weighting.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ftim.render.shading import SHADING_FLOOR, sh_basis

SH_CONSTANT = 0.28209479177387814
"""Value of the first harmonic."""


@dataclass(frozen=True)
class LightSettings:
    """Settings of the light fit."""

    rounds: int = 5
    """Re-weighted least squares."""
    tolerance: float = 0.06
    """Colour residual, in sRGB units, at which a point counts a quarter."""
    spread: float = 3.0
    """The same in median residuals of the photo, where that is more."""
    direct_prior: float = 0.001
    """Precision of the three linear harmonics around 0, relative to that of one point set of unit weight."""
    curved_prior: float = 0.02
    """The same for the five quadratic harmonics, which explode on unlit sides if left free."""


def fit_light(colors: Tensor, albedo: Tensor, normals: Tensor, weights: Tensor, settings: LightSettings) -> Tensor:
    """The light under which points of known albedo look as photographed.

    ``colors`` (B, N, 3) sRGB in the photo, ``albedo`` (N, 3) or (B, N, 3) sRGB, ``normals`` (B, N, 3) unit, camera
    space, ``weights`` (B, N) at least 0: area times visibility. Returns (B, 9, 3), whose shading of surfaces that
    face the camera is at least ``SHADING_FLOOR``. A photo without any weight gets ambient light of shading 1.
    """
    basis = sh_basis(normals)
    total = weights.sum(1, keepdim=True)
    seen = total[:, 0] > 0
    weights = torch.where(total > 0, weights / total.clamp_min(1e-12), 1 / weights.shape[1])
    albedo = albedo.expand_as(colors)
    target = torch.where(seen[:, None, None], colors, albedo)
    prior = colors.new_tensor([1e-6] + [settings.direct_prior] * 3 + [settings.curved_prior] * 5)
    # The priors are stated for the mean squared albedo, so that dark channels are not drawn harder.
    strength = (albedo.square() * weights[..., None]).sum(1)
    rows, columns = torch.triu_indices(9, 9, device=colors.device)
    products = basis[..., rows] * basis[..., columns]
    toward = target * albedo
    robust = torch.ones_like(weights)
    light = colors.new_zeros(len(colors), 9, 3)
    for _ in range(settings.rounds):
        kept = weights * robust
        upper = (albedo.square() * kept[..., None]).transpose(1, 2) @ products
        normal = upper.new_empty(len(colors), 3, 9, 9)
        normal[..., rows, columns] = upper
        normal[..., columns, rows] = upper
        normal.diagonal(dim1=2, dim2=3).add_((kept.sum(1, keepdim=True) * strength)[..., None] * prior)
        right = (toward * kept[..., None]).transpose(1, 2) @ basis
        light = torch.cholesky_solve(right[..., None], torch.linalg.cholesky(normal))[..., 0].transpose(1, 2)
        residual = (albedo * (basis @ light) - target).square().mean(-1)
        # The tolerance is never under the spread of most points: a blotchy face is not all outliers.
        spread = torch.where(weights > 0, residual, torch.nan).nanmedian(1, keepdim=True).values
        bound = (settings.spread**2 * spread).clamp_min(settings.tolerance**2)
        robust = 1 / (1 + residual / bound).square()
    return positive(light)


def positive(light: Tensor) -> Tensor:
    """(B, 9, 3) -> (B, 9, 3): bands above the constant one drawn in until no direction that faces the camera is
    shaded below the floor."""
    constant = (SH_CONSTANT * light[:, :1]).clamp_min(2 * SHADING_FLOOR)
    rest = sh_basis(facing_directions(light.device, light.dtype))[:, 1:] @ light[:, 1:]
    lowest = rest.min(1, keepdim=True).values
    room = (constant - SHADING_FLOOR) / (-lowest).clamp_min(1e-12)
    return torch.cat([constant / SH_CONSTANT, light[:, 1:] * room.clamp(max=1)], dim=1)


def facing_directions(device: torch.device, dtype: torch.dtype, rings: int = 12) -> Tensor:
    """(N, 3) unit vectors spread over the half sphere that faces the camera, symmetric in x."""
    polar = (torch.arange(rings, device=device, dtype=dtype) + 0.5) * (torch.pi / rings)
    azimuth = (torch.arange(rings + 1, device=device, dtype=dtype) / rings - 0.5) * torch.pi
    polar, azimuth = torch.meshgrid(polar, azimuth, indexing="ij")
    vectors = [polar.sin() * azimuth.sin(), polar.cos(), polar.sin() * azimuth.cos()]
    return torch.stack(vectors, dim=-1).flatten(0, 1)
