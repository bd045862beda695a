"""What is measured of a result: analytic answers on a real head with made-up maps; each warning at its threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ftim.data import load_portraits
from ftim.facial_skin import FacialSkin
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.quality import (
    DARKEST,
    FARTHEST_TURN,
    LARGEST_CONTRAST,
    LARGEST_COVERED_EYES,
    LARGEST_COVERED_FOREHEAD,
    LARGEST_COVERED_LOWER,
    LARGEST_LANDMARK_ERROR,
    LARGEST_UNEXPLAINED_LIGHT,
    SMALLEST_FACE,
    Quality,
    assess,
    find_warnings,
    turn,
)
from ftim.reconstruction import Reconstruction
from ftim.rotation import axis_angle_to_matrix
from ftim.structures import PartialTexture

GOOD = Quality(0.8, 0.007, None, 1.4, 3.0, 400.0, 0.9, 0.02, 0.0, 0.0, ())


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.build(texture_size=256)


@pytest.fixture(scope="module")
def result(pipeline: Pipeline) -> Reconstruction:
    return pipeline.reconstruct(load_portraits("test").photos[3].path, "mirror")


def seen_where(result: Reconstruction, visibility: Tensor) -> Reconstruction:
    """The result of a photograph that showed other skin."""
    return replace(result, partial=PartialTexture(result.partial.color, visibility, visibility))


def test_an_ordinary_portrait_has_no_warning(result: Reconstruction) -> None:
    quality = assess(result)
    assert quality.warnings == () and 0.5 < quality.seen < 1
    assert 0 < quality.landmark_error < 0.015 and quality.face_pixels > 200
    assert quality.unexplained_light is None and len(quality.sentences()) == 2


def test_seen_is_the_share_of_the_facial_skin(pipeline: Pipeline, result: Reconstruction) -> None:
    """And the slow count, point by point, agrees."""
    skin = FacialSkin.of(pipeline.model)
    left = torch.zeros_like(result.partial.visibility)
    left[..., :128] = 1
    assert assess(seen_where(result, left)).seen == pytest.approx(0.5, abs=0.01), "the atlas is symmetric"
    assert assess(seen_where(result, torch.ones_like(left))).seen == 1
    assert assess(seen_where(result, torch.zeros_like(left))).seen == 0
    assert float(skin.area.sum()) == pytest.approx(1, abs=1e-4)
    upper = result.partial.visibility.clone()
    upper[..., 100:, :] = 0
    points = zip(skin.area.tolist(), (skin.uv * 256).long().tolist(), strict=True)
    expected = sum(area for area, (column, row) in points if upper[0, 0, row, column] == 1)
    assert assess(seen_where(result, upper)).seen == pytest.approx(expected, abs=0.01)


def test_unexplained_light_is_the_mean_distance_of_the_residual_from_one(result: Reconstruction) -> None:
    residual = torch.ones_like(result.texture.residual)
    residual[..., :128], residual[..., 128:] = 1.1, 0.7
    shown = torch.zeros_like(result.partial.visibility)
    shown[..., :128] = 1
    changed = replace(result, texture=replace(result.texture, residual=residual))
    assert assess(seen_where(changed, shown)).unexplained_light == pytest.approx(0.1, abs=0.005)
    assert assess(seen_where(changed, 1 - shown)).unexplained_light == pytest.approx(0.3, abs=0.005)
    assert assess(seen_where(changed, torch.ones_like(shown))).unexplained_light == pytest.approx(0.2, abs=0.005)
    assert assess(seen_where(changed, 0 * shown)).unexplained_light is None
    assert "10% on average" in assess(seen_where(changed, shown)).sentences()[2]


def test_contrast_of_even_light_is_one_and_grows_with_light_from_one_side(result: Reconstruction) -> None:
    even = torch.zeros_like(result.fit.light)
    even[:, 0] = 3.0
    assert assess(replace(result, fit=replace(result.fit, light=even))).contrast == pytest.approx(1, abs=1e-4)
    side = even.clone()
    side[:, 3] = 1.6
    quality = assess(replace(result, fit=replace(result.fit, light=side)))
    assert quality.contrast is not None and quality.contrast > LARGEST_CONTRAST
    assert [warning.kind for warning in quality.warnings] == ["hard light"]


@pytest.mark.parametrize("degrees", [-100.0, -55.0, 0.0, 30.0])
def test_turn_is_the_angle_to_the_camera_from_above(result: Reconstruction, degrees: float) -> None:
    angle = torch.tensor(degrees).deg2rad()
    axis = torch.stack([torch.zeros(()), angle, torch.zeros(())])[None]
    fit = replace(result.fit, rotation=axis_angle_to_matrix(axis), translation=torch.tensor([[0.0, 0.1, -1.0]]))
    assert turn(fit) == pytest.approx(degrees, abs=1e-3)
    to_the_left = replace(fit, translation=torch.tensor([[-1.0, 0.0, -1.0]]))
    assert turn(to_the_left) == pytest.approx(degrees - 45, abs=1e-3), "the camera is to its right"


def test_small_and_dark_photographs_are_warned_of(pipeline: Pipeline, result: Reconstruction) -> None:
    photo = result.photo
    step = round(assess(result).face_pixels / 100)
    kinds = [warning.kind for warning in assess(pipeline.reconstruct(photo[::step, ::step].copy(), "mean")).warnings]
    assert "small" in kinds and "dark" not in kinds
    dark = (photo * np.float32(0.45)).astype(np.uint8)
    assert [warning.kind for warning in assess(pipeline.reconstruct(dark, "mean")).warnings] == ["dark"]


def test_face_pixels_are_the_faces_own_side_in_the_photograph(pipeline: Pipeline, result: Reconstruction) -> None:
    """Not the crop's, which is half as large again, and whatever the crop was resampled to."""
    (detection,) = pipeline.detector.detect(result.photo)
    assert assess(result).face_pixels == pytest.approx(detection.side, rel=1e-4)


