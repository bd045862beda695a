"""The sheet of people, without their photographs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ftim.data.frll import EXPRESSIONS, VIEWS
from ftim.errors import SettingsError
from ftim.structures import Face, Rendering
from scripts.figures import people_sheet
from scripts.figures.people_sheet import COLUMNS, INSET, PAPER, Config, lines, row, run, with_inset
from scripts.figures.sheet import LABEL
from tests.fake_pipeline import SIDE, FakePipeline, Shift, as_pipeline, write_photo

PEOPLE = ("001", "002", "003", "004", "005", "006")


def faces(pipeline: FakePipeline) -> Face:
    """Three views, one a colour."""
    pictures = [np.full((SIDE, SIDE, 3), value, np.uint8) for value in (60, 120, 180)]
    return Face.concatenate([pipeline.face(picture) for picture in pictures])


def test_expressions_and_views_go_round() -> None:
    chosen = lines(PEOPLE)
    assert [line.person for line in chosen] == list(PEOPLE)
    assert len({(line.expression, line.source) for line in chosen}) == len(EXPRESSIONS) * len(VIEWS)
    assert chosen[4].label == "005 neutral; texture and albedo from front"


@pytest.mark.parametrize("source", [0, 1, 2])
def test_row_is_made_from_one_view(source: int) -> None:
    pipeline = FakePipeline()
    face = faces(pipeline)
    pictures = row(as_pipeline(pipeline), Shift("plus", 0.1, albedo=0.05), face, source)
    assert len(pictures) == len(COLUMNS)
    for view in range(3):
        assert torch.equal(pictures[view], face.image[view])
    seen = face.image[source, 0, 0, 0] + 0.1
    assert torch.allclose(pictures[3][:, :, : SIDE // 2], seen)
    assert torch.allclose(pictures[4][:, :, : SIDE // 2], seen + 0.05)
    for view, picture in enumerate(pictures[5:]):
        drawn = (
            seen if view == source else seen + 0.05
        )  # the photograph's own view shows the texture, others the albedo
        assert torch.allclose(picture[:, SIDE // 2, SIDE // 2 - 3], drawn)
        assert torch.allclose(picture[:, 0, 0], face.image[view, :, 0, 0])  # beside the head: the photograph
        # The inset is behind the head: on the left where the face looks to the right.
        inset, other = (0, -1) if view == 2 else (-1, 0)
        assert torch.allclose(picture[:, -1, inset], torch.tensor(PAPER), atol=0.01)
        assert torch.allclose(picture[:, -1, other], face.image[view, :, -1, other])


@pytest.mark.parametrize("left", [True, False])
def test_inset_shows_what_was_drawn(left: bool) -> None:
    mask = torch.zeros(1, 1, 30, 30)
    mask[..., 6:24, 6:24] = 1
    image = 0.2 * mask.expand(1, 3, -1, -1)
    rendering = Rendering(image, mask, torch.full((1, 3, 30, 30), 0.5))
    picture = with_inset(rendering, left)
    corner = slice(0, 30 // INSET) if left else slice(30 - 30 // INSET, 30)
    inset = picture[..., -(30 // INSET) :, corner]
    assert inset[..., 0, 0].mean() == pytest.approx(PAPER, abs=0.01)
    assert inset[..., 5, 5].mean() == pytest.approx(0.2, abs=0.001)
    picture[..., -(30 // INSET) :, corner] = 0.5
    assert torch.equal(picture, rendering.overlay)
    assert (rendering.overlay == 0.5).all()  # unchanged


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs of two people, and a pipeline of milliseconds."""
    for number, person in enumerate(PEOPLE[:2]):
        for view in range(3):
            write_photo(tmp_path / f"{person}_{view}.png", 80 + 40 * view, seed=number)
    frll = SimpleNamespace(
        people=lambda split: PEOPLE[:2],
        triplet=lambda person, expression: tuple(tmp_path / f"{person}_{view}.png" for view in range(3)),
    )

    def build(size: int) -> FakePipeline:
        pipeline = FakePipeline()
        pipeline.completion = lambda name: Shift(name, 0.0)  # type: ignore[attr-defined]
        return pipeline

    monkeypatch.setattr(people_sheet, "load_frll", lambda folder: frll)
    monkeypatch.setattr(people_sheet, "Pipeline", SimpleNamespace(build=build))
    return tmp_path


def test_sheet_is_written_with_credit(made_up: Path) -> None:
    output = run(Config(size=48, output=made_up / "figures" / "people.jpg"))
    with Image.open(output) as picture:
        assert picture.format == "JPEG"
        assert picture.size == (48 * len(COLUMNS), 2 * LABEL + 2 * (48 + LABEL))
        bottom = np.asarray(picture)[-LABEL:]
    assert bottom.min() < 200  # the credit


def test_zoom_is_one_person_twice_as_large(made_up: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made_up)
    output = run(Config(size=48, zoom="002"))
    assert output == Path("runs/people_002.jpg")
    with Image.open(made_up / output) as picture:
        assert picture.size == (96 * len(COLUMNS), 3 * LABEL + 96)
    with pytest.raises(SettingsError, match="001, 002"):
        run(Config(zoom="999"))
