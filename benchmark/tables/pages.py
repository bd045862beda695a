"""Markdown from the JSON of the results alone: ``results/<table>/README.md`` and blocks of the project's own pages.

    python -m benchmark.tables

The paper's two tables have pages of their own, results/table1.md and results/table2.md (``PAPER_TABLES``).
A block of a page (the README, docs/decisions.md) lies between ``<!-- results:<table> -->`` and ``<!-- /results -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmark.albedo import page as albedo
from benchmark.albedo.run import NAME as ALBEDO
from benchmark.runner.records import HEADINGS, METRICS, PLACES, RELIT, RecordError, Result, Scores, write_text
from benchmark.tables import ablation, summary, table1

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
LOCAL = RESULTS / "local"
"""Of runs that are not published; git ignores it."""
README = ROOT / "README.md"
DOCUMENTS = (README, ROOT / "docs" / "decisions.md")
"""Pages with blocks of results."""
DISTRIBUTIONS = "distributions.png"
OVERLAYS = "overlays.png"
WORST = "worst.png"
"""Made by scripts/measure/worst_cases.py."""
PAPER_TABLES: dict[str, tuple[Callable[[Path], bool], Callable[[Path], str], Callable[[Path], None]]] = {
    table1.NAME: (table1.complete, table1.table1_markdown, table1.write_table1),
    ablation.NAME: (ablation.complete, ablation.table2_markdown, ablation.write_table2),
    summary.NAME: (summary.complete, summary.summary_markdown, lambda results: None),
    ALBEDO: (albedo.complete, albedo.albedo_markdown, albedo.write_page),
}
"""By name of a block: whether all rows are there; the block; and what writes the page."""

FIGURES = (
    (DISTRIBUTIONS, "Scores by image"),
    (OVERLAYS, "Examples"),
    (WORST, "The worst pairs of ours, by LPIPS of unseen skin"),
)
"""Beside the JSON of a table, and what they show."""
TITLES = {
    ("overlay", "overlay"): "Overlay, from the texture: the whole crop against the photograph, as in the paper",
    ("overlay", "face"): "Face, from the texture: the drawn head alone, where skin is visible",
    ("overlay", f"{RELIT}overlay"): "Overlay, albedo relit: the same, drawn from the albedo under the fitted light",
    ("overlay", f"{RELIT}face"): "Face, albedo relit: the same, drawn from the albedo under the fitted light",
    ("cross-view", "face"): "Face: all visible skin of the other photograph",
    ("cross-view", "seen"): "Seen: that part of it which the input photograph showed",
    ("cross-view", "unseen"): "Unseen: that part of it which the input photograph did not show",
}

_BLOCK = re.compile(r"(<!-- results:(\S+) -->\n)(.*?)(<!-- /results -->)", re.DOTALL)


def table_folders(results: Path) -> list[Path]:
    """The folders of a results folder that hold a table."""
    if not results.is_dir():
        return []
    own = (path for path in results.iterdir() if not path.name.startswith(".") and path.name != ALBEDO)
    return sorted(path for path in own if any(path.glob("*.json")))


def read_table(folder: Path) -> list[Result]:
    """The results of one table, by method. Raises ``RecordError`` when they cannot stand in one table."""
    results = [Result.read(path) for path in sorted(folder.glob("*.json"))]
    if not results:
        raise RecordError(f"{folder} holds no result")
    for result in results:
        if result.table != folder.name:
            raise RecordError(f"{folder}: {result.method} is of the table {result.table}")
        if result.protocol != results[0].protocol:
            raise RecordError(f"{folder}: the protocol of {result.method} differs from {results[0].method}'s")
        names = [row.name for row in result.rows]
        if names != [row.name for row in results[0].rows]:
            raise RecordError(f"{folder}: {result.method} was run on other images than {results[0].method}")
        if result.provenance["data"] != results[0].provenance["data"]:
            raise RecordError(f"{folder}: {result.method} was run on other files than {results[0].method}")
    return results


def blocks_markdown(results: list[Result], published: Mapping[str, Result] | None = None) -> str:
    """One table a block, of the methods that have it; a second one, with failures as the worst score, where there are
    failures. With ``published`` results by method each mean has in brackets how far it is from theirs."""
    blocks, others = blocks_of(results), published or {}
    parts = [
        f"**{TITLES[results[0].protocol, block]}**\n\n" + _table(results, block, "mean", others) for block in blocks
    ]
    if any(result.failures for result in results):

        def worst(block: str) -> str:
            return _table(results, block, "mean_all", {})

        parts.append(
            "**All images, a failure counting as the worst score** (L1 1, PSNR 0, SSIM 0, LPIPS 1, cosine 0, dlib "
            "distance 1)\n\n"
            + "\n\n".join(f"{block}:\n\n" + _table(results, block, "mean_all", {}) for block in blocks)
        )
    return "\n\n".join(parts) + "\n"


def blocks_of(results: list[Result]) -> list[str]:
    """Those that at least one of the results has, in the order of ``TITLES``."""
    return [
        block
        for protocol, block in TITLES
        if protocol == results[0].protocol and any(block in result.blocks for result in results)
    ]


def _table(results: list[Result], block: str, statistic: str, published: Mapping[str, Result]) -> str:
    results = [result for result in results if block in result.blocks]
    summaries = {result.method: result.summary[block] for result in results}
    columns = [
        metric for metric in METRICS if any(getattr(summary.mean, metric) is not None for summary in summaries.values())
    ]
    lines = [
        "| method | " + " | ".join(HEADINGS[metric] for metric in columns) + " | images |",
        "|---|" + "---:|" * (len(columns) + 1),
    ]
    for result in results:
        summary = summaries[result.method]
        scores: Scores = getattr(summary, statistic)
        other = published.get(result.method)
        theirs = getattr(other.summary[block], statistic) if other is not None and block in other.summary else None
        numbers = " | ".join(
            _number(metric, getattr(scores, metric)) + _difference(metric, scores, theirs) for metric in columns
        )
        lines.append(f"| {result.method} ({result.origin}) | {numbers} | {summary.scored} of {summary.total} |")
    return "\n".join(lines)


def _number(metric: str, value: float | None) -> str:
    return "–" if value is None else f"{value:.{PLACES[metric]}f}"


def _difference(metric: str, scores: Scores, published: Scores | None) -> str:
    mine, theirs = getattr(scores, metric), getattr(published, metric, None)
    if mine is None or theirs is None:
        return ""
    return f" ({round(mine - theirs, PLACES[metric]) + 0.0:+.{PLACES[metric]}f})"


def page_markdown(results: list[Result], folder: Path) -> str:
    """The page of one table: numbers, failures, figures that lie beside it, and where the numbers come from."""
    first = results[0]
    data = first.provenance["data"]
    parts = [
        f"# {first.table}",
        f"{data['photos']} photographs of `{data['name']}` ({data['licence']}), protocol {first.protocol}. Means over "
        "the scored images; *images* says how many of how many. Made by `python -m benchmark.tables` from the JSON "
        "here.",
        blocks_markdown(results).rstrip(),
    ]
    failures = [f"- {result.method}: {_failures(result)}" for result in results if result.failures]
    if failures:
        parts.append("Failures by kind (each row of the JSON has its reason):\n\n" + "\n".join(failures))
    for name, text in FIGURES:
        if (folder / name).is_file():
            parts.append(f"![{text}]({name})")
    parts.append(
        "| method | code | device | seconds an image, shared | seconds an image, method |\n|---|---|---|---:|---:|"
    )
    for result in results:
        seconds = result.seconds_per_image
        parts[-1] += (
            f"\n| {result.method} | {_short(result.provenance['commit'])} | {result.provenance['device']} "
            f"| {seconds['shared']:.3f} | {seconds['method']:.3f} |"
        )
    return "\n\n".join(parts) + "\n"


def _short(commit: str) -> str:
    """Ten letters of a commit, and its mark of changed code."""
    return commit.removesuffix("+")[:10] + ("+" if commit.endswith("+") else "")


def _failures(result: Result) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in result.failures.items())


def readme_blocks(text: str) -> Iterator[tuple[str, str]]:
    """(table, content) of each block of a page. Raises ``RecordError`` for a block that is not closed."""
    found = [(match[2], match[3]) for match in _BLOCK.finditer(text)]
    if text.count("<!-- results:") != len(found) or text.count("<!-- /results -->") != len(found):
        raise RecordError("each <!-- results:NAME --> needs one <!-- /results --> behind it")
    yield from found


def fill_readme(text: str, results: Path) -> str:
    """A page with its blocks made anew; a block without results stays as it is."""
    list(readme_blocks(text))

    def content(match: re.Match[str]) -> str:
        if match[2] in PAPER_TABLES:
            complete, block, _ = PAPER_TABLES[match[2]]
            return match[1] + block(results) + match[4] if complete(results) else match[0]
        folder = results / match[2]
        if folder not in table_folders(results):
            return match[0]
        return match[1] + blocks_markdown(read_table(folder)) + match[4]

    return _BLOCK.sub(content, text)


def write_tables(results: Path = RESULTS, documents: tuple[Path, ...] = DOCUMENTS) -> None:
    """The page of each table, those of the paper's tables once their rows are there, and the blocks in documents."""
    for folder in table_folders(results):
        write_text(folder / "README.md", page_markdown(read_table(folder), folder))
    for complete, _, write in PAPER_TABLES.values():
        if complete(results):
            write(results)
    for document in documents:
        text = document.read_text(encoding="utf-8")
        if (filled := fill_readme(text, results)) != text:
            write_text(document, filled)
