"""Table 1 of the paper, the comparison: made from the JSON of the results alone, as results/table1.md.

Its rows are scored by the same run as any other method (results/table1 for CelebA, results/frll for cross-view); this
page lays them side by side, with the paper's own numbers, verdicts (benchmark/tables/verdicts.py), the reasons for
large gaps, and the photographs on which ours is worst.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.runner.records import HEADINGS, PLACES, RELIT, RecordError, Result, write_text
from benchmark.tables.reported import COMMON_REASONS, REPORTED_IMAGES, REPORTED_PLACES, TABLE_1, gap_sentence
from benchmark.tables.verdicts import best_is_sure, verdict
from benchmark.tables.worst_cases import worst_markdown

NAME = "table1"
PAGE = f"{NAME}.md"
OURS = "ftim"
AS_DESCRIBED = "ftim_paper"
"""The paper's own form of our method: stands in the row of its reported numbers."""
BASELINES: tuple[str, ...] = ("deca", "chen", "deng", "tran")
"""In the paper's order."""
ROWS: tuple[str, ...] = (*BASELINES, OURS)
"""Without which there is no page."""
REFERENCES: tuple[str, ...] = ("mean", "mirror", "telea")
DISPLAY = {
    AS_DESCRIBED: "Huang et al. as described",
    "deca": "DECA",
    "chen": "Chen",
    "deng": "Deng",
    "tran": "Tran",
    OURS: "Ours",
}
REPORTED_NAMES = {OURS: "Huang et al."}
"""Of a reported row, where it is not called as the measured one."""
METRICS: tuple[str, ...] = ("l1", "psnr", "ssim", "cosine", "dlib", "lpips")
"""The paper's four in its order, the second judge of likeness, and LPIPS."""
WORST = 10
COPYING = (
    "`mirror` and `telea` copy what the photograph shows, so in its own view, drawn from the texture, they are strong "
    "wherever skin was seen; other views (*Cross-view*) and the albedo itself, under other light, show what copying "
    "does not give."
)
_SECONDS = "s an image ↓"


@dataclass(frozen=True)
class Block:
    """One table of the page: some blocks of the JSON, whose rows are only compared within each."""

    folder: str
    title: str
    kinds: dict[str, str]
    """Block of the JSON -> what its rows are drawn from."""


_DRAWN_FROM = {"overlay": "texture", f"{RELIT}overlay": "albedo relit"}
_IN_WORDS = {"texture": "from the texture"}
BLOCKS = (
    Block(NAME, "CelebA, overlay: the whole crop against the photograph, as in the paper", _DRAWN_FROM),
    Block(NAME, "CelebA, face: the drawn head alone, where skin is visible",
          {block.replace("overlay", "face"): kind for block, kind in _DRAWN_FROM.items()}),
    Block("frll", "Cross-view, seen: skin of the other photograph that the input showed too", {"seen": ""}),
    Block("frll", "Cross-view, unseen: skin of the other photograph that the input did not show", {"unseen": ""}),
    Block("frll", "Cross-view, face: all visible skin of the other photograph", {"face": ""}),
)  # fmt: skip


def row_of(method: str) -> str:
    """The paper's row that a method stands in (``deca_official`` in that of ``deca``), or the method itself."""
    if method == AS_DESCRIBED:
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
    """The blocks and the verdicts of each. Raises ``RecordError`` when a row of ``ROWS`` was not run yet."""
    tables = _read(results)
    parts, verdicts = [], []
    for block in BLOCKS:
        if OURS not in (found := tables[block.folder]):
            continue
        parts.append(f"**{block.title}**\n\n" + block_table(found, block, failures=False))
        if any(result.failures for result in found.values()):
            parts[-1] += "\n\nA failure counting as the worst score:\n\n" + block_table(found, block, failures=True)
        verdicts += block_verdicts(found, block)
    return "\n\n".join([*parts, "\n".join(verdicts), COPYING]) + "\n"


