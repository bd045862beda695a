"""The README's three small tables: what the photograph's own view, other views, and the albedo look like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmark.runner.records import HEADINGS, PLACES, RELIT, Result
from benchmark.tables import table1

NAME = "summary"
ROWS: tuple[str, ...] = ("ftim", "mirror", "telea", "chen", "deng", "deca")
METRICS: tuple[str, ...] = ("l1", "psnr", "ssim", "lpips", "cosine")


@dataclass(frozen=True)
class Question:
    """One table: a block of the JSON of a folder."""

    folder: str
    title: str
    block: str
    otherwise: str | None = None
    """Of a method that does not have the block."""


QUESTIONS = (
    Question(
        table1.NAME,
        "**The photograph's own view.** 2,000 photographs of CelebA; the drawn face where skin is visible, from the "
        "texture, or from the albedo of methods that make no texture",
        "face",
        f"{RELIT}face",
    ),
    Question("frll", "**Other views.** Completed from one photograph, compared with another: 12 people of FRLL, 144 "
             "pairs; all visible skin", "face"),
    Question(table1.NAME, "**The albedo.** The same photographs of CelebA, drawn from the albedo under the fitted "
             "light; the same view rewards an albedo that keeps its gloss and shadow", f"{RELIT}face"),
)  # fmt: skip


def complete(results: Path) -> bool:
    """Whether all rows of all tables are there."""
    return all(set(ROWS) <= set(table1.read_rows(results / question.folder)) for question in QUESTIONS)


def summary_markdown(results: Path) -> str:
    """The block of the README."""
    return "\n\n".join(_table(table1.read_rows(results / question.folder), question) for question in QUESTIONS) + "\n"


def _table(found: dict[str, Result], question: Question) -> str:
    lines = [
        question.title,
        "",
        "| method | " + " | ".join(HEADINGS[metric] for metric in METRICS) + " |",
        "|---|" + "---:|" * len(METRICS),
    ]
    values = {name: _means(found[name], question) for name in ROWS}
    for name in ROWS:
        cells = []
        for place, metric in enumerate(METRICS):
            column = [row[place] for row in values.values()]
            best = max(column) if metric in ("psnr", "ssim", "cosine") else min(column)
            text = f"{values[name][place]:.{PLACES[metric]}f}"
            cells.append(f"**{text}**" if values[name][place] == best else text)
        lines.append(f"| {table1.display_name(name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _means(result: Result, question: Question) -> list[float]:
    block = question.block if question.block in result.blocks else question.otherwise
    assert block is not None, f"{result.method} has no {question.block}"
    means = result.summary[block].mean
    return [float(getattr(means, metric)) for metric in METRICS]
