"""The light fit: known light on known skin must come back, also with gloss, hair and shadowless sides."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from ftim.regressors import LandmarkRegressor, LightSettings
from ftim.regressors.face_points import FacePoints
from ftim.regressors.light import facing_directions, fit_light, positive
from ftim.render.rasterizer import Fragments, default_rasterizer, empty_fragments
from ftim.render.shading import SHADING_FLOOR, sh_basis
from tests.egg_head import SIZE, egg_head, face_of, nothing_hides, random_fit

WEAK = LightSettings(direct_prior=1e-6, curved_prior=1e-6)


def soft_light(count: int, seed: int) -> Tensor:
    """(count, 9, 3): about white, brighter from one side."""
    generator = torch.Generator().manual_seed(seed)
    light = 0.12 * torch.randn(count, 9, 3, generator=generator)
    light[:, 0] = 2.5 + light[:, 0]
    light[:, 1:4] += 0.3 * torch.randn(count, 3, 1, generator=generator)
    return light


def lit_points(light: Tensor, points: int = 800) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colours, albedo, normals towards the camera and weights of points under a light."""
    generator = torch.Generator().manual_seed(1)
    normals = torch.randn(len(light), points, 3, generator=generator)
    normals[..., 2] = normals[..., 2].abs()
    normals = torch.nn.functional.normalize(normals, dim=-1)
    albedo = 0.3 + 0.5 * torch.rand(points, 3, generator=generator)
    weights = 0.5 + torch.rand(len(light), points, generator=generator)
    return albedo * (sh_basis(normals) @ light), albedo, normals, weights


def shading_difference(one: Tensor, two: Tensor) -> float:
    """Largest difference of the shading of surfaces that a camera sees."""
    return float((seen_harmonics() @ (one - two)).abs().max())


def seen_harmonics() -> Tensor:
    return sh_basis(facing_directions(torch.device("cpu"), torch.float32))


def test_known_light_is_recovered():
    light = soft_light(4, 0)
    found = fit_light(*lit_points(light), WEAK)
    assert shading_difference(found, light) < 5e-3
    # The priors of the default settings cost little where the whole front is seen.
    assert shading_difference(fit_light(*lit_points(light), LightSettings()), light) < 0.12


def test_highlights_and_hair_are_forgotten():
    light = soft_light(4, 2)
    colors, albedo, normals, weights = lit_points(light)
    colors = colors.clone()
    colors[:, :80] = 0.99  # gloss
    colors[:, 80:160] = 0.03  # dark hair
    robust = shading_difference(fit_light(colors, albedo, normals, weights, WEAK), light)
    plain = dataclasses.replace(WEAK, rounds=1)
    assert robust < 0.05
    assert robust < 0.3 * shading_difference(fit_light(colors, albedo, normals, weights, plain), light)


def test_batch_equals_singles():
    points = lit_points(soft_light(3, 3))
    batch = fit_light(*points, LightSettings())
    for one in range(3):
        colors, albedo, normals, weights = points
        single = fit_light(
            colors[one : one + 1], albedo, normals[one : one + 1], weights[one : one + 1], LightSettings()
        )
        torch.testing.assert_close(single[0], batch[one], atol=1e-4, rtol=1e-4)


def test_unseen_side_stays_moderate():
    light = soft_light(4, 4)
    colors, albedo, normals, weights = lit_points(light)
    weights = weights * (normals[..., 0] > 0.3)
    found = fit_light(colors, albedo, normals, weights, LightSettings())
    shading = seen_harmonics() @ found
    assert shading.min() >= SHADING_FLOOR - 1e-5
    assert shading.max() < 2.5


def test_positive_leaves_good_light_alone_and_mends_bad():
    good = soft_light(2, 5)
    torch.testing.assert_close(positive(good), good)
    bad = good.clone()
    bad[:, 3] = 4.0
    mended = positive(bad)
    assert (seen_harmonics() @ bad).min() < -0.5
    assert (seen_harmonics() @ mended).min() >= SHADING_FLOOR - 1e-5
    torch.testing.assert_close(mended[:, 0], bad[:, 0])


def test_nothing_seen_gives_plain_light():
    colors, albedo, normals, weights = lit_points(soft_light(2, 6))
    found = fit_light(colors * 0, albedo, normals, weights * 0, LightSettings())
    torch.testing.assert_close(sh_basis(normals) @ found, torch.ones_like(normals), atol=0.02, rtol=0)


def test_relight_looks_only_where_the_mask_lets_it():
    truth = random_fit(2, 7, focal=2.0)
    image = torch.full((2, 3, SIZE, SIZE), 0.3)
    image[..., : SIZE // 2, :] = 0.6
    face = face_of(truth, image)
    regressor = LandmarkRegressor(egg_head(), nothing_hides, torch.full((3, 8, 8), 0.6))
    fit = regressor(face)
    top = torch.zeros(2, 1, SIZE, SIZE)
    top[..., : SIZE // 2 - 4, :] = 1
    for mask, shading in ((top, 1.0), (1 - top.roll(8, dims=2), 0.5)):
        light = regressor.relight(face, fit, mask).light
        normals = torch.nn.functional.normalize(torch.tensor([[0.3, 0.4, 1.0], [-0.3, -0.4, 1.0]]), dim=-1)
        torch.testing.assert_close(sh_basis(normals) @ light, torch.full((2, 2, 3), shading), atol=0.05, rtol=0)


def test_hidden_points_have_no_weight():
    fit = dataclasses.replace(random_fit(1, 0), rotation=torch.eye(3)[None])
    face = face_of(fit)
    albedo = torch.full((3, 8, 8), 0.6)

    def wall(positions: Tensor, triangles: Tensor, height: int, width: int) -> Fragments:
        """Something near the camera before the left half of the picture."""
        empty = empty_fragments(len(positions), height, width, positions.device)
        depth = empty.depth.clone()
        depth[..., : width // 2] = 0.01
        return dataclasses.replace(empty, depth=depth)

    free = FacePoints(egg_head(), nothing_hides, albedo).sample(face, fit, face.valid).weights
    walled = FacePoints(egg_head(), wall, albedo).sample(face, fit, face.valid).weights
    model = egg_head()
    head = model.vertices(fit.identity, fit.expression) + fit.translation[:, None]
    left = fit.camera.project(head)[..., 0] < SIZE / 2
    torch.testing.assert_close(walled, torch.where(left, 0.0, free))
    # The head does not hide itself from the front.
    itself = FacePoints(egg_head(), default_rasterizer(), albedo).sample(face, fit, face.valid).weights
    assert (itself == free).float().mean() > 0.98
