"""Who is better on which scores, and how sure that is: the lines below a block, and what a table prints in bold.

Counts are of numbers as they are printed, a failure counting as the worst score; a tie leaves both first. How sure a
difference is says its interval (benchmark/tables/bootstrap.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from benchmark.runner.records import HEADINGS, PLACES, Result
from benchmark.tables.bootstrap import Comparison, compare


def is_higher_better(metric: str) -> bool:
    """By the arrow of its heading."""
    return HEADINGS[metric].endswith("↑")


def metrics_of(result: Result, block: str, metrics: Iterable[str]) -> list[str]:
    """Those that have a meaning in the block and were measured."""
    mean = result.summary[block].mean
    return [metric for metric in metrics if getattr(mean, metric) is not None]


def ranking(rows: dict[str, Result], block: str, metric: str, failures: bool) -> list[str]:
    """Methods from the best mean to the worst; those without the score are left out."""
    means = {name: result.summary[block] for name, result in rows.items()}
    found = {name: getattr(item.mean_all if failures else item.mean, metric) for name, item in means.items()}
    known = {name: value for name, value in found.items() if value is not None}
    return sorted(known, key=lambda name: known[name], reverse=is_higher_better(metric))


def best_is_sure(rows: dict[str, Result], block: str, metric: str, failures: bool) -> str | None:
    """The method with the best mean, if the interval of its difference to the next one excludes 0."""
    order = ranking(rows, block, metric, failures)
    if len(order) < 2:
        return None
    comparison = compare(rows[order[0]], rows[order[1]], block, metric, failures)
    return order[0] if comparison is not None and comparison.verdict == "better" else None


def verdict(
    rows: dict[str, Result], ours: str, paper: list[str], block: str, metrics: Iterable[str], name: Callable[[str], str]
) -> str:
    """On how many scores ours is first among the ``paper``'s methods and among all rows; who is better where; and the
    difference to the best other row of each score, with its interval.

    ``rows`` all have the block. ``name`` says what a method is called.
    """
    metrics = metrics_of(rows[ours], block, metrics)
    others = {method: result for method, result in rows.items() if method != ours}
    behind = {
        method: [metric for metric in metrics if _is_better(result, rows[ours], block, metric)]
        for method, result in others.items()
    }
    counts = [_count(behind, list(others), metrics, f"all {len(rows)} rows")]
    if paper:
        counts.insert(0, _count(behind, paper, metrics, "the paper's methods"))
    text = f"{name(ours)} is first {' and '.join(counts)}"
    beaten = [f"{name(method)} on {', '.join(map(_short, where))}" for method, where in behind.items() if where]
    text += f"; beaten by {'; by '.join(beaten)}." if beaten else "."
    differences = [found for metric in metrics if (found := _to_best_other(rows, ours, block, metric, name))]
    return text + (f" Against the best other row: {'; '.join(differences)}." if differences else "")


def _to_best_other(
    rows: dict[str, Result], ours: str, block: str, metric: str, name: Callable[[str], str]
) -> str | None:
    """``PSNR +0.33 [+0.20, +0.46], better than telea``."""
    order = [method for method in ranking(rows, block, metric, failures=True) if method != ours]
    comparison = compare(rows[ours], rows[order[0]], block, metric) if order else None
    if comparison is None:
        return None
    return f"{comparison}, {comparison.verdict} {_joint(comparison)} {name(order[0])}"


def _joint(comparison: Comparison) -> str:
    return "with" if comparison.verdict == "level" else "than"


def _count(behind: dict[str, list[str]], methods: list[str], metrics: list[str], group: str) -> str:
    lost = {metric for method in methods for metric in behind[method]}
    return f"on {len(metrics) - len(lost)} of {len(metrics)} scores among {group}"


def _is_better(theirs: Result, ours: Result, block: str, metric: str) -> bool:
    """Of the numbers as they are printed."""
    first, second = (getattr(result.summary[block].mean_all, metric) for result in (theirs, ours))
    if first is None or second is None:
        return False
    first, second = round(first, PLACES[metric]), round(second, PLACES[metric])
    return first > second if is_higher_better(metric) else first < second


def _short(metric: str) -> str:
    return HEADINGS[metric][:-2]
