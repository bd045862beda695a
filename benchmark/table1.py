"""Table 1 of the paper, the comparison: made from the JSON of the results alone, as results/table1.md.

Its rows are scored by the same run as any other method (results/table1 for CelebA, results/frll for cross-view); this
page lays them side by side, with the paper's own numbers, a verdict a block, the reasons for large gaps, and the
photographs on which ours is worst.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmark.records import HEADINGS, PLACES, RecordError, Result, Scores, write_text
from benchmark.reported import COMMON_REASONS, REPORTED_IMAGES, REPORTED_PLACES, TABLE_1, gap_sentence
from benchmark.worst_cases import worst_markdown

NAME = "table1"
PAGE = f"{NAME}.md"
OURS = "ftim"
BASELINES: tuple[str, ...] = ("deca", "chen", "deng", "tran")
"""In the paper's order."""
ROWS: tuple[str, ...] = (*BASELINES, OURS)
"""Without which there is no page."""
OURS_TOO = "ftim_texture"
"""Ours without its own view (docs/paper.md, S29): stands in our row, is no rival of ours."""
REFERENCES: tuple[str, ...] = ("mean", "mirror", "telea")
DISPLAY = {
    OURS_TOO: "Ours, texture alone",
    "deca": "DECA",
    "chen": "Chen",
    "deng": "Deng",
    "tran": "Tran",
    OURS: "Ours",
}
METRICS: tuple[str, ...] = ("l1", "psnr", "ssim", "cosine", "lpips")
"""The paper's four in its order, and LPIPS."""
BLOCKS = (
    (NAME, "overlay", "CelebA, overlay: the whole crop against the photograph, as in the paper"),
    (NAME, "face", "CelebA, face: the drawn head alone, where skin is visible"),
    ("frll", "unseen", "Cross-view, unseen: skin of the other photograph that the input did not show"),
    ("frll", "face", "Cross-view, face: all visible skin of the other photograph"),
)
WORST = 10
_SECONDS = "s an image ↓"
_HIGHER = {metric: HEADINGS[metric].endswith("↑") for metric in METRICS}


def row_of(method: str) -> str:
    """The paper's row that a method stands in (``deca_official`` in that of ``deca``), or the method itself."""
    if method == OURS_TOO:
        return OURS
    return next((name for name in BASELINES if method == name or method.startswith(f"{name}_")), method)


def display_name(method: str) -> str:
    """What tables and figures call a method."""
    if method in DISPLAY:
        return DISPLAY[method]
    row = row_of(method)
    return DISPLAY.get(row, method) + method.removeprefix(row).replace("_", " ") if row in DISPLAY else method


def table_order(methods: Iterable[str]) -> list[str]:
    """The paper's order, within a row the authors' own first; then the references, then all others by name."""
    order = (*ROWS, *REFERENCES)

    def key(method: str) -> tuple[int, bool, str]:
        row = row_of(method)
        return order.index(row) if row in order else len(order), method == row, method

    return sorted(methods, key=key)


def read_rows(folder: Path) -> dict[str, Result]:
    """Results of the rows and references that are there, and other official ones, in table order.

    Methods whose head cannot be seen from elsewhere have no row. Raises ``RecordError`` for different images.
    """
    everything = {path.stem: Result.read(path) for path in folder.glob("*.json")}
    found = {name: result for name, result in everything.items() if "CrossViewError" not in result.failures}
    known = (*ROWS, *REFERENCES)
    chosen = [name for name, result in found.items() if row_of(name) in known or result.source == "official"]
    rows = {name: found[name] for name in table_order(chosen)}
    images = [[row.name for row in result.rows] for result in rows.values()]
    if any(names != images[0] for names in images):
        raise RecordError(f"{folder}: the rows of Table 1 were run on different images; run them again")
    return rows


def complete(results: Path) -> bool:
    """Whether ours and all baselines are there on CelebA."""
    return all((results / NAME / f"{row}.json").is_file() for row in ROWS)


