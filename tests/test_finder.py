"""The face that is meant: whichever way up, however small, and none that is no face."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ftim.data import load_portraits
from ftim.errors import FaceIndexError, FaceTooSmallError, NoFaceError
from ftim.face_check import LEAST, SURE, FaceEvidence
from ftim.photo import Photograph, read_photo
from ftim.pipeline import Pipeline
from ftim.quality import assess
from scripts.measure.not_faces import color_wheel, smiley


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.build(texture_size=256)


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    return [read_photo(photo.path) for photo in load_portraits("test").first(25).photos]


def scaled(photo: np.ndarray, side: float) -> np.ndarray:
    height, width = photo.shape[:2]
    size = (round(side), round(side * height / width))
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))


def put(canvas: np.ndarray, photo: np.ndarray, x: int, y: int) -> None:
    canvas[y : y + len(photo), x : x + photo.shape[1]] = photo


def test_a_photograph_any_way_up_gives_the_same_face(pipeline: Pipeline, portraits: list[np.ndarray]) -> None:
    for photo in portraits[:3]:
        expected = pipeline.finder.one(Photograph(photo))
        assert expected.photo.turn == 0 and expected.confidence > SURE
        for turn in (1, 2, 3):
            found = pipeline.finder.one(Photograph(np.ascontiguousarray(np.rot90(photo, turn))))
            assert found.photo.turn == 4 - turn and np.array_equal(found.photo.pixels, photo)
            side = expected.box[3] - expected.box[1]
            assert np.abs(np.subtract(found.box, expected.box)).max() < 0.06 * side


def test_a_slanted_photograph_is_turned_to_within_45_degrees(pipeline: Pipeline, portraits: list[np.ndarray]) -> None:
    for degrees in (-135, -100, 40, 135):
        slanted = np.asarray(Image.fromarray(portraits[0]).rotate(degrees, Image.Resampling.BICUBIC, expand=True))
        found = pipeline.finder.one(Photograph(slanted))
        right = found.face.landmarks[0, 263] - found.face.landmarks[0, 33]
        roll = float(torch.rad2deg(torch.atan2(right[1], right[0])))
        assert abs(roll) < 52 and found.confidence > LEAST


def test_the_result_of_a_turned_photograph_is_upright_and_says_so(
    pipeline: Pipeline, portraits: list[np.ndarray]
) -> None:
    result = pipeline.reconstruct(np.ascontiguousarray(portraits[1][::-1, ::-1]), "mirror")
    assert result.turn == 2 and np.array_equal(result.photo, portraits[1])
    assert "turned by 180 degrees" in assess(result).warnings[0].text


def test_one_large_face_hides_no_small_ones(pipeline: Pipeline, portraits: list[np.ndarray]) -> None:
    """Nine or more, all of them, the largest first."""
    canvas = np.full((900, 1400, 3), 150, np.uint8)
    put(canvas, scaled(portraits[0], 500), 0, 0)
    for index, photo in enumerate(portraits[1:10]):
        put(canvas, scaled(photo, 110)[:140], 520 + index % 6 * 140, 40 + index // 6 * 300)
    found = list(pipeline.finder.every(Photograph(canvas)))
    assert len(found) == 10
    sides = [item.box[3] - item.box[1] for item in found]
    assert sides == sorted(sides, reverse=True) and sides[0] > 2 * sides[1]
    assert pipeline.finder.one(Photograph(canvas), 9).box == found[9].box
    with pytest.raises(FaceIndexError, match="face 10 was asked for; the photo has 10"):
        pipeline.finder.one(Photograph(canvas), 10)


@pytest.mark.parametrize(("width", "height", "side"), [(4000, 3000, 130), (12000, 2000, 400)])
def test_a_small_face_in_a_large_photograph(
    pipeline: Pipeline, portraits: list[np.ndarray], width: int, height: int, side: int
) -> None:
    ramp = np.linspace(60, 180, width, dtype=np.uint8)[None, :, None]
    canvas = np.broadcast_to(ramp, (height, width, 3)).copy()
    put(canvas, scaled(portraits[2], side), width * 2 // 3, height // 3)
    found = pipeline.finder.one(Photograph(canvas))
    assert width * 2 // 3 < found.box[0] < found.box[2] < width * 2 // 3 + side and found.confidence > LEAST


def test_what_is_no_face_is_refused(pipeline: Pipeline) -> None:
    """Of these the landmarker takes some for faces: the test can fail."""
    taken = 0
    for kind in (color_wheel, smiley):
        for seed in range(8):
            picture = np.asarray(kind(np.random.default_rng([3, seed])))
            taken += bool(pipeline.detector.detect(picture))
            with pytest.raises(NoFaceError):
                pipeline.finder.one(Photograph(picture))
    assert taken >= 4


def test_of_several_finds_the_bad_ones_are_left_out_with_a_remark(
    pipeline: Pipeline, portraits: list[np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    canvas = np.full((600, 1000, 3), 128, np.uint8)
    wheel = next(
        picture
        for seed in range(20)
        if pipeline.detector.detect(picture := np.asarray(color_wheel(np.random.default_rng([3, seed]))))
    )
    put(canvas, scaled(wheel, 590), 0, 0)
    put(canvas, scaled(portraits[3], 300), 650, 50)
    with caplog.at_level(logging.WARNING):
        (found,) = pipeline.finder.every(Photograph(canvas))
    assert found.box[0] > 600
    if len(pipeline.detector.detect(canvas, all_faces=True)) > 1:
        assert "no usable faces" in caplog.text


def test_faces_that_are_too_small_are_named(pipeline: Pipeline, portraits: list[np.ndarray]) -> None:
    with pytest.raises(FaceTooSmallError, match="at least 24"):
        pipeline.finder.one(Photograph(scaled(portraits[0], 34)))


def test_a_senseless_fit_is_refused_whatever_else_is_thought(pipeline: Pipeline, portraits: list[np.ndarray]) -> None:
    found = pipeline.finder.one(Photograph(portraits[0]))
    check = pipeline.finder.check
    assert check(found.face, found.fit) == found.confidence
    sliver = found.fit.__class__(**{**vars(found.fit), "identity": torch.full_like(found.fit.identity, 1.5)})
    with pytest.raises(NoFaceError, match="makes no sense"):
        check(found.face, sliver)


@pytest.mark.parametrize("value", [1e3, float("inf"), float("nan")])
def test_a_fit_that_went_astray_is_a_refusal_and_no_crash(
    pipeline: Pipeline, portraits: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    real = pipeline.finder.regressor
    monkeypatch.setattr(
        pipeline.finder,
        "regressor",
        lambda face: replace(fit := real(face), identity=torch.full_like(fit.identity, value)),
    )
    with pytest.raises(NoFaceError, match="makes no sense"):
        pipeline.finder.one(Photograph(portraits[0]))


def test_confidence_rises_with_likeness_and_falls_with_strangeness() -> None:
    def confidence(identity: float, likeness: float) -> float:
        return FaceEvidence(identity, likeness, 0.01).confidence

    assert confidence(0.25, 0.6) > 0.99 and confidence(0.6, 0.1) < 0.01
    assert confidence(0.4, 0.3) < confidence(0.4, 0.4) and confidence(0.4, 0.4) > confidence(0.5, 0.4)


def test_faces_that_were_found_are_not_looked_for_again(
    pipeline: Pipeline, portraits: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = pipeline.finder.one(Photograph(portraits[0]))
    monkeypatch.setattr(pipeline.detector, "detect", None)
    result = pipeline.reconstruct(portraits[0], "mirror", found=found)
    assert result.confidence == found.confidence
