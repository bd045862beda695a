"""Spherical harmonics and shading."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ftim.render.shading import SH_MIRROR, SHADING_FLOOR, sh_basis, shade


def sphere_quadrature() -> tuple[Tensor, Tensor]:
    """Unit vectors (N, 3) and weights (N,) that integrate polynomials over the sphere exactly up to degree 7."""
    z = torch.linalg.eigvalsh(gauss_legendre_matrix(8))
    values = [torch.ones_like(z), z]
    for n in range(1, 8):
        values.append(((2 * n + 1) * z * values[-1] - n * values[-2]) / (n + 1))
    weight = 2 * (1 - z**2) / (8 * values[7]) ** 2
    angle = torch.arange(16, dtype=torch.float64) * (2 * math.pi / 16)
    radius = (1 - z**2).sqrt()
    vectors = torch.stack([radius[:, None] * angle.cos(), radius[:, None] * angle.sin(), z[:, None].expand(-1, 16)], -1)
    return vectors.reshape(-1, 3), (weight[:, None] * (2 * math.pi / 16)).expand(-1, 16).reshape(-1)


def gauss_legendre_matrix(order: int) -> Tensor:
    """Golub and Welsch: the matrix whose eigenvalues are the nodes."""
    n = torch.arange(1, order, dtype=torch.float64)
    off = n / (4 * n**2 - 1).sqrt()
    return torch.diag(off, 1) + torch.diag(off, -1)


def test_basis_is_orthonormal() -> None:
    vectors, weights = sphere_quadrature()
    basis = sh_basis(vectors)
    torch.testing.assert_close(basis.mT @ (basis * weights[:, None]), torch.eye(9, dtype=torch.float64))


def test_convention_order_of_the_basis() -> None:
    x, y, z = (0.3, -0.5, 0.812403840463596)
    basis = sh_basis(torch.tensor([[x, y, z]], dtype=torch.float64))[0]
    expected = torch.tensor([1, y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y], dtype=torch.float64)
    ratio = basis / expected
    assert (ratio > 0).all()
    torch.testing.assert_close(ratio[1:4], ratio[1:2].expand(3))
    torch.testing.assert_close(ratio[[4, 5, 7]], ratio[4:5].expand(3))


def test_mirror_signs() -> None:
    vectors, _ = sphere_quadrature()
    flipped = sh_basis(vectors * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(flipped, sh_basis(vectors) * torch.tensor(SH_MIRROR, dtype=torch.float64))


def test_sphere_under_a_distant_lamp() -> None:
    # A lamp of unit irradiance in direction d lights a white Lambertian sphere by max(0, n.d). Its harmonics are
    # A_l Y_lm(d) with A = pi, 2 pi / 3, pi / 4 (Ramamoorthi and Hanrahan 2001); the bands left out are a few per cent.
    direction = torch.nn.functional.normalize(torch.tensor([0.4, 0.7, 0.6], dtype=torch.float64), dim=0)
    transfer = torch.tensor([math.pi] + [2 * math.pi / 3] * 3 + [math.pi / 4] * 5, dtype=torch.float64)
    light = (transfer * sh_basis(direction[None])[0])[None, :, None].expand(1, 9, 3)
    normals, weights = sphere_quadrature()
    truth = (normals @ direction).clamp(min=0)
    shading = shade(normals[None], light)[0, :, 0]
    difference = shading - truth.clamp(min=SHADING_FLOOR)
    assert difference.abs().max() < 0.1
    assert (weights * difference**2).sum().sqrt() / (weights * truth**2).sum().sqrt() < 0.1
    brightest = shade(direction[None, None], light)[0, 0, 0]
    assert brightest >= shading.max()


def test_ambient_light_shades_evenly() -> None:
    light = torch.zeros(2, 9, 3)
    light[:, 0] = torch.tensor([1.0, 2.0, 3.0]) / 0.28209479177387814
    normals = torch.nn.functional.normalize(torch.randn(2, 4, 5, 3), dim=-1)
    torch.testing.assert_close(shade(normals, light), torch.tensor([1.0, 2.0, 3.0]).expand(2, 4, 5, 3))


def test_shading_has_a_floor() -> None:
    light = torch.full((1, 9, 3), -1.0)
    assert (shade(torch.tensor([[[0.0, 0.0, 1.0]]]), light) == SHADING_FLOOR).all()


def test_gradients() -> None:
    normals = torch.nn.functional.normalize(torch.randn(1, 6, 3, dtype=torch.float64), dim=-1).requires_grad_()
    light = torch.rand(1, 9, 3, dtype=torch.float64)
    light[:, 0] += 8
    assert torch.autograd.gradcheck(shade, (normals, light.requires_grad_()))


def test_wrong_shape() -> None:
    with pytest.raises(ValueError, match=r"\(2, 5, 3\), \(2, 3, 9\)"):
        shade(torch.zeros(2, 5, 3), torch.zeros(2, 3, 9))
