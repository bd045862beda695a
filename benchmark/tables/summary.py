"""The README's three small tables: what the photograph's own view, other views, and the albedo look like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmark.albedo import run as albedo
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
)  # fmt: skip
ALBEDO_ROWS: tuple[str, ...] = ("ftim", "mirror", "telea", "mean", "image_to_image", "ftim_no_sym_mrf")
ALBEDO_COLUMNS = (
    ("tone", "dE with tone ↓", 2), ("plain", "dE ↓", 2), ("seen", "seen ↓", 2), ("unseen", "unseen ↓", 2),
    ("ita", "ITA error ↓", 1), ("relit", "relit PSNR ↑", 2),
)  # fmt: skip
ALBEDO_TITLE = (
    "**The albedo.** 120 path-traced photographs of heads whose albedo is known: CIEDE2000 with the skin's tone and "
    "without, error of the typology angle in degrees, and the other photograph drawn with this albedo under its true "
    "light. `mean` is the template; references have the photograph's own tone"
)


def complete(results: Path) -> bool:
    """Whether all rows of all tables are there."""
    known = {path.stem for path in (results / albedo.NAME).glob("*.json")}
    rows = all(set(ROWS) <= set(table1.read_rows(results / question.folder)) for question in QUESTIONS)
    return rows and set(ALBEDO_ROWS) <= known


def summary_markdown(results: Path) -> str:
    """The block of the README."""
    tables = [_table(table1.read_rows(results / question.folder), question) for question in QUESTIONS]
    return "\n\n".join([*tables, _albedo_table(results)]) + "\n"


def _albedo_table(results: Path) -> str:
    found = {name: albedo.AlbedoResult.read(results / albedo.NAME / f"{name}.json").summary for name in ALBEDO_ROWS}
    lines = [
        ALBEDO_TITLE,
        "",
        "| method | " + " | ".join(title for _, title, _ in ALBEDO_COLUMNS) + " |",
        "|---|" + "---:|" * len(ALBEDO_COLUMNS),
    ]
    for name in ALBEDO_ROWS:
        cells = []
        for column, title, places in ALBEDO_COLUMNS:
            values = [value for summary in found.values() if (value := summary[column]) is not None]
            best = max(values) if "↑" in title else min(values)
            text = f"{found[name][column]:.{places}f}"
            cells.append(f"**{text}**" if found[name][column] == best else text)
        lines.append(f"| {table1.display_name(name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


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
