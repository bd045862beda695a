"""Figure 4: what the ablation's networks make of one view, seen from another (FRLL, CC BY 4.0, credit in the picture).

FTIM_DATA=... python -m scripts.figures.ablation     # writes results/figures/ablation.jpg
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor

from benchmark.tables.ablation import ROWS
from ftim.data import load_frll
from ftim.data.frll import EXPRESSIONS, LICENCE, VIEWS
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.structures import Face
from scripts.figures.sheet import Sheet

COLUMNS = ("input", *ROWS, "photograph")


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.figures.ablation``."""

    data: Path | None = None
    """Folder of the Face Research Lab London Set; by default under FTIM_DATA."""
    people: tuple[str, ...] = ("018", "034", "041", "067", "140")
    """Validation people, a row each; input views alternate between left and right three-quarter."""
    size: int = 224
    """Side of a picture in pixels."""
    output: Path = Path("results/figures/ablation.jpg")


@torch.no_grad()
def pictures(pipeline: Pipeline, face: Face, source: int, goal: int) -> list[Tensor]:
    """(3, S, S) each: input, each network's head in the other view, and the photograph of it."""
    view = pipeline.views(face, together=True)
    drawn = []
    for name in ROWS:
        texture = pipeline.complete(view[source], name)
        drawn.append(pipeline.draw_albedo(texture, view[goal]).overlay[0])
    return [face.image[source], *drawn, face.image[goal]]


def main(config: Config) -> None:
    """Draw and write."""
    frll = load_frll(config.data)
    pipeline = Pipeline.build(size=config.size)
    sheet = Sheet(COLUMNS, config.size, LICENCE)
    for index, person in enumerate(config.people):
        paths = frll.triplet(person, EXPRESSIONS[index % 2])
        face = Face.concatenate([pipeline.face(read_photo(path)) for path in paths])
        source = 0 if index % 2 == 0 else 2
        goal = 2 - source if index % 3 else 1
        sheet.add(pictures(pipeline, face, source, goal), f"{person}: {VIEWS[source]} to {VIEWS[goal]}")
    sheet.write(config.output)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
