"""Results as a run would have stored them, from one number that says how good a method is."""

from __future__ import annotations

from benchmark.methods.base import Source
from benchmark.records import Result, Row, Scores

SOURCES: dict[str, Source] = {"mean": "reference", "mirror": "reference", "telea": "reference",
                              "deca_official": "official"}  # fmt: skip


def scores(quality: float, likeness: bool = True) -> Scores:
    """Better in everything the higher the quality."""
    return Scores(round(0.1 - 0.05 * quality, 5), 20 + 4 * quality, 0.7 + quality / 10, round(0.2 - quality / 10, 5),
                  0.5 + quality / 4 if likeness else None)  # fmt: skip


def stored(table: str, method: str, quality: float, names: tuple[str, ...] = ("a", "b", "c")) -> Result:
    """Of table1 or frll; of three images the first is the best."""
    blocks = ("overlay", "face") if table == "table1" else ("face", "seen", "unseen")
    rows = tuple(
        Row(name, None, {block: scores(quality - step / 100, block in ("overlay", "face")) for block in blocks}, 1.0)
        for step, name in enumerate(names, -1)
    )
    about = {"commit": "c", "device": "cpu", "data": {"name": table, "licence": "x", "photos": 3, "sha256": "00"}}
    protocol = "overlay" if table == "table1" else "cross-view"
    seconds = {"shared": 0.1, "method": 0.5 - 0.3 * quality}
    source = SOURCES.get(method, "retrained")
    return Result(table, method, source, protocol, blocks, {"limit": None}, about, seconds, rows)
