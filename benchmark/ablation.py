"""Table 2 of the paper, the ablation: made from the JSON of the results alone, as results/table2.md.

The rows of CelebA and of the cross-view comparison are scored by the same run as any other method
(results/table1, results/frll); this page only lays them side by side, with the paper's own numbers.
"""

from __future__ import annotations

from pathlib import Path

from benchmark.records import HEADINGS, METRICS, PLACES, RecordError, Result, Scores, write_text
from benchmark.reported import TABLE_2

NAME = "table2"
PAGE = f"{NAME}.md"
ROWS: tuple[str, ...] = ("image_to_image", "ftim_no_sym_mrf", "ftim")
"""In the paper's order."""
TICKS = {"image_to_image": ("–", "✓"), "ftim_no_sym_mrf": ("✓", "–"), "ftim": ("✓", "✓")}
"""FTIM, and L_sym with L_mrf, as the paper's text has them; its table ticks neither in the first row (S21)."""
REFERENCES: tuple[str, ...] = ("mean", "mirror", "telea")
DATASETS: tuple[str, ...] = ("celeba", "frll")
"""To run on."""
TABLES: tuple[str, ...] = ("table1", "frll")
"""Folders that the results of these data sets lie in: CelebA's are those of Table 1."""
BLOCKS = (
    ("table1", "overlay", "CelebA, overlay: the whole crop against the photograph, as in the paper"),
    ("table1", "face", "CelebA, face: the drawn head alone, where skin is visible"),
    ("frll", "unseen", "Cross-view, unseen: skin of the other photograph that the input did not show"),
    ("frll", "face", "Cross-view, face: all visible skin of the other photograph"),
)
_CROSS_VIEW = (("unseen", "psnr", 1), ("unseen", "ssim", 1), ("unseen", "lpips", -1), ("face", "cosine", 1))
"""Block, metric, and whether more is better: what the ablation is judged by where nothing can be copied."""


def table2_markdown(results: Path) -> str:
    """The blocks and a sentence a row. Raises ``RecordError`` when a row of ``ROWS`` was not run yet."""
    parts = []
    for table, block, title in BLOCKS:
        found = read_rows(results / table)
        parts.append(f"**{title}**\n\n" + _block(found, block, reported=(table, block) == ("table1", "overlay")))
    cross_view = read_rows(results / "frll")
    parts.append("\n".join(verdict(cross_view, row) for row in ROWS[:-1]))
    return "\n\n".join(parts) + "\n"


def page_markdown(results: Path) -> str:
    """The whole page."""
    first = read_rows(results / "table1")["ftim"]
    second = read_rows(results / "frll")["ftim"]
    head = (
        "# table2\n\n"
        f"The ablation: {len(first.rows)} photographs of CelebA's test part, and {len(second.rows)} pairs of views of "
        "12 people whom no training saw. Made by `benchmark/run.py --table 2` from the JSON in `table1/` and `frll/`. "
        "*reported* is the paper's own: other photographs of CelebA, another head, other training data."
    )
    return f"{head}\n\n{table2_markdown(results)}\n![Ablation](figures/ablation.jpg)\n"


def read_rows(folder: Path) -> dict[str, Result]:
    """Results of the rows and of the references that are there. Raises ``RecordError`` for a row that is not."""
    missing = [name for name in ROWS if not (folder / f"{name}.json").is_file()]
    if missing:
        raise RecordError(f"{folder} lacks {', '.join(missing)}: python benchmark/run.py --table 2")
    names = [name for name in (*ROWS, *REFERENCES) if (folder / f"{name}.json").is_file()]
    found = {name: Result.read(folder / f"{name}.json") for name in names}
    images = [[row.name for row in result.rows] for result in found.values()]
    if any(names != images[0] for names in images):
        raise RecordError(f"{folder}: the rows of Table 2 were run on different images; run them again")
    return found


def complete(results: Path) -> bool:
    """Whether all rows of both data sets are there."""
    return all((results / table / f"{row}.json").is_file() for table in TABLES for row in ROWS)


def verdict(results: dict[str, Result], row: str) -> str:
    """On how many of the four cross-view scores the full model is better than an ablation."""
    ours, theirs = results["ftim"].summary, results[row].summary
    worse = []
    for block, metric, sign in _CROSS_VIEW:
        full, other = (getattr(summary[block].mean, metric) for summary in (ours, theirs))
        if sign * (full - other) > 0:
            worse.append(f"{HEADINGS[metric][:-2]} ({block})")
    named = f": {', '.join(worse)}" if worse else ""
    return f"- `{row}` is worse than `ftim` on {len(worse)} of {len(_CROSS_VIEW)} cross-view scores{named}."


def write_table2(results: Path) -> None:
    """Raises ``RecordError`` when rows are missing."""
    write_text(results / PAGE, page_markdown(results))


def _block(found: dict[str, Result], block: str, reported: bool) -> str:
    means = {name: result.summary[block].mean for name, result in found.items()}
    columns = [metric for metric in METRICS if any(getattr(mean, metric) is not None for mean in means.values())]
    lines = [
        "| method | FTIM | L_sym, L_mrf | "
        + " | ".join(HEADINGS[metric] for metric in columns)
        + " | source | images |",
        "|---|:-:|:-:|" + "---:|" * len(columns) + "---|---:|",
    ]
    for name, result in found.items():
        summary = result.summary[block]
        images = f"{summary.scored} of {summary.total}"
        lines.append(_line(name, means[name], columns, result.source, images))
        if reported and name in TABLE_2:
            lines.append(_line(name, TABLE_2[name], columns, "reported", "10,000"))
    return "\n".join(lines)


def _line(name: str, scores: Scores, columns: list[str], source: str, images: str) -> str:
    ticks = TICKS.get(name, ("", ""))
    values = [getattr(scores, metric) for metric in columns]
    places = [3 if source == "reported" else PLACES[metric] for metric in columns]
    numbers = ["–" if value is None else f"{value:.{place}f}" for value, place in zip(values, places, strict=True)]
    return "| " + " | ".join([name, *ticks, *numbers, source, images]) + " |"