def table1_markdown(results: Path) -> str:
    """The blocks and a verdict a block. Raises ``RecordError`` when a row of ``ROWS`` was not run yet."""
    tables = _read(results)
    parts, verdicts = [], []
    for table, block, title in BLOCKS:
        if OURS in (found := tables[table]):
            overlay = (table, block) == (NAME, "overlay")
            parts.append(f"**{title}**\n\n" + block_table(found, block, "mean", reported=overlay))
            if any(result.failures for result in found.values()):
                parts[-1] += "\n\nA failure counting as the worst score:\n\n" + block_table(found, block, "mean_all")
            verdicts.append(verdict(found, block, title.split(":")[0]))
    return "\n\n".join([*parts, "\n".join(verdicts)]) + "\n"


def page_markdown(results: Path) -> str:
    """The whole page."""
    found = _read(results)[NAME]
    devices = sorted({result.provenance["device"] for result in found.values()})
    shared = sorted(result.seconds_per_image["shared"] for result in found.values())
    failures = [f"- {display_name(name)}: {sum(item.failures.values())} of {len(item.rows)} images"
                for name, item in found.items() if item.failures]  # fmt: skip
    parts = [
        f"# {NAME}\n\nThe comparison: {len(found[OURS].rows)} photographs of CelebA's test part, "
        f"and the cross-view comparison on FRLL for the methods whose head can be seen "
        "from elsewhere. Made by `benchmark/tables.py` from the JSON in `table1/` and `frll/`. In bold the best "
        "measured number of a column. *retrained*: trained by us as its paper describes its texture model; *official*: "
        "the authors' own weights; *reference*: a simple method that shows what the numbers mean; *reported*: the "
        "paper's own number, never in bold.",
        f"Seconds are of the method's own part ({'; '.join(devices)}). Detection, fit and unwrapping, the same for "
        f"every method, took {shared[0]:.2f} to {shared[-1]:.2f} s an image on CelebA besides.",
        table1_markdown(results).rstrip(),
    ]
    if failures:
        parts.append("Failures:\n\n" + "\n".join(failures))
    official = any(result.source == "official" for result in found.values())
    common = " ".join(COMMON_REASONS if official else COMMON_REASONS[:-1])
    parts.append(f"## Measured and reported\n\n{common} What is each row's own:\n\n{gaps(found)}")
    others = [name for name in found if row_of(name) in BASELINES]
    parts.append(
        f"## The {WORST} worst photographs of ours\n\nBy LPIPS of the face block, with what the baselines got there: "
        "LPIPS / L1 / cosine. The photographs may not be shown; the names are CelebA's.\n\n"
        + worst_markdown(found, OURS, others, "face", WORST, display_name)
    )
    figures = (("table1/distributions.png", "Scores by image"), ("figures/figure3.jpg", "The methods on FRLL"))
    parts += [f"![{text}]({path})" for path, text in figures if (results / path).is_file()]
    return "\n\n".join(parts) + "\n"


def write_table1(results: Path) -> None:
    """Raises ``RecordError`` when rows are missing."""
    write_text(results / PAGE, page_markdown(results))


def gaps(found: dict[str, Result]) -> str:
    """A sentence a row: how far its overlay scores are from the paper's, and why."""
    sentences = []
    for name, result in found.items():
        if name != OURS_TOO and (reported := TABLE_1.get(row_of(name))) is not None:
            sentences.append(gap_sentence(display_name(name), name, result.summary["overlay"].mean, reported))
    return "\n".join(sentences)