def test_dark_skin_is_no_dark_photograph(result: Reconstruction) -> None:
    """Eyes and teeth say how bright a photograph is, whatever the skin: half a percent of the crop is enough."""
    side = result.face.image.shape[-1]
    image = torch.full_like(result.face.image, 0.15)
    image[..., : round(0.09 * side), : round(0.09 * side)] = 0.8
    skin = torch.ones_like(result.skin)
    assert not assess(replace(result, skin=skin, face=replace(result.face, image=image))).warnings
    black = assess(replace(result, skin=skin, face=replace(result.face, image=image.clamp(max=0.15))))
    assert [warning.kind for warning in black.warnings] == ["dark"]


def test_hidden_parts_are_measured_by_part(result: Reconstruction) -> None:
    everything = torch.ones_like(result.skin)
    free = assess(replace(result, skin=everything))
    assert free.covered_forehead == free.covered_lower == 0 and free.covered_eyes < 0.05
    hidden = assess(replace(result, skin=0 * everything))
    assert hidden.covered_forehead == hidden.covered_eyes == hidden.covered_lower == 1
    (warning,) = hidden.warnings
    assert warning.text.startswith(
        "It seems that hair, glasses, a hand or a mask cover 100% of the forehead and 100% of the skin"
    )
    nose = round(float(result.face.landmarks[0, 1, 1]))
    hand = everything.clone()
    hand[..., nose:, :] = 0
    quality = assess(replace(result, skin=hand))
    assert quality.covered_lower > 0.9 and quality.covered_forehead == 0
    assert len(quality.warnings) == 1 and "a hand or a mask covers" in quality.warnings[0].text


def test_sunglasses_are_found_where_the_skin_mask_takes_them_for_shadow(result: Reconstruction) -> None:
    free = replace(result, skin=torch.ones_like(result.skin))
    image = result.face.image.clone()
    x, y = result.face.landmarks[0, [33, 263], 0], result.face.landmarks[0, [33, 263], 1].mean()
    half = float(x[1] - x[0]) / 6
    image[..., round(float(y) - half) : round(float(y) + half), round(float(x[0])) : round(float(x[1]))] = 0.02
    quality = assess(replace(free, face=replace(result.face, image=image)))
    assert quality.covered_eyes > LARGEST_COVERED_EYES > 2 * assess(free).covered_eyes
    assert "glasses" in quality.warnings[0].text


@pytest.mark.parametrize(
    ("name", "threshold", "above", "kind"),
    [
        ("landmark_error", LARGEST_LANDMARK_ERROR, True, "fit"),
        ("turn", FARTHEST_TURN, True, "turned"),
        ("turn", -FARTHEST_TURN, False, "turned"),
        ("face_pixels", SMALLEST_FACE, False, "small"),
        ("brightest", DARKEST, False, "dark"),
        ("contrast", LARGEST_CONTRAST, True, "hard light"),
        ("unexplained_light", LARGEST_UNEXPLAINED_LIGHT, True, "hard light"),
        ("covered_forehead", LARGEST_COVERED_FOREHEAD, True, "covered"),
        ("covered_eyes", LARGEST_COVERED_EYES, True, "covered"),
        ("covered_lower", LARGEST_COVERED_LOWER, True, "covered"),
    ],
)
def test_each_warning_begins_at_its_threshold(name: str, threshold: float, above: bool, kind: str) -> None:
    beyond = threshold + (1e-3 if above else -1e-3)
    assert list(find_warnings(GOOD)) == list(find_warnings(replace(GOOD, **{name: threshold}))) == []  # type: ignore[arg-type]
    (warning,) = find_warnings(replace(GOOD, **{name: beyond}))  # type: ignore[arg-type]
    assert warning.kind == kind and warning.text.endswith((".", "?"))


def test_the_whole_is_symmetric(pipeline: Pipeline, result: Reconstruction) -> None:
    photo = read_photo(load_portraits("test").photos[3].path)[:, ::-1].copy()
    quality, other = assess(result), assess(pipeline.reconstruct(photo, "mirror"))
    assert other.turn == pytest.approx(-quality.turn, abs=1)
    assert other.seen == pytest.approx(quality.seen, abs=0.02)
    assert other.contrast == pytest.approx(quality.contrast, rel=0.03)
