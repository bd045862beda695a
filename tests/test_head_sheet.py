"""The sheets of turned heads, without their photographs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ftim.data import load_official_portraits
from ftim.errors import SettingsError
from ftim.morphable import Region
from ftim.render.rasterizer import default_rasterizer
from ftim.structures import Rendering, Texture
from scripts.figures import head_sheet
from scripts.figures.head_sheet import (
    PAPER,
    PLANS,
    Config,
    Person,
    caption,
    choose,
    head,
    official_people,
    picture,
    row,
    run,
    shortened,
)
from scripts.figures.sheet import GAP, LABEL
from tests.fake_pipeline import write_photo
from tests.synthetic_head import synthetic_fit, synthetic_head

SIDE = 64
PEOPLE = [Person("005", "train", Path("005.jpg")), *(Person(f"{n:03}", "validation", Path()) for n in (70, 71, 72))]


class FakePipeline:
    """A small head of one colour, whatever the photograph."""

    def __init__(self) -> None:
        self.model = synthetic_head()
        self.rasterizer = default_rasterizer()
        self.device = torch.device("cpu")
        self.photos: list[Path] = []

    def reconstruct(self, photo: Path, completion: str) -> SimpleNamespace:
        self.photos.append(photo)
        fit = synthetic_fit(self.model, size=SIDE)
        fit = dataclasses.replace(fit, light=torch.full_like(fit.light, 0.3))
        maps = torch.ones(1, 3, 16, 16)
        image = torch.zeros(1, 3, SIDE, SIDE)
        return SimpleNamespace(
            fit=fit,
            face=SimpleNamespace(image=image + 0.1),
            texture=Texture(0.2 * maps, 0.4 * maps, 1.5 * maps),
            rendering=Rendering(image, image[:, :1], image + 0.3),
        )


def test_heads_are_whole_and_evenly_lit() -> None:
    pipeline = FakePipeline()
    result = pipeline.reconstruct(Path(), "ftim")
    areas = []
    for yaw in (-60, 0, 60):
        drawn = head(pipeline, result, yaw, 96)  # type: ignore[arg-type]
        assert drawn.shape == (3, 96, 96)
        corner = drawn[:, 0, 0]
        assert torch.allclose(corner, torch.tensor(PAPER))
        inside = (drawn - 0.4).abs().amax(0) < 1e-4
        rest = drawn[:, ~inside]
        assert ((rest >= 0.4 - 1e-4) & (rest <= PAPER + 1e-4)).all(), "albedo 0.4 everywhere, blended at the outline"
        areas.append(int(inside.sum()))
    assert min(areas) > 96 * 96 / 10
    assert len({int(region) for region in pipeline.model.regions}) > 1


def test_pictures_show_what_their_column_says() -> None:
    result = FakePipeline().reconstruct(Path(), "ftim")
    names = PLANS["frll"].pictures
    means = {name: float(picture(result, name).mean()) for name in names}  # type: ignore[arg-type]
    expected = {"photograph": 0.1, "overlay": 0.3, "albedo": 0.4, "residual": 0.75}
    assert means == pytest.approx(expected)


@pytest.mark.parametrize("name", ["frll", "official"])
def test_row_has_the_columns(name: str) -> None:
    pipeline, plan = FakePipeline(), PLANS[name]
    pictures = row(pipeline, pipeline.reconstruct(Path(), "ftim"), plan)  # type: ignore[arg-type]
    assert len(pictures) == len(plan.columns) == len(plan.pictures) + len(plan.yaws)
    left, right = pictures[len(plan.pictures)], pictures[-1]
    assert (left - right).abs().max() > 0.1


def test_plans_are_those_of_the_figures() -> None:
    assert PLANS["frll"].columns[4:] == ("-60 degrees", "-30 degrees", "0 degrees", "+30 degrees", "+60 degrees")
    assert PLANS["official"].columns[3:] == ("-35 degrees", "+35 degrees")
    assert PLANS["official"].people(PEOPLE) == ("070", "071", "072")
    assert len(PLANS["frll"].people(PEOPLE)) == 8


def test_caption_says_who_was_trained_on() -> None:
    assert caption(PEOPLE, "credit") == "validation people: 070 to 072; train people: 005; credit"
    assert caption(PEOPLE[1:], "credit") == "validation people: 070 to 072; train people: none; credit"
    assert shortened(["018", "034", "035", "041"]) == "018, 034 to 035, 041"


def test_people_come_in_the_order_that_was_asked_for() -> None:
    assert [person.name for person in choose(PEOPLE, ("071", "005"))] == ["071", "005"]
    with pytest.raises(SettingsError, match=r"999.*005, 070 to 072"):
        choose(PEOPLE, ("071", "999"))


def test_official_people_have_their_split(tmp_path: Path) -> None:
    for number in (69, 70):
        write_photo(tmp_path / f"{number:03}.png", 100)
    assert len(load_official_portraits("train", tmp_path).photos) == 1
    assert [(p.name, p.split) for p in official_people(tmp_path)] == [("070", "validation"), ("069", "train")]


def test_sheet_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (5, 70, 71, 72, 73):
        write_photo(tmp_path / f"{number:03}.png", 100)
    pipeline = FakePipeline()
    monkeypatch.setattr(head_sheet, "Pipeline", SimpleNamespace(build=lambda texture_size: pipeline))
    output = run(Config("official", tmp_path, out=tmp_path / "figures" / "heads.jpg"))
    assert [photo.stem for photo in pipeline.photos] == ["070", "071", "072", "073"]
    plan = PLANS["official"]
    with Image.open(output) as sheet:
        assert sheet.format == "JPEG"
        width = 3 * (plan.side * len(plan.columns) + GAP) - GAP
        assert sheet.size == (width, 2 * LABEL + 2 * (plan.side + LABEL))
        assert np.asarray(sheet)[-LABEL:].min() < 200, "the credit"


def test_the_whole_head_is_drawn() -> None:
    """No part of the head is left out for what it belongs to."""
    pipeline = FakePipeline()
    result = pipeline.reconstruct(Path(), "ftim")
    whole = head(pipeline, result, 60, 96)  # type: ignore[arg-type]
    scalp = torch.full_like(pipeline.model.regions, int(Region.SCALP))
    pipeline.model = dataclasses.replace(pipeline.model, regions=scalp)
    assert torch.equal(head(pipeline, result, 60, 96), whole)  # type: ignore[arg-type]
