"""Figure 3 and the sheet of worst pairs, without FRLL's photographs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.runner.records import RecordError
from ftim.data import PhotoFile
from scripts.figures import figure3
from scripts.figures.figure3 import GAP, LINE, MARGIN, Config, column, draw, face_part, run
from scripts.figures.sheet import LABEL
from scripts.measure import worst_cases
from scripts.measure.worst_cases import COLUMNS, parse, worst_pairs
from tests.fake_pipeline import SIDE, FakePipeline, Shift, as_pipeline, fake_method, write_photo
from tests.stored_results import stored

PERSON = "006"
PAIRS = tuple(
    f"{PERSON}_smiling: {pair}"
    for pair in ("front to left_3quarter", "left_3quarter to right_3quarter", "right_3quarter to front")
)


def fake_pipeline() -> FakePipeline:
    pipeline = FakePipeline()
    pipeline.size = SIDE  # type: ignore[attr-defined]
    pipeline.completion = lambda name: Shift(name, 0.2)  # type: ignore[attr-defined]
    pipeline.complete = lambda view, name: Shift(name, 0.2)(view.partial, view.fit)  # type: ignore[attr-defined]
    return pipeline


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs of one person, a pipeline of milliseconds, and methods that make faces lighter."""
    paths = [tmp_path / f"{view}.png" for view in range(3)]
    for view, path in enumerate(paths):
        write_photo(path, 80 + 40 * view, seed=view)
    files = tuple(PhotoFile(f"{PERSON}_{view}", path) for view, path in enumerate(paths))
    frll = SimpleNamespace(
        photos=lambda split: SimpleNamespace(photos=files), triplet=lambda person, expression: tuple(paths)
    )
    for module in (figure3, worst_cases):
        monkeypatch.setattr(module, "load_frll", lambda folder: frll)
        monkeypatch.setattr(module, "Pipeline", SimpleNamespace(build=lambda **_: fake_pipeline()))
        monkeypatch.setattr(module, "build_method", lambda name, pipeline: fake_method(pipeline, name, 0.1))
    return tmp_path


def test_column_is_input_texture_and_overlays() -> None:
    pipeline = fake_pipeline()
    face = pipeline.face(np.full((SIDE, SIDE, 3), 102, np.uint8))
    methods = [fake_method(pipeline, "plus", 0.1), fake_method(pipeline, "fails", 0.0, fails_on=0.4)]
    photo, texture, overlay, failed = column(as_pipeline(pipeline), methods, face)
    assert photo is not None and texture is not None and overlay is not None
    assert torch.equal(photo, face.image[0])
    assert torch.allclose(texture[:, :, 0], torch.tensor(0.6))
    assert torch.allclose(overlay[:, SIDE // 2, SIDE // 2 - 3], torch.tensor(0.5))
    assert torch.allclose(overlay[:, 0, 0], torch.tensor(0.4))
    assert failed is None


def test_face_part_of_the_map() -> None:
    rows = torch.arange(100.0).reshape(1, 100, 1).expand(3, 100, 100)
    assert face_part(rows)[0, :, 0].tolist() == list(range(6, 66))
    assert face_part(rows.transpose(1, 2))[0, 0].tolist() == list(range(20, 80))


def test_draw_places_pictures_and_says_where_there_are_none() -> None:
    colours = [torch.full((3, 8, 8), value) for value in (0.2, 0.4)]
    sheet = np.asarray(draw([[colours[0], None], [colours[1], colours[0]]], ["Input", "Ours"], ["a", "b"], 64))
    assert sheet.shape == (2 * LINE + 2 * (64 + GAP), MARGIN + 2 * (64 + GAP), 3)
    assert (sheet[LINE + 5, MARGIN + 5] == 51).all()
    assert (sheet[LINE + 5, MARGIN + 64 + GAP + 5] == 102).all()
    assert (sheet[LINE + 64 + GAP + 5, MARGIN + 5] == 255).all(), "no result: an empty frame"
    assert (sheet[:, :MARGIN] < 100).any(), "names of rows"
    assert (sheet[:LINE, MARGIN:] < 100).any(), "titles"
    assert (sheet[-LINE:] < 200).any(), "the credit"


def test_any_methods_can_be_shown(made_up: Path) -> None:
    config = Config(methods=("mean", "mirror", "telea"), photos=(f"{PERSON}_0", f"{PERSON}_2"), side=40,
                    output=made_up / "figures" / "figure3.jpg")  # fmt: skip
    with Image.open(run(config)) as picture:
        assert picture.format == "JPEG"
        assert picture.size == (MARGIN + 2 * (40 + GAP), 2 * LINE + 5 * (40 + GAP))


def test_unknown_names_are_refused(made_up: Path) -> None:
    with pytest.raises(ValueError, match="called 999_0"):
        run(Config(photos=("999_0",)))
    with pytest.raises(ValueError, match="no method nobody"):
        run(Config(methods=("nobody",), photos=(f"{PERSON}_0",)))


def test_worst_pairs_meet_the_best_other() -> None:
    results = {name: stored("frll", name, quality, PAIRS) for name, quality in
               (("ftim", 0.8), ("deca", 0.2), ("chen", 0.4), ("mirror", 0.9))}  # fmt: skip
    pairs = worst_pairs(results, "ftim", 2)
    assert [(pair.person, pair.source, pair.goal, pair.other) for pair in pairs] == [
        (PERSON, 2, 1, "chen"), (PERSON, 0, 2, "chen"),
    ]  # fmt: skip
    assert pairs[0].label == (
        "006_smiling: right to front; LPIPS of unseen skin: Ours 0.1210, best other (Chen) 0.1610"
    )
    references = {name: results[name] for name in ("ftim", "mirror")}
    assert worst_pairs(references, "ftim", 1)[0].other == "mirror"
    with pytest.raises(RecordError, match="no cross-view result of ftim"):
        worst_pairs({}, "ftim", 1)


def test_names_of_rows() -> None:
    assert parse("006_smiling: front to left_3quarter") == ("006", "smiling", 1, 0)
    with pytest.raises(ValueError):
        parse("006_sad: front to left_3quarter")


def test_sheet_of_worst_pairs(made_up: Path) -> None:
    for name, quality in (("ftim", 0.8), ("deca", 0.2)):
        stored("frll", name, quality, PAIRS).write(made_up / "frll" / f"{name}.json")
    output = worst_cases.run(worst_cases.Config(table=made_up / "frll", count=2))
    assert output == made_up / "frll" / "worst.png"
    with Image.open(output) as picture:
        assert picture.size == (SIDE * len(COLUMNS), 2 * LABEL + 2 * (SIDE + LABEL))
