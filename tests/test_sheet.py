"""Sheets of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from scripts.figures.sheet import GAP, LABEL, QUALITIES, Sheet

SIDE = 40


def plain(value: float) -> Tensor:
    return torch.full((3, 10, 10), value)


def noisy_sheet() -> Sheet:
    sheet = Sheet(("only",), 128, "credit")
    sheet.add([torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))], "noise")
    return sheet


def middle_of(picture: Image.Image, left: int, top: int) -> float:
    return float(np.asarray(picture)[top + SIDE // 2, left + SIDE // 2].mean() / 255)


def test_rows_lie_below_each_other() -> None:
    sheet = Sheet(("one", "two"), SIDE, "credit")
    for value in (0.2, 0.6):
        sheet.add([plain(value), plain(value + 0.1)], "label")
    picture = sheet.draw()
    assert picture.size == (2 * SIDE, 2 * LABEL + 2 * (SIDE + LABEL))
    found = [middle_of(picture, x * SIDE, LABEL + y * (SIDE + LABEL)) for y in (0, 1) for x in (0, 1)]
    assert found == pytest.approx([0.2, 0.3, 0.6, 0.7], abs=1 / 255)


def test_rows_lie_beside_each_other() -> None:
    sheet = Sheet(("one", "two"), SIDE, "credit", across=2)
    for value in (0.2, 0.4, 0.6):
        sheet.add([plain(value), plain(value)], "label")
    picture, step = sheet.draw(), 2 * SIDE + GAP
    assert picture.size == (2 * step - GAP, 2 * LABEL + 2 * (SIDE + LABEL))
    places = [(0, LABEL), (step, LABEL), (0, LABEL + SIDE + LABEL), (step, LABEL + SIDE + LABEL)]
    assert [middle_of(picture, *place) for place in places] == pytest.approx([0.2, 0.4, 0.6, 1], abs=1 / 255)
    titles = np.asarray(picture)[:LABEL]
    assert titles[:, :SIDE].min() < 128 and titles[:, step : step + SIDE].min() < 128


def test_a_single_row_is_not_padded() -> None:
    sheet = Sheet(("one",), SIDE, "credit", across=3)
    sheet.add([plain(0.5)], "label")
    assert sheet.draw().width == SIDE


def test_another_count_of_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match="1 pictures for 2 columns"):
        Sheet(("one", "two"), SIDE, "credit").add([plain(0.5)], "label")


def test_quality_gives_way_to_size(tmp_path: Path) -> None:
    sheet = noisy_sheet()

    def size(largest: int | None) -> int:
        sheet.write(tmp_path / "sheet.jpg", largest)
        return (tmp_path / "sheet.jpg").stat().st_size

    best, worst = size(None), size(1)
    assert worst < best
    for largest in range(worst, best, (best - worst) // 8):
        assert size(largest) <= largest
    assert len({size(largest) for largest in range(worst, best + 500, 500)}) == len(QUALITIES)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.jpg"]