def verdict(found: dict[str, Result], block: str, title: str) -> str:
    """On how many scores ours is first among the paper's methods and among all; who is better where, by how much.

    Of the numbers as they are printed, a failure counting as the worst score; a tie leaves ours first.
    """
    printed = {name: _rounded(result.summary[block].mean_all) for name, result in found.items()}
    ours = printed.pop(OURS)
    printed.pop(OURS_TOO, None)
    metrics = [metric for metric in METRICS if ours[metric] is not None]
    behind = {name: _better(scores, ours, metrics) for name, scores in printed.items()}
    counts = []
    groups = (("the paper's methods", [name for name in behind if row_of(name) in ROWS]),
              ("all rows", list(behind)))  # fmt: skip
    for group, names in groups:
        lost = {metric for name in names for metric in behind[name]}
        counts.append(f"on {len(metrics) - len(lost)} of {len(metrics)} scores among {group}")
    beaten = [f"{display_name(name)} on {', '.join(where.values())}" for name, where in behind.items() if where]
    text = f"- {title}: {display_name(OURS)} is first {' and '.join(counts)}"
    return text + (f"; beaten by {'; by '.join(beaten)}." if beaten else ".")


def block_table(found: dict[str, Result], block: str, statistic: str, reported: bool = False) -> str:
    """One block; with the paper's number under each of its rows where ``reported``."""
    means: dict[str, Scores] = {name: getattr(result.summary[block], statistic) for name, result in found.items()}
    columns = [metric for metric in METRICS if any(getattr(mean, metric) is not None for mean in means.values())]
    cells = {
        name: [_number(getattr(means[name], metric), PLACES[metric]) for metric in columns]
        + [_number(seconds(result), 3)]
        for name, result in found.items()
    }
    comparable = len({result.provenance["device"] for result in found.values()}) == 1
    for index, higher in enumerate([*(_HIGHER[metric] for metric in columns), *([False] if comparable else [])]):
        values = [numbers[index] for numbers in cells.values() if numbers[index] != "–"]
        best = (max if higher else min)(values, key=float, default=None)
        for numbers in cells.values():
            numbers[index] = f"**{numbers[index]}**" if numbers[index] == best else numbers[index]
    headings = [*(HEADINGS[metric] for metric in columns), _SECONDS, "images"]
    lines = [f"| method | source | {' | '.join(headings)} |", "|---|---|" + "---:|" * len(headings)]
    names = list(found)
    for name, following in zip(names, [*names[1:], ""], strict=True):
        summary = found[name].summary[block]
        images = f"{summary.scored} of {summary.total}"
        lines.append(f"| {display_name(name)} | {found[name].source} | {' | '.join(cells[name])} | {images} |")
        row = row_of(name)
        if reported and row in TABLE_1 and row_of(following) != row:
            numbers = [_number(getattr(TABLE_1[row], metric), REPORTED_PLACES) for metric in columns]
            lines.append(f"| {display_name(row)} | reported | {' | '.join(numbers)} | – | {REPORTED_IMAGES} |")
    return "\n".join(lines)


def seconds(result: Result) -> float | None:
    """Of the method's own part; None for overlays that other code wrote, where it is the time of reading them."""
    return None if "overlays" in result.provenance else result.seconds_per_image["method"]


def _read(results: Path) -> dict[str, dict[str, Result]]:
    """By folder. Raises ``RecordError`` when a row of CelebA is missing."""
    if missing := [name for name in ROWS if not (results / NAME / f"{name}.json").is_file()]:
        raise RecordError(f"{results / NAME} lacks {', '.join(missing)}: python benchmark/run.py --dataset celeba")
    return {table: read_rows(results / table) for table in (NAME, "frll")}


def _rounded(scores: Scores) -> dict[str, float | None]:
    values = {metric: getattr(scores, metric) for metric in METRICS}
    return {metric: None if value is None else round(value, PLACES[metric]) for metric, value in values.items()}


def _better(theirs: dict[str, float | None], ours: dict[str, float | None], metrics: list[str]) -> dict[str, str]:
    """By metric on which they are better: its name and both numbers."""
    where = {}
    for metric in metrics:
        first, second = theirs[metric], ours[metric]
        if first is not None and second is not None and (first > second if _HIGHER[metric] else first < second):
            numbers = f"{_number(first, PLACES[metric])} against {_number(second, PLACES[metric])}"
            where[metric] = f"{HEADINGS[metric][:-2]} ({numbers})"
    return where


def _number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"
