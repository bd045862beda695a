"""The geometric fit, on a made-up head whose own projected landmarks it must explain."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import pytest
import torch
from torch import Tensor

from ftim.morphable.expressions import EXPRESSION_MIRROR
from ftim.regressors import GeometrySettings, LandmarkRegressor, RegressorSettings, landmark_error
from ftim.rotation import axis_angle_to_matrix
from tests.egg_head import FLIP, SIZE, egg_head, face_of, nothing_hides, random_fit


@cache
def regressor(**changes: float) -> LandmarkRegressor:
    geometry = dataclasses.replace(GeometrySettings(), **changes)  # type: ignore[arg-type]
    return LandmarkRegressor(egg_head(), nothing_hides, torch.full((3, 8, 8), 0.6), RegressorSettings(geometry))


def precise() -> LandmarkRegressor:
    """Trusts the landmarks, as one may when they are exact."""
    return regressor(sigma=0.002, full_rounds=8)


def own(seed: int, count: int):
    """Random fits under the camera that the regressor assumes."""
    return random_fit(count, seed, GeometrySettings().focal)


def degrees_between(a: Tensor, b: Tensor) -> Tensor:
    trace = (a.transpose(1, 2) @ b).diagonal(dim1=1, dim2=2).sum(1)
    return torch.rad2deg(((trace - 1) / 2).clamp(-1, 1).acos())


def test_recovers_synthetic_heads():
    truth = own(1, 8)
    found = precise()(face_of(truth))
    assert landmark_error(egg_head(), face_of(truth), found).max() < 0.003
    assert degrees_between(found.rotation, truth.rotation).max() < 1.0
    assert (found.identity - truth.identity).square().mean().sqrt() < 0.2
    assert (found.expression - truth.expression).abs().mean() < 0.05


def test_expression_is_found_from_wrong_scores():
    face = face_of(own(2, 6))
    face = dataclasses.replace(face, blendshapes=torch.full_like(face.blendshapes, 0.1))
    found = precise()(face)
    assert found.expression.min() >= 0 and found.expression.max() <= 1
    assert landmark_error(egg_head(), face, found).mean() < 0.003


def test_batch_equals_singles_and_reruns():
    face = face_of(own(3, 5))
    batch, again = regressor()(face), regressor()(face)
    for name in ("identity", "expression", "rotation", "translation", "light"):
        assert torch.equal(getattr(batch, name), getattr(again, name))
        for one in range(5):
            single = getattr(regressor()(face[one]), name)[0]
            torch.testing.assert_close(getattr(batch, name)[one], single, atol=2e-3, rtol=1e-3)


def test_mirrored_landmarks_give_the_mirrored_fit():
    model = egg_head()
    template = model.landmarks(model.template[None])[0]
    pairs = torch.cdist(template * FLIP, template).argmin(1)
    torch.testing.assert_close(template[pairs], template * FLIP, atol=1e-6, rtol=0)
    fitter = regressor(iris=1.0)
    face = face_of(own(4, 4))
    landmarks = face.landmarks[:, pairs] * torch.tensor([-1.0, 1.0]) + torch.tensor([float(SIZE), 0.0])
    # Several landmarks of the egg fall on one vertex; all of them see the same place, so any pairing is a true one.
    scores = face.blendshapes[:, list(EXPRESSION_MIRROR)]
    one, two = fitter(face), fitter(dataclasses.replace(face, landmarks=landmarks, blendshapes=scores))
    torch.testing.assert_close(model.mirror_identity(one.identity), two.identity, atol=5e-3, rtol=0)
    torch.testing.assert_close(model.mirror_expression(one.expression), two.expression, atol=5e-3, rtol=0)
    torch.testing.assert_close(FLIP.diag() @ one.rotation @ FLIP.diag(), two.rotation, atol=1e-3, rtol=0)


def test_fit_together_gives_one_identity_and_beats_the_noise():
    generator = torch.Generator().manual_seed(7)
    truth = own(5, 6)
    truth = dataclasses.replace(truth, identity=truth.identity[:1].repeat(6, 1))
    face = face_of(truth)
    noise = 0.7 * torch.randn(face.landmarks.shape, generator=generator)
    face = dataclasses.replace(face, landmarks=face.landmarks + noise)
    together, apart = regressor(sigma=0.02).fit_together(face), regressor(sigma=0.02)(face)
    assert torch.equal(together.identity, together.identity[:1].expand(6, -1))
    error = (together.identity - truth.identity).square().mean()
    assert error < 0.5 * (apart.identity - truth.identity).square().mean()
    assert error.sqrt() < 0.35


def test_fit_together_with_one_photo_is_the_single_fit():
    face = face_of(own(6, 1))
    torch.testing.assert_close(regressor().fit_together(face).identity, regressor()(face).identity, atol=2e-3, rtol=0)


def test_outliers_are_forgotten():
    truth = own(8, 6)
    face = face_of(truth)
    generator = torch.Generator().manual_seed(9)
    wrong = torch.rand(face.landmarks.shape[:2], generator=generator) < 0.2
    astray = face.landmarks + 25 * torch.randn(face.landmarks.shape, generator=generator)
    spoilt = dataclasses.replace(face, landmarks=torch.where(wrong[..., None], astray, face.landmarks))
    found = regressor(sigma=0.01)(spoilt)
    assert landmark_error(egg_head(), face, found).mean() < 0.02
    assert degrees_between(found.rotation, truth.rotation).max() < 3


def test_empty_batch_is_refused():
    with pytest.raises(ValueError, match="no face"):
        regressor()(face_of(own(0, 1))[:0])


def test_rotation_exponential():
    vector = torch.tensor([[0.0, 0.0, math.pi / 2], [0.0, 0.0, 0.0], [1e-4, 0.0, 0.0]])
    matrices = axis_angle_to_matrix(vector)
    torch.testing.assert_close(matrices[0] @ torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]))
    torch.testing.assert_close(matrices[1], torch.eye(3))
    torch.testing.assert_close(matrices.transpose(1, 2) @ matrices, torch.eye(3).expand(3, 3, 3))
