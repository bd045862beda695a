"""How sure a difference of two means is: the percentile bootstrap of paired differences (Efron 1979).

Resampled are whole groups: a photograph on CelebA, a person where several rows are of one (cross-view), since rows of
one person are no independent witnesses. The same numbers give the same interval.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.runner.records import HEADINGS, PLACES, WORST, Result

RESAMPLES = 4000
LEVEL = 0.95
SEED = 0


@dataclass(frozen=True)
class Interval:
    """A mean difference and its 95 % interval."""

    difference: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the difference is sure."""
        return self.low > 0 or self.high < 0


def paired_interval(first: np.ndarray, second: np.ndarray, groups: Sequence[str]) -> Interval | None:
    """(N,) and (N,) values of the same rows, and the group of each -> first less second.

    A row with a NaN is left out; None where less than two groups are left, from which nothing follows. A resample draws
    as many groups as there are, with replacement, and takes the mean over their rows.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if differences.shape != (len(groups),):
        raise ValueError(f"{differences.shape} differences of {len(groups)} rows")
    valid = np.isfinite(differences)
    differences = differences[valid]
    names, index = np.unique(np.asarray(groups)[valid], return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.bincount(index, differences, len(names))
    counts = np.bincount(index, minlength=len(names)).astype(np.float64)
    totals = _draws(len(names)) @ np.stack([sums, counts], axis=1)
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(differences.mean()), float(low), float(high))


@functools.lru_cache(maxsize=4)
def _draws(count: int) -> np.ndarray:
    """(RESAMPLES, count): how often each group is drawn."""
    picks = np.random.default_rng(SEED).integers(count, size=(RESAMPLES, count))
    picks += np.arange(RESAMPLES)[:, None] * count
    return np.bincount(picks.ravel(), minlength=RESAMPLES * count).reshape(RESAMPLES, count).astype(np.float64)


def values(result: Result, block: str, metric: str, failures: bool) -> np.ndarray:
    """(rows,) of one score; NaN where it has no meaning. A failure is the worst score with ``failures``, else NaN."""
    worst = getattr(WORST, metric) if failures else None

    def value(row_index: int) -> float | None:
        row = result.rows[row_index]
        if row.reason is not None:
            return worst
        return getattr(row.scores[block], metric) if block in row.scores else None

    found = [value(index) for index in range(len(result.rows))]
    return np.array([np.nan if item is None else item for item in found], dtype=np.float64)


def groups(result: Result) -> list[str]:
    """What is drawn together, a name a row: the person of a pair of views (``006_smiling: ...``), or the photograph."""
    names = [row.name for row in result.rows]
    return [name.split("_")[0] for name in names] if result.protocol == "cross-view" else names


@dataclass(frozen=True)
class Comparison:
    """One score of one method less another's."""

    metric: str
    interval: Interval

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where the interval excludes 0, else ``level``."""
        if not self.interval.excludes_zero:
            return "level"
        higher = HEADINGS[self.metric].endswith("↑")
        return "better" if (self.interval.difference > 0) == higher else "worse"

    def __str__(self) -> str:
        """``PSNR +0.33 [+0.20, +0.46]``."""
        places = PLACES[self.metric]
        numbers = (self.interval.difference, self.interval.low, self.interval.high)
        difference, low, high = (f"{number:+.{places}f}" for number in numbers)
        return f"{HEADINGS[self.metric][:-2]} {difference} [{low}, {high}]"


def compare(first: Result, second: Result, block: str, metric: str, failures: bool = True) -> Comparison | None:
    """Two methods on the same rows; None where too few have this score of both."""
    ours, theirs = (values(result, block, metric, failures) for result in (first, second))
    interval = paired_interval(ours, theirs, groups(first))
    return None if interval is None else Comparison(metric, interval)
