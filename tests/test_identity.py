"""Several photographs of one person: other people are noticed, by their heads or by FaceNet."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

import ftim.identity
from ftim.data import load_portraits
from ftim.errors import FaceError, ModelFileError
from ftim.identity import DIRECTIONS, fisher_projection, identity_distances, identity_metric
from ftim.morphable import load_open_head
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.quality import LARGEST_IDENTITY_DISTANCE, Quality, assess, find_warnings
from ftim.reconstruction import Reconstruction
from tests.fake_pipeline import FakeFacenet

FIRST, OTHER = 3, 9
"""Portraits of two people whose heads differ."""


@cache
def pipeline() -> Pipeline:
    return Pipeline.build(texture_size=256)


@cache
def merged(*numbers: int) -> Reconstruction:
    photos = [load_portraits("test").photos[number].path for number in numbers]
    return pipeline().reconstruct_together(photos, "mirror")


def people(quality: Quality) -> list[str]:
    return [warning.text for warning in find_warnings(quality) if warning.kind == "person"]


def test_the_projection_keeps_what_tells_people_apart() -> None:
    """Two directions differ between people, a louder one only between fits of one person."""
    generator = torch.Generator().manual_seed(0)
    person = torch.arange(40).repeat_interleave(6)
    own = torch.randn(40, 2, generator=generator)[person] * 2
    noise = torch.randn(240, 3, generator=generator) * torch.tensor([0.5, 0.5, 9.0])
    points = torch.cat([own, torch.zeros(240, 1)], 1) + noise
    projection = fisher_projection(points, person, directions=2, shrinkage=1e-4)
    drawn = points @ projection
    means = torch.stack([drawn[person == one].mean(0) for one in range(40)])
    torch.testing.assert_close((drawn - means[person]).std(0), torch.ones(2), atol=0.1, rtol=0)
    assert float(projection[2].norm()) < 0.1 * float(projection[:2].norm())
    assert float(means.std(0).min()) > 3


def test_the_metric_is_the_open_heads_and_asks_no_other() -> None:
    model = load_open_head()
    projection, head = identity_metric()
    assert projection.shape == (len(model.identity_basis), DIRECTIONS) and head == f"{model.name} {model.version}"
    two = torch.zeros(2, len(projection))
    two[1, 0] = 1
    (distance,) = identity_distances(model, two)
    assert distance == pytest.approx(float(projection[0].norm()))
    assert identity_distances(model, two[:1]) == ()
    assert identity_distances(replace(model, name="flame"), two) == ()
    assert identity_distances(replace(model, version=model.version + 1), two) == ()


def test_a_damaged_metric_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "metric.safetensors").write_bytes(b"no")
    with pytest.raises(ModelFileError, match=r"metric\.safetensors"):
        identity_metric(tmp_path / "metric.safetensors")


def test_one_photograph_has_nobody_to_differ_from() -> None:
    quality = assess(merged(FIRST))
    assert quality.identity_distances == () and quality.facenet_cosines == () and not people(quality)


def test_the_same_face_is_one_person_and_another_is_named_by_its_number() -> None:
    quality = assess(merged(FIRST, FIRST, OTHER))
    same, other = quality.identity_distances
    assert same < 0.01 and other > LARGEST_IDENTITY_DISTANCE
    assert people(quality) == [
        "Photograph 3 seems to show another person than photograph 1: their skin is mixed in this texture."
    ]
    both = replace(quality, identity_distances=(other, other))
    assert people(both)[0].startswith("Photograph 2 and 3 seem to show another person")


def test_with_facenet_it_is_asked_and_not_the_heads() -> None:
    result = merged(FIRST, FIRST, OTHER)
    certain = assess(result, FakeFacenet())  # type: ignore[arg-type]
    assert len(certain.facenet_cosines) == 2 and certain.facenet_cosines[0] == pytest.approx(1, abs=1e-4)
    assert not people(replace(certain, facenet_cosines=(0.9, 0.7)))
    assert people(replace(certain, facenet_cosines=(0.1, 0.7)))[0].startswith("Photograph 2 seems")


def test_the_photograph_without_a_face_is_named() -> None:
    photo = read_photo(load_portraits("test").photos[FIRST].path)
    with pytest.raises(FaceError, match="photograph 2 of 2: no face"):
        pipeline().reconstruct_together([photo, photo[:100, :100]], "mirror")


def test_views_are_kept_as_they_were_fitted() -> None:
    views = merged(FIRST, FIRST, OTHER).views
    assert len(views) == 3 and torch.equal(views.image[0], views.image[1])
    assert ftim.identity.METRIC_PATH.is_file()
