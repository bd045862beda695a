"""FTIM's regressor on DECA: FLAME's file holds an open head of known identity, which must be found again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ftim.errors import ModelFileError
from ftim.morphable.template import load_template_albedo
from ftim.official.crops import deca_crop
from ftim.official.deca_code import DecaCode
from ftim.official.deca_regressor import DecaRegressor
from ftim.official.flame_correspondence import find_correspondence
from ftim.official.mesh import skin_vertices
from ftim.official.registration import closest_on_triangles, rigid, sphere_centre
from ftim.pipeline import Pipeline
from ftim.regressors.landmarks import LandmarkRegressor
from ftim.render.pose import pose_head
from ftim.render.rasterizer import default_rasterizer
from ftim.rotation import axis_angle_to_matrix
from ftim.structures import Face, Fit
from tests.official_files import (
    JOINT_VERTICES,
    flame_tree,
    grey_face,
    open_head,
    write_deca_model,
    write_flame,
)

ROOT, CAMERA = (0.15, -0.4, 0.1), (7.5, 0.01, -0.02)


def identity() -> Tensor:
    return 0.7 * torch.randn(len(open_head().identity_basis), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("regressor")
    write_deca_model(path / "deca_model.tar")
    write_flame(path / "generic_model.pkl", flame_tree(identity()))
    yield path
    for file in path.iterdir():
        file.unlink()


@pytest.fixture(scope="module")
def regressor(folder: Path) -> DecaRegressor:
    loaded = DecaRegressor.load(open_head(), default_rasterizer(), load_template_albedo(128), folder)
    code = torch.zeros(236)
    code[200:203], code[206:209] = torch.tensor(ROOT), torch.tensor(CAMERA)
    last = loaded.encoder.layers[2]
    assert isinstance(last, nn.Linear)
    last.bias.data.copy_(code)
    return loaded


def truth(regressor: DecaRegressor, face: Face) -> Tensor:
    """(478, 2) where the landmarks of the head in FLAME's file are seen."""
    head = open_head()
    landmarks = head.landmarks(head.vertices(identity()[None], torch.zeros(1, 52)))[0]
    joint = regressor.flame.template[JOINT_VERTICES[0]]
    turned = (landmarks - joint) @ axis_angle_to_matrix(torch.tensor([ROOT]))[0].T + joint
    code = DecaCode.split(regressor.encoder(torch.zeros(1, 3, 224, 224)))
    return code.project(turned[None], deca_crop(face))[0, :, :2]


def seen(fit: Fit) -> Tensor:
    """(B, 478, 2)."""
    head = open_head()
    points = head.landmarks(pose_head(head, fit).vertices)
    return fit.camera.project(points)[..., :2]


def test_known_head_is_found(regressor: DecaRegressor) -> None:
    face = grey_face()
    fit = regressor(face)
    error = (seen(fit)[0] - truth(regressor, face)).norm(dim=1)
    assert float(error.mean()) < 0.5 and float(error.quantile(0.95)) < 1.5
    turn = fit.rotation[0].T @ axis_angle_to_matrix(torch.tensor([ROOT]))[0]
    assert float(((turn.trace() - 1) / 2).clamp(max=1).acos().rad2deg()) < 1.5
    # Its shape, up to size and pose, which the camera may take up.
    head = open_head()
    points = regressor.correspondence
    found = points.on(head, head.vertices(fit.identity, fit.expression))[0] / regressor.correspondence.size[0]
    wanted = points.on(head, head.vertices(identity()[None], torch.zeros(1, 52)))[0]
    rotation, translation = rigid(found, wanted)
    neutral = points.on(head, head.template[None])[0] / regressor.correspondence.size[0]
    mean_rotation, mean_translation = rigid(neutral, wanted)
    left = (found @ rotation.T + translation - wanted).norm(dim=1).mean()
    before = (neutral @ mean_rotation.T + mean_translation - wanted).norm(dim=1).mean()
    assert float(left) < 0.001 and float(left) < 0.5 * float(before)
    assert fit.light.shape == (1, 9, 3) and float(fit.expression.max()) < 0.2


def test_camera_is_orthographic_to_a_fraction_of_a_pixel(regressor: DecaRegressor) -> None:
    fit = regressor(grey_face())
    head = pose_head(open_head(), fit)
    depth = -head.vertices[0, :, 2]
    parallel = fit.camera.principal[0] + fit.camera.focal / 200 * head.vertices[0, :, :2] * torch.tensor([1.0, -1.0])
    inside = ((parallel >= 0) & (parallel <= 224)).all(1)
    assert int(inside.sum()) > 3000 and float((depth - 200).abs().max()) < 0.3
    near = inside & ((depth - 200).abs() < 0.15)
    assert float((head.positions[0, :, :2] - parallel).abs()[near].max()) < 0.09


