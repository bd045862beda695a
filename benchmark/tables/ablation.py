"""Table 2 of the paper, the ablation: made from the JSON of the results alone, as results/table2.md.

The rows of CelebA and of the cross-view comparison are scored by the same run as any other method
(results/table1, results/frll); this page only lays them side by side, with the paper's own numbers.
"""

from __future__ import annotations

from pathlib import Path

from benchmark.runner.records import HEADINGS, METRICS, PLACES, RELIT, RecordError, Result, Scores, write_text
from benchmark.tables.bootstrap import compare
from benchmark.tables.reported import TABLE_2
from benchmark.tables.verdicts import metrics_of

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
    ("table1", "overlay", "CelebA, overlay, from the texture: the whole crop against the photograph, as in the paper"),
    ("table1", "face", "CelebA, face, from the texture: the drawn head alone, where skin is visible"),
    ("table1", f"{RELIT}overlay", "CelebA, overlay, albedo relit: the same, drawn from the albedo under fitted light"),
    ("table1", f"{RELIT}face", "CelebA, face, albedo relit: the same, drawn from the albedo under fitted light"),
    ("frll", "unseen", "Cross-view, unseen: skin of the other photograph that the input did not show"),
    ("frll", "face", "Cross-view, face: all visible skin of the other photograph"),
)


def table2_markdown(results: Path) -> str:
    """The blocks, each with a sentence a row. Raises ``RecordError`` when a row of ``ROWS`` was not run yet."""
    parts = []
    tables = {table: read_rows(results / table) for table in TABLES}
    for table, block, title in BLOCKS:
        found = {name: result for name, result in tables[table].items() if block in result.blocks}
        parts.append(f"**{title}**\n\n" + _block(found, block, reported=(table, block) == ("table1", "overlay")))
        parts.append("\n".join(verdict(found, row, block) for row in ROWS[:-1]))
    return "\n\n".join(parts) + "\n"


def page_markdown(results: Path) -> str:
    """The whole page."""
    first = read_rows(results / "table1")["ftim"]
    second = read_rows(results / "frll")["ftim"]
    head = (
        "# table2\n\n"
        f"The ablation: {len(first.rows)} photographs of CelebA's test part, and {len(second.rows)} pairs of views of "
        "12 people whom no training saw. Made by `benchmark/run.py --table 2` from the JSON in `table1/` and `frll/`. "
        "*reported* is the paper's own: other photographs of CelebA, another head, other training data. Differences "
        "are an ablation's score less the full model's, with the 95 % interval of their mean by bootstrap (photographs "
        "drawn anew on CelebA, people on FRLL); *level* is a difference whose interval holds 0."
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


def verdict(results: dict[str, Result], row: str, block: str) -> str:
    """On how many scores of a block an ablation is worse than the full model, on which, and what is better or level.

    Level is a difference whose 95 % interval holds 0 (benchmark/tables/bootstrap.py).
    """
    metrics = metrics_of(results["ftim"], block, METRICS)
    found = [compare(results[row], results["ftim"], block, metric) for metric in metrics]
    by_verdict: dict[str, list[str]] = {"worse": [], "level": [], "better": []}
    for comparison in found:
        if comparison is not None:
            by_verdict[comparison.verdict].append(str(comparison))
    text = f"- `{row}` is worse than `ftim` on {len(by_verdict['worse'])} of {len(metrics)} scores"
    texts = {word: "; ".join(differences) for word, differences in by_verdict.items()}
    text += f": {texts['worse']}." if texts["worse"] else "."
    return text + "".join(f" {word.capitalize()}: {texts[word]}." for word in ("level", "better") if texts[word])


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
        lines.append(_line(name, means[name], columns, result.origin, images))
        if reported and name in TABLE_2:
            lines.append(_line(name, TABLE_2[name], columns, "reported", "10,000"))
    return "\n".join(lines)


def _line(name: str, scores: Scores, columns: list[str], source: str, images: str) -> str:
    ticks = TICKS.get(name, ("", ""))
    values = [getattr(scores, metric) for metric in columns]
    places = [3 if source == "reported" else PLACES[metric] for metric in columns]
    numbers = ["–" if value is None else f"{value:.{place}f}" for value, place in zip(values, places, strict=True)]
    return "| " + " | ".join([name, *ticks, *numbers, source, images]) + " |"