def block_verdicts(found: dict[str, Result], block: Block) -> list[str]:
    """One line for each kind of drawing that ours has."""
    lines = []
    for name, kind in block.kinds.items():
        rows = {method: result for method, result in found.items() if name in result.blocks}
        if OURS in rows:
            paper = [method for method in rows if row_of(method) in ROWS and method != OURS]
            title = ", ".join(part for part in (block.title.split(":")[0], _IN_WORDS.get(kind, kind)) if part)
            lines.append(f"- {title}: {verdict(rows, OURS, paper, name, METRICS, display_name)}")
    return lines


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
        "from elsewhere. Made by `python -m benchmark.tables` from the JSON in `table1/` and `frll/`. *ours*: FTIM as "
        "it is here; *retrained*: trained by us as its paper describes it; *official*: the authors' own weights; "
        "*reference*: a simple method that shows what the numbers mean; *reported*: the paper's own number.",
        "Every method that makes a texture of the photograph is drawn twice by the same function: from that *texture*, "
        "and from its albedo under the fitted light (*albedo relit*). A model of faces has an albedo and no texture of "
        "the photograph: its rows are of the second kind. Cross-view rows are the albedo under the other photograph's "
        "light. Rows of one kind are compared. In bold the best of a kind, where the 95 % interval of its difference "
        "to the next excludes 0. Intervals are of the mean of paired differences, by bootstrap (photographs drawn anew "
        "on CelebA, people on FRLL).",
        f"Seconds are of the method's own part with all its drawings ({'; '.join(devices)}). Detection, fit and "
        f"unwrapping, the same for every method, took {shared[0]:.2f} to {shared[-1]:.2f} s an image on CelebA.",
        table1_markdown(results).rstrip(),
    ]
    if failures:
        parts.append("Failures:\n\n" + "\n".join(failures))
    official = any(result.source == "official" for result in found.values())
    common = " ".join(COMMON_REASONS if official else COMMON_REASONS[:-1])
    parts.append(f"## Measured and reported\n\n{common} What is each row's own:\n\n{gaps(found)}")
    others = [name for name in found if row_of(name) in BASELINES]
    parts.append(
        f"## The {WORST} worst photographs of ours\n\nBy LPIPS of the face block, drawn from the texture, with what "
        "the baselines got there: LPIPS / L1 / cosine. The photographs may not be shown; the names are CelebA's.\n\n"
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
        if (reported := TABLE_1.get(row_of(name))) is not None:
            measured = result.summary[result.drawn("overlay")].mean
            sentences.append(gap_sentence(display_name(name), name, measured, reported))
    return "\n".join(sentences)


def block_table(found: dict[str, Result], block: Block, failures: bool) -> str:
    """One block, a line a method and kind; with the paper's number under each of its rows in the first one.

    ``failures`` counts a failure as the worst score, and leaves the paper's numbers out.
    """
    columns = [metric for metric in METRICS if any(_has(result, block, metric) for result in found.values())]
    bold = {
        (name, metric): best_is_sure({m: r for m, r in found.items() if name in r.blocks}, name, metric, failures)
        for name in block.kinds
        for metric in columns
    }
    drawn = ["drawn from"] if any(block.kinds.values()) else []
    headings = [*(HEADINGS[metric] for metric in columns), _SECONDS, "images"]
    lines = [
        f"| {' | '.join(['method', *drawn, 'source', *headings])} |",
        "|---|" + "---|" * len(drawn) + "---|" + "---:|" * len(headings),
    ]
    names = list(found)
    for method, following in zip(names, [*names[1:], ""], strict=True):
        result = found[method]
        for name in (name for name in block.kinds if name in result.blocks):
            summary = result.summary[name]
            mean = summary.mean_all if failures else summary.mean
            cells = [_number(getattr(mean, metric), PLACES[metric]) for metric in columns]
            pairs = zip(cells, columns, strict=True)
            cells = [f"**{cell}**" if bold[name, metric] == method else cell for cell, metric in pairs]
            kind = [block.kinds[name]] if drawn else []
            cells += [_number(seconds(result), 3), f"{summary.scored} of {summary.total}"]
            lines.append(f"| {' | '.join([display_name(method), *kind, result.origin, *cells])} |")
        row = row_of(method)
        if "overlay" in block.kinds and not failures and row in TABLE_1 and row_of(following) != row:
            cells = [_number(getattr(TABLE_1[row], metric), REPORTED_PLACES) for metric in columns]
            shown = REPORTED_NAMES.get(row, display_name(row))
            lines.append(f"| {' | '.join([shown, '–', 'reported', *cells, '–', REPORTED_IMAGES])} |")
    return "\n".join(lines)


def seconds(result: Result) -> float | None:
    """Of the method's own part; None for overlays that other code wrote, where it is the time of reading them."""
    return None if "overlays" in result.provenance else result.seconds_per_image["method"]


def _has(result: Result, block: Block, metric: str) -> bool:
    summaries = (result.summary[name] for name in block.kinds if name in result.blocks)
    return any(getattr(summary.mean, metric) is not None for summary in summaries)


def _read(results: Path) -> dict[str, dict[str, Result]]:
    """By folder. Raises ``RecordError`` when a row of CelebA is missing."""
    if missing := [name for name in ROWS if not (results / NAME / f"{name}.json").is_file()]:
        raise RecordError(f"{results / NAME} lacks {', '.join(missing)}: python benchmark/run.py --dataset celeba")
    return {table: read_rows(results / table) for table in (NAME, "frll")}


def _number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"