def test_batch_and_together(regressor: DecaRegressor) -> None:
    face = grey_face(2)
    shifted = face.landmarks.clone()
    shifted[1] += 8.0
    face = dataclasses.replace(face, landmarks=shifted)
    both = regressor(face)
    for number in range(2):
        alone = regressor(face[number])
        torch.testing.assert_close(alone.identity[0], both.identity[number], atol=1e-3, rtol=0)
        torch.testing.assert_close(seen(alone)[0], seen(both)[number], atol=0.02, rtol=0)
    torch.testing.assert_close(seen(both)[1] - seen(both)[0], torch.full((478, 2), 8.0), atol=0.05, rtol=0)
    together = regressor.fit_together(face)
    assert torch.equal(together.identity[0], together.identity[1])
    torch.testing.assert_close(seen(together), seen(both), atol=0.3, rtol=0)
    with pytest.raises(ValueError, match="no face"):
        regressor(face[[]])


def test_light_is_measured_as_by_the_landmark_fit(regressor: DecaRegressor) -> None:
    face = grey_face()
    fit = regressor(face)
    skin = torch.ones_like(face.valid)
    other = LandmarkRegressor(open_head(), default_rasterizer(), load_template_albedo(128))
    torch.testing.assert_close(regressor.relight(face, fit, skin).light, other.relight(face, fit, skin).light)
    assert regressor.relight(face, fit, skin).light.abs().max() > 0.1


def test_size_and_place_of_the_template_do_not_matter(regressor: DecaRegressor) -> None:
    flame = regressor.flame
    turn = axis_angle_to_matrix(torch.tensor([[0.2, 0.05, 0.0]]))[0]
    moved = 1.12 * flame.template @ turn.T + torch.tensor([0.0, 0.03, -0.02])
    found = find_correspondence(open_head(), moved, flame.triangles)
    assert float(found.size[0]) == pytest.approx(float(regressor.correspondence.size[0]) / 1.12, rel=0.01)
    head = open_head()
    on = found.on(head, head.vertices(identity()[None], torch.zeros(1, 52)))[0]
    distance = (on - flame.template[found.vertices]).norm(dim=1)
    assert float(distance.median()) < 0.001 and float(distance.quantile(0.95)) < 0.003


def test_other_heads_are_refused(regressor: DecaRegressor) -> None:
    flame = regressor.flame
    with pytest.raises(ModelFileError, match=r"generic_model\.pkl"):
        find_correspondence(open_head(), flame.template * torch.tensor([1.0, 1.0, 0.05]), flame.triangles)
    with pytest.raises(ModelFileError, match="eyeballs"):
        skin = skin_vertices(flame.triangles, len(flame.template))
        find_correspondence(open_head(), flame.template, flame.triangles[torch.isin(flame.triangles[:, 0], skin)])


def test_closest_points_of_a_triangle() -> None:
    triangle = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    points = torch.tensor([[0.2, 0.3, 5], [-1, -1, 0], [2, -1, 0], [0.5, -3, 1], [1, 1, 0]])
    weights = closest_on_triangles(points[:, None], triangle[None].expand(5, 1, 3, 3))[:, 0]
    expected = torch.tensor([[0.5, 0.2, 0.3], [1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [0, 0.5, 0.5]])
    torch.testing.assert_close(weights, expected)


def test_centre_of_a_cap() -> None:
    directions = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    cap = directions * torch.tensor([1.0, 1.0, 0.0]) + directions.abs() * torch.tensor([0.0, 0, 1])
    torch.testing.assert_close(sphere_centre(torch.tensor([1.0, 2, 3]) + 0.5 * cap), torch.tensor([1.0, 2, 3]))


def test_pipeline_takes_it(regressor: DecaRegressor, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTIM_OFFICIAL", str(folder))
    monkeypatch.setattr(DecaRegressor, "load", classmethod(lambda cls, *arguments: regressor))
    pipeline = Pipeline.build(texture_size=128, regressor="deca")
    assert pipeline.regressor is regressor
    face = grey_face()
    view = pipeline.views(face)
    assert view.skin.shape == (1, 1, 224, 224) and float(view.partial.visibility.mean()) > 0.05
    assert isinstance(Pipeline.build(texture_size=128).regressor, LandmarkRegressor)
