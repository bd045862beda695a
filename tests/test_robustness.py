"""The corpus of awkward photographs: that they are what they are called, and that its page follows from its JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftim.data import load_portraits
from ftim.photo import read_photo
from scripts.measure.awkward import Row, page
from scripts.measure.awkward_cases import HIGH, WIDE, Case, cases

RESULTS = Path(__file__).parents[1] / "results"


@pytest.fixture(scope="module")
def made() -> dict[str, Case]:
    photos = [Image.fromarray(read_photo(photo.path)) for photo in load_portraits("test").first(20).photos]
    plain = Image.new("RGB", (64, 64))
    return {case.name: case for case in cases(photos, plain, plain, None)}


def test_every_kind_is_there_once_and_deterministic(made: dict[str, Case]) -> None:
    assert len(made) >= 25 and made["40 megapixels"].image.size == (WIDE, HIGH)
    assert {case.wanted for case in made.values()} == {"head", "warning", "refusal", "any"}
    photos = [Image.fromarray(read_photo(photo.path)) for photo in load_portraits("test").first(20).photos]
    for case in cases(photos, photos[0], photos[0], None)[2:8]:
        assert np.array_equal(np.asarray(case.image), np.asarray(made[case.name].image))


def test_light_is_what_the_case_says(made: dict[str, Case]) -> None:
    shadow = np.asarray(made["heavy shadow"].image).mean((0, 2))
    assert shadow[: len(shadow) // 3].mean() < 0.3 * shadow[-len(shadow) // 3 :].mean()
    assert np.asarray(made["underexposed"].image).mean() < 90 < np.asarray(made["overexposed"].image).mean()


def test_what_counts_as_wanted() -> None:
    def row(wanted: str, outcome: str, faces: int = 1) -> bool:
        return Row("a", wanted, outcome, "", 1.0, faces, 1, 0.1).as_wanted

    assert row("head", "head") and row("head", "warning") and row("warning", "warning") and row("any", "refusal", 0)
    assert not row("head", "refusal", 0) and not row("warning", "head") and not row("head", "head", 2)


def test_the_page_follows_from_the_json() -> None:
    found = json.loads((RESULTS / "robustness.json").read_text(encoding="utf-8"))
    assert (RESULTS / "robustness.md").read_text(encoding="utf-8") == page(found)
    assert all(Row(**row).as_wanted for row in found["rows"])
