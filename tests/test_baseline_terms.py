"""Terms of the baselines' losses and the shading of displaced skin, against values known in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from benchmark.retrained.detail import DetailShading
from benchmark.retrained.losses import (
    asymmetry,
    attended_distance,
    constancy,
    flattening,
    one_colour,
    roughness,
    skin_attention,
    uneven,
)
from ftim.render.shading import sh_basis
from tests.small_school import fit_of, pipeline


def test_no_displacement_is_the_shading_of_the_head() -> None:
    fit = fit_of((20.0,))
    side = pipeline().uv.size
    shaded = DetailShading(pipeline().model, pipeline().uv.atlas)(fit, torch.zeros(1, 1, side, side))
    torch.testing.assert_close(shaded, pipeline().uv.shading(fit), rtol=0, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_slope_turns_the_normals_by_its_angle(axis: int) -> None:
    """Displacement that grows evenly along u or v tilts the surface by the angle whose tangent is the slope."""
    model, atlas = pipeline().model, pipeline().uv.atlas
    fit = fit_of((0.0,))
    detail = DetailShading(model, atlas)
    step = (torch.arange(atlas.size) + 0.5) / atlas.size
    ramp = (step[None] if axis == 0 else step[:, None]).expand(1, 1, atlas.size, atlas.size)
    metres = 0.02
    # Light from one direction alone: the shading is affine in the normal, so it tells it.
    found = []
    for component in range(3):
        light = torch.zeros(1, 9, 3)
        light[:, 0] = 2.0 / 0.28209479
        light[:, (3, 1, 2)[component]] = 1.0 / 0.48860251
        lit = type(fit)(fit.identity, fit.expression, fit.rotation, fit.translation, light, fit.camera)
        found.append([detail(lit, scale * ramp)[0, 0] - 2 for scale in (0.0, metres)])
    plain, tilted = (torch.stack([pair[index] for pair in found], -1) for index in range(2))
    # The texel of the atlas that lies in the middle of a cheek, away from chart borders.
    row, column = int(0.55 * atlas.size), int(0.36 * atlas.size)
    index = int(((atlas.texel - (row * atlas.size + column)).abs()).argmin())
    row, column = divmod(int(atlas.texel[index]), atlas.size)
    # Metres of skin that one unit of u or v covers there, from the triangle's own corners.
    corners = model.template[model.triangles[atlas.face[index]]].double()
    place = model.uv[model.uv_triangles[atlas.face[index]]].double()
    along = torch.linalg.solve((place[1:] - place[:1]), corners[1:] - corners[:1])
    # Only the part across the other direction counts: the ramp is level along it.
    other = along[1 - axis] / along[1 - axis].norm()
    across = (along[axis] - (along[axis] @ other) * other).norm()
    angle = math.degrees(math.atan(metres / float(across)))
    cosine = float((plain[row, column] * tilted[row, column]).sum())
    assert math.degrees(math.acos(min(1.0, cosine))) == pytest.approx(angle, rel=0.08)


def test_shading_of_detail_has_gradients() -> None:
    fit = fit_of((0.0,))
    displacement = torch.zeros(1, 1, pipeline().uv.size, pipeline().uv.size, requires_grad=True)
    DetailShading(pipeline().model, pipeline().uv.atlas)(fit, displacement).sum().backward()  # type: ignore[no-untyped-call]
    assert displacement.grad is not None and displacement.grad.any()


def test_attention_is_one_on_skin_and_low_on_what_is_not() -> None:
    photo = torch.tensor([0.8, 0.6, 0.5]).view(1, 3, 1, 1).repeat(1, 1, 8, 8)
    photo[:, :, :2] = torch.tensor([0.2, 0.4, 0.9]).view(1, 3, 1, 1)
    mask = torch.ones(1, 1, 8, 8)
    mask[..., 0] = 0
    attention = skin_attention(photo, mask)
    assert (attention[:, :, 2:, 1:] == 1).all() and (attention[:, :, :2, 1:] < 0.1).all()
    assert not attention[..., 0].any()
    assert float(attended_distance(photo, photo + 0.1, attention)[0]) == pytest.approx(0.1 * 3**0.5, rel=1e-3)


def test_flat_albedo_and_white_light_cost_nothing() -> None:
    texels = torch.arange(0, 64, 3)
    assert float(flattening(torch.full((1, 3, 8, 8), 0.4), texels)) == pytest.approx(0, abs=1e-12)
    stripes = torch.zeros(1, 3, 8, 8)
    stripes[..., ::2] = 1
    assert float(flattening(stripes, torch.arange(64))) == pytest.approx(0.75)
    light = torch.randn(2, 9, 1).expand(-1, -1, 3)
    assert float(one_colour(light).sum()) == pytest.approx(0, abs=1e-10)
    assert float(one_colour(torch.eye(3).repeat(3, 1)[None])) == pytest.approx(2 / 9)


def test_constancy_forgives_change_of_colour_only() -> None:
    albedo = torch.zeros(1, 3, 8, 8)
    albedo[..., 4:] = 0.5
    grey, coloured = torch.full((1, 3, 8, 8), 0.5), torch.full((1, 3, 8, 8), 0.5)
    coloured[:, 0, :, 4:] = 0.0
    seen = torch.ones(1, 1, 8, 8)
    assert float(constancy(albedo, coloured, seen)) < 0.05 * float(constancy(albedo, grey, seen))
    assert float(constancy(albedo, grey, torch.zeros(1, 1, 8, 8))) == 0


def test_symmetric_maps_and_even_offsets_cost_nothing() -> None:
    half = torch.rand(1, 2, 6, 3)
    assert float(asymmetry(torch.cat([half, half.flip(-1)], -1))) == 0
    assert float(asymmetry(torch.cat([half, half.flip(-1) + 0.2], -1))) == pytest.approx(0.2)
    ramp = torch.arange(6.0).expand(1, 1, 6, 6)
    assert float(roughness(ramp, 2.0)) == pytest.approx(0.5)
    edges = torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]])
    assert float(uneven(torch.full((1, 3, 3), 0.01), edges)) == pytest.approx(0, abs=1e-9)
    moved = torch.zeros(1, 3, 3)
    moved[0, 0, 0] = 1e-3
    assert float(uneven(moved, edges)) == pytest.approx((1 + 0.25 + 0.25) / 3, rel=1e-4)


def test_the_light_that_tells_normals_is_what_this_test_takes_it_for() -> None:
    normal = torch.tensor([[0.6, 0.0, 0.8]])
    values = sh_basis(normal)[0]
    assert float(values[3] / 0.48860251) == pytest.approx(0.6) and float(values[2] / 0.48860251) == pytest.approx(0.8)
