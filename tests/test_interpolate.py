"""Interpolation: values, and gradients to attributes and positions."""

from __future__ import annotations

import pytest
import torch

from ftim.render.interpolate import differentiable_barycentrics, interpolate
from ftim.render.pose import pose_head
from ftim.render.rasterizer import Fragments, default_rasterizer
from tests.synthetic_head import synthetic_fit, synthetic_head


def small_mesh() -> tuple[torch.Tensor, torch.Tensor, Fragments]:
    positions = torch.tensor([[[0.3, 0.2, 1.0], [7.1, 0.9, 2.0], [1.2, 6.3, 3.0], [7.4, 7.2, 1.5]]])
    positions = torch.cat([positions, positions * 0.9 + 0.2])
    triangles = torch.tensor([[0, 1, 2], [1, 3, 2]])
    return positions, triangles, default_rasterizer()(positions, triangles, 8, 8)


def test_recomputed_weights_are_the_rasterizers() -> None:
    model = synthetic_head()
    positions = pose_head(model, synthetic_fit(model, turn=0.4)).positions
    fragments = default_rasterizer()(positions, model.triangles, 96, 96)
    weights = differentiable_barycentrics(fragments, positions.double(), model.triangles)
    torch.testing.assert_close(weights.float(), fragments.barycentric, rtol=0, atol=1e-5)
    assert (weights[~fragments.covered] == 0).all()


def test_interpolating_a_linear_function_is_exact() -> None:
    # What is linear in space stays linear: interpolated camera positions project onto the pixel centres.
    model = synthetic_head()
    fit = synthetic_fit(model, turn=0.4)
    head = pose_head(model, fit)
    fragments = default_rasterizer()(head.positions, model.triangles, 96, 96)
    points = interpolate(fragments, head.vertices, model.triangles)
    projected = fit.camera.project(points.flatten(2).mT).mT.view(1, 3, 96, 96)
    centre = torch.arange(96) + 0.5
    covered = fragments.covered[0]
    assert (projected[0, 0] - centre)[covered].abs().max() < 1e-3
    assert (projected[0, 1] - centre[:, None])[covered].abs().max() < 1e-3
    torch.testing.assert_close(projected[0, 2][covered], fragments.depth[0][covered], rtol=1e-5, atol=0)
    assert (points[:, :, ~covered] == 0).all()


def test_shared_attributes() -> None:
    positions, triangles, fragments = small_mesh()
    attributes = torch.rand(1, 4, 5)
    shared = interpolate(fragments, attributes, triangles)
    assert shared.shape == (2, 5, 8, 8)
    torch.testing.assert_close(shared, interpolate(fragments, attributes.expand(2, -1, -1), triangles))


def test_gradients() -> None:
    positions, triangles, fragments = small_mesh()
    assert fragments.covered.sum() > 20
    positions = positions.double().requires_grad_()
    attributes = torch.rand(2, 4, 3, dtype=torch.float64, requires_grad=True)

    def pixels(positions: torch.Tensor, attributes: torch.Tensor) -> torch.Tensor:
        weights = differentiable_barycentrics(fragments, positions, triangles)
        return interpolate(fragments, attributes, triangles, weights)

    assert torch.autograd.gradcheck(pixels, (positions, attributes))


def test_empty_pixels_give_finite_gradients() -> None:
    positions, triangles, fragments = small_mesh()
    # The first triangle, whose index empty pixels are given internally, without area.
    positions[:, 0] = positions[:, 1] = positions[:, 2]
    fragments = default_rasterizer()(positions, triangles, 8, 8)
    positions.requires_grad_()
    differentiable_barycentrics(fragments, positions, triangles).sum().backward()
    assert positions.grad is not None
    assert torch.isfinite(positions.grad).all()


def test_wrong_shape() -> None:
    _, triangles, fragments = small_mesh()
    with pytest.raises(ValueError, match=r"\(2 or 1, V, C\), got \(3, 4, 3\)"):
        interpolate(fragments, torch.rand(3, 4, 3), triangles)
