"""What a run leaves behind: rows as they come, then one JSON file a method and table.

Numbers are rounded to ``DECIMALS`` places when they are made, so that what is averaged is what is stored.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import Any, Self

from ftim.errors import FtimError
from ftim.outputs import whole_file

SCHEMA = 2
DECIMALS = 5
RELIT = "relit_"
"""Before the name of a block: the same pixels, drawn from the albedo under the fitted light, not from the texture."""


class RecordError(FtimError):
    """A result file or an unfinished run cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Scores:
    """One image pair in one block; None where a metric has no meaning there."""

    l1: float | None
    psnr: float | None
    ssim: float | None
    lpips: float | None
    cosine: float | None
    """FaceNet's."""
    dlib: float | None = None
    """Distance of two descriptors of dlib's network; also None where dlib is not installed."""


METRICS: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(Scores))

HEADINGS = {"l1": "L1 ↓", "psnr": "PSNR ↑", "ssim": "SSIM ↑", "lpips": "LPIPS ↓", "cosine": "cosine ↑",
            "dlib": "dlib distance ↓"}  # fmt: skip
"""Of columns, with the direction in which a metric is better."""

PLACES = {"l1": 4, "psnr": 2, "ssim": 4, "lpips": 4, "cosine": 4, "dlib": 4}
"""Decimals that tables print."""

WORST = Scores(l1=1, psnr=0, ssim=0, lpips=1, cosine=0, dlib=1)
"""What a failure counts in the mean over all images."""


@dataclass(frozen=True)
class Row:
    """One image (or, cross-view, one pair of views) under one method."""

    name: str
    reason: str | None = None
    """Why there are no scores: the class and text of the error. None for a success."""
    scores: dict[str, Scores] = field(default_factory=dict)
    """By block; a block that does not apply (a region of too few pixels) is absent."""
    coverage: float | None = None
    """Share of the face mask that the method drew; what it left out is scored as the photograph it was laid over."""

    def to_json(self) -> dict[str, Any]:
        """Without the fields that say nothing."""
        if self.reason is not None:
            return {"name": self.name, "reason": self.reason}
        blocks = {block: dataclasses.asdict(scores) for block, scores in self.scores.items()}
        return {"name": self.name, "scores": blocks, "coverage": self.coverage}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The inverse of ``to_json``; a field too many or too few is an error."""
        value = dict(value)
        value["scores"] = {block: Scores(**scores) for block, scores in value.get("scores", {}).items()}
        return cls(**value)


@dataclass(frozen=True)
class BlockSummary:
    """One method in one block.

    ``mean`` and ``median`` are over the ``scored`` images. ``mean_all`` is over ``total`` images: the scored ones and
    the failures, which count as ``WORST``. Images to which the block does not apply are in neither number.
    """

    scored: int
    total: int
    mean: Scores
    median: Scores
    mean_all: Scores


def summarise(rows: list[Row], blocks: Iterable[str]) -> dict[str, BlockSummary]:
    """Means and counts by block."""
    failures = sum(row.reason is not None for row in rows)
    return {block: _summarise([row.scores[block] for row in rows if block in row.scores], failures) for block in blocks}


def _summarise(scores: list[Scores], failures: int) -> BlockSummary:
    mean, middle, mean_all = {}, {}, {}
    for metric in METRICS:
        values = [value for item in scores if (value := getattr(item, metric)) is not None]
        worst = getattr(WORST, metric)
        mean[metric] = round_number(fmean(values)) if values else None
        middle[metric] = round_number(median(values)) if values else None
        # A metric that has no meaning in this block has none for failures either.
        applies = bool(values) or not scores
        everything = [*values, *[worst] * failures]
        mean_all[metric] = round_number(fmean(everything)) if applies and everything else None
    return BlockSummary(len(scores), len(scores) + failures, Scores(**mean), Scores(**middle), Scores(**mean_all))


def round_number(value: float | None) -> float | None:
    """To ``DECIMALS`` places; None for NaN and infinities, which JSON does not have."""
    return None if value is None or not math.isfinite(value) else round(value, DECIMALS)


@dataclass(frozen=True)
class Result:
    """One method on one table: the content of ``results/<table>/<method>.json``."""

    table: str
    method: str
    source: str
    note: str
    """What a table says besides, such as of which data its weights are; may be empty."""
    protocol: str
    blocks: tuple[str, ...]
    """Those that the method has; the first is the paper's or the main one."""
    configuration: dict[str, Any]
    provenance: dict[str, Any]
    seconds_per_image: dict[str, float]
    """``shared``: detection, fit, mask and unwrapping, once for all methods; ``method``: its own part."""
    rows: tuple[Row, ...]

    @property
    def origin(self) -> str:
        """Source and note, as tables print them."""
        return f"{self.source}, *{self.note}*" if self.note else self.source

    def drawn(self, block: str) -> str:
        """The block, or the one of the same pixels drawn from the albedo where the method has no other."""
        return block if block in self.blocks else RELIT + block

    @cached_property
    def summary(self) -> dict[str, BlockSummary]:
        """By block, from the rows."""
        return summarise(list(self.rows), self.blocks)

    @property
    def failures(self) -> dict[str, int]:
        """How often each kind of error happened, most frequent first."""
        kinds = [row.reason.split(":")[0] for row in self.rows if row.reason is not None]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))}

    def write(self, path: Path) -> None:
        """One row a line, renamed into place."""
        head = {"schema": SCHEMA} | {
            item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "rows"
        }
        summary = {block: dataclasses.asdict(value) for block, value in self.summary.items()}
        head |= {"images": len(self.rows), "failures": self.failures, "summary": summary}
        rows = ",\n".join("  " + json.dumps(row.to_json(), ensure_ascii=False) for row in self.rows)
        text = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
        write_text(path, f'{text},\n "rows": [\n{rows}\n ]\n}}\n')

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ``RecordError`` for another schema, or when the stored summary is not that of the rows."""
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            if value.pop("schema") != SCHEMA:
                raise RecordError(f"{path} has another schema than {SCHEMA}: run the benchmark again")
            stored = {key: value.pop(key) for key in ("images", "failures", "summary")}
            rows = tuple(Row.from_json(row) for row in value.pop("rows"))
            result = cls(**value | {"blocks": tuple(value["blocks"]), "rows": rows})
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise RecordError(f"{path} is not a result of the benchmark ({error}): run it again") from error
        expected = {block: dataclasses.asdict(summary) for block, summary in result.summary.items()}
        if stored != {"images": len(rows), "failures": result.failures, "summary": expected}:
            raise RecordError(f"{path}: the summary does not follow from the rows; results are made, not edited")
        return result


def write_text(path: Path, text: str) -> None:
    """Write under a temporary name, then rename."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
