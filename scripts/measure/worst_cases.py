"""The cross-view pairs on which a method is worst, drawn anew beside the best baseline (FRLL, CC BY 4.0, credited).

    FTIM_DATA=... python -m scripts.measure.worst_cases     # reads results/frll/*.json, writes results/frll/worst.png

Worst is the highest LPIPS of unseen skin. The best baseline of a pair is the one with the lowest there; while no
baseline has results, the best reference is shown.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor

from benchmark.methods import TextureMethod, build_method
from benchmark.runner.pictures import save_png
from benchmark.runner.protocols import CrossViewError
from benchmark.runner.records import RecordError, Result
from benchmark.tables.pages import RESULTS, WORST
from benchmark.tables.table1 import BASELINES, OURS, REFERENCES, display_name, read_rows, row_of
from benchmark.tables.worst_cases import worst_rows
from ftim.data import Frll, load_frll
from ftim.data.frll import EXPRESSIONS, LICENCE, VIEWS, FrllExpression
from ftim.errors import FtimError
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.structures import Face
from scripts.figures.sheet import Sheet

BLOCK = "unseen"
COLUMNS = ("input", "photograph", display_name(OURS), "best other")


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.measure.worst_cases``."""

    data: Path | None = None
    """Folder of the Face Research Lab London Set; by default under FTIM_DATA."""
    method: str = OURS
    count: int = 6
    table: Path = RESULTS / "frll"
    """Folder of cross-view results."""
    output: Path | None = None
    """By default worst.png in that folder."""


@dataclass(frozen=True)
class WorstPair:
    """One line of the sheet."""

    person: str
    expression: FrllExpression
    source: int
    """Numbers of views."""
    goal: int
    other: str
    """The method that does best there."""
    label: str


def worst_pairs(results: dict[str, Result], method: str, count: int) -> list[WorstPair]:
    """The worst scored pairs of a method, each with the other method that did best. Raises ``RecordError``."""
    others = [name for name in results if row_of(name) in BASELINES and name != method]
    others = others or [name for name in results if name in REFERENCES and name != method]
    if method not in results or not others:
        raise RecordError(f"there is no cross-view result of {method} and another: python benchmark/run.py first")
    rows = {name: {row.name: row for row in results[name].rows} for name in others}
    pairs = []
    for row in worst_rows(results[method], BLOCK, len(results[method].rows)):
        scores = {name: found.scores[BLOCK].lpips for name in others if BLOCK in (found := rows[name][row.name]).scores}
        known = {name: value for name, value in scores.items() if value is not None}
        if row.reason is not None or not known:
            continue
        best = min(known, key=known.__getitem__)
        label = (
            f"{row.name.replace('_3quarter', '')}; LPIPS of unseen skin: {display_name(method)} "
            f"{row.scores[BLOCK].lpips:.4f}, best other ({display_name(best)}) {known[best]:.4f}"
        )
        pairs.append(WorstPair(*parse(row.name), best, label))
        if len(pairs) == count:
            break
    return pairs


def parse(name: str) -> tuple[str, FrllExpression, int, int]:
    """``006_neutral: front to left_3quarter`` -> person, expression, and the numbers of both views."""
    who, views = name.split(": ")
    person, expression = who.split("_")
    source, goal = views.split(" to ")
    return person, EXPRESSIONS[EXPRESSIONS.index(expression)], VIEWS.index(source), VIEWS.index(goal)


@torch.no_grad()
def pictures(
    pipeline: Pipeline, frll: Frll, pair: WorstPair, methods: dict[str, TextureMethod], method: str
) -> list[Tensor]:
    """(3, S, S) each, in the order of ``COLUMNS``; made as the cross-view protocol makes them."""
    paths = frll.triplet(pair.person, pair.expression)
    face = Face.concatenate([pipeline.face(read_photo(path)) for path in paths])
    views = pipeline.views(face, together=True)
    drawn = [methods[name].transfer(views, [pair.source], [pair.goal]).overlay[0] for name in (method, pair.other)]
    return [face.image[pair.source], face.image[pair.goal], *drawn]


def run(config: Config) -> Path:
    """Draw and write; returns the file. Raises ``FtimError``."""
    pairs = worst_pairs(read_rows(config.table), config.method, config.count)
    frll = load_frll(config.data)
    pipeline = Pipeline.build()
    methods: dict[str, TextureMethod] = {}
    for name in sorted({config.method, *(pair.other for pair in pairs)}):
        built = build_method(name, pipeline)
        if not isinstance(built, TextureMethod):
            raise CrossViewError(f"{name} gives no texture of the shared head")
        methods[name] = built
    columns = (*COLUMNS[:2], display_name(config.method), COLUMNS[3])
    sheet = Sheet(columns, pipeline.size, LICENCE)
    for pair in pairs:
        sheet.add(pictures(pipeline, frll, pair, methods, config.method), pair.label)
    output = config.output or config.table / WORST
    save_png(sheet.draw(), output)
    return output


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    try:
        print(f"Written to {run(tyro.cli(Config, description=__doc__))}")
    except (FtimError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
