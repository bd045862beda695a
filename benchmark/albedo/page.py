"""The table of the albedo protocol as Markdown."""

from __future__ import annotations

from pathlib import Path

from benchmark.albedo.run import NAME, AlbedoResult

COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("tone", "dE, tone ↓", 2),
    ("plain", "dE ↓", 2),
    ("seen", "seen ↓", 2),
    ("unseen", "unseen ↓", 2),
    ("psnr", "PSNR ↑", 2),
    ("lpips", "LPIPS ↓", 4),
    ("ita", "ITA ↓", 1),
    ("ita_spread", "spread ↓", 1),
    ("symmetry", "BS", 2),
    ("within_between", "within / between ↓", 2),
    ("relit", "relit PSNR ↑", 2),
    ("hidden", "under things ↑", 3),
)
NOTE = (
    "Path-traced photographs of heads whose albedo is known, none of them trained on. *dE*: median CIEDE2000 of the "
    "face's albedo, with its tone, and with mean colours made alike (the columns after); *seen*, *unseen*: by what the "
    "fit saw. *ITA*: error of the typology angle in degrees, mean over six groups of skin, and their spread. *BS*: "
    "brightness symmetry; the truth's is {truth:.2f}. *within / between*: how far the mean skins of two photographs of "
    "one head lie apart, over those of two heads. *relit*: the head's other photograph, drawn with this albedo under "
    "its true light. *under things*: share of hidden skin that is nearer to the truth than to what hides it. "
    "References have the photograph's own tone."
)


def read_results(results: Path) -> list[AlbedoResult]:
    """Of a results folder, by method."""
    return [AlbedoResult.read(path) for path in sorted((results / NAME).glob("*.json"))]


def complete(results: Path) -> bool:
    """Whether there is something to print."""
    return bool(list((results / NAME).glob("*.json")))


def albedo_markdown(results: Path) -> str:
    """The block of a page."""
    found = read_results(results)
    truth = float(found[0].summary["true_symmetry"] or 0)
    lines = [
        "| method | " + " | ".join(title for _, title, _ in COLUMNS) + " | photographs |",
        "|---|" + "---:|" * (len(COLUMNS) + 1),
    ]
    for result in found:
        cells = []
        for name, _, places in COLUMNS:
            value = result.summary.get(name)
            cells.append("–" if value is None else f"{value:.{places}f}")
        scored = sum("reason" not in row for row in result.rows.values())
        origin = result.source + (f", {result.note}" if result.note else "")
        lines.append(
            f"| {result.method} ({origin}) | " + " | ".join(cells) + f" | {scored} of {len(result.rows)} |"
        )  # fmt: skip
    return "\n".join([*lines, "", NOTE.format(truth=truth)]) + "\n"


def write_page(results: Path) -> None:
    """``<results>/rendered/README.md``."""
    from benchmark.runner.records import write_text

    head = "# rendered\n\nMade by `python -m benchmark.tables` from the JSON here.\n\n"
    write_text(results / NAME / "README.md", head + albedo_markdown(results))
