"""The images on which a method is worst: named, not hidden."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.runner.records import PLACES, Result, Row, Scores

SHOWN = ("lpips", "l1", "cosine")
"""What the table of worst images has of each method."""


def worst_rows(result: Result, block: str, count: int, metric: str = "lpips") -> list[Row]:
    """Failures first, then from the highest score down; images without the block are left out. Lower must be better."""
    failed = [row for row in result.rows if row.reason is not None]
    scored = [row for row in result.rows if block in row.scores]
    scored.sort(key=lambda row: getattr(row.scores[block], metric), reverse=True)
    return [*failed, *scored][:count]


def worst_markdown(
    results: dict[str, Result], ours: str, others: list[str], block: str, count: int, name: Callable[[str], str]
) -> str:
    """The worst images of ``ours``, and what the others got there; ``name`` says what a method is called.

    A method without the block, which is drawn from textures, is shown by its albedo under the fitted light.
    """
    by_name = {method: {row.name: row for row in results[method].rows} for method in others}
    lines = [
        "| photograph | " + " | ".join(name(method) for method in (ours, *others)) + " |",
        "|---|" + "---:|" * (1 + len(others)),
    ]
    for row in worst_rows(results[ours], block, count):
        cells = [_cell(row, block)]
        cells += [_cell(by_name[method][row.name], results[method].drawn(block)) for method in others]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: Row, block: str) -> str:
    if row.reason is not None:
        return row.reason.split(":")[0]
    scores: Scores | None = row.scores.get(block)
    values = [None if scores is None else getattr(scores, metric) for metric in SHOWN]
    pairs = zip(SHOWN, values, strict=True)
    return " / ".join("–" if value is None else f"{value:.{min(3, PLACES[metric])}f}" for metric, value in pairs)
