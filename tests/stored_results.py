"""Results as a run would have stored them, from one number that says how good a method is."""

from __future__ import annotations

from benchmark.methods.base import Source, note_of
from benchmark.runner.records import RELIT, Result, Row, Scores

SOURCES: dict[str, Source] = {"ftim": "ours", "mean": "reference", "mirror": "reference", "telea": "reference",
                              "deca_official": "official", "theirs": "official"}  # fmt: skip
MODELS = ("deca", "chen", "deng", "tran", "deca_official", "theirs")
"""Methods that draw the albedo of a model of faces and have no texture of the photograph."""
ALBEDO = 0.1
"""How much worse the albedo is than the texture, where a method has both."""


def scores(quality: float, likeness: bool = True) -> Scores:
    """Better in everything the higher the quality."""
    judges = (0.5 + quality / 4, round(0.8 - quality / 2, 5)) if likeness else (None, None)
    return Scores(
        round(0.1 - 0.05 * quality, 5), 20 + 4 * quality, 0.7 + quality / 10, round(0.2 - quality / 10, 5), *judges
    )


def stored(table: str, method: str, quality: float, names: tuple[str, ...] = ("a", "b", "c")) -> Result:
    """Of table1 or frll; of three images the first is the best."""
    relit = (f"{RELIT}overlay", f"{RELIT}face")
    if table != "table1":
        blocks: tuple[str, ...] = ("face", "seen", "unseen")
    else:
        blocks = relit if method in MODELS else ("overlay", "face", *relit)
    albedo = {block: ALBEDO * (block.startswith(RELIT) and method not in MODELS) for block in blocks}
    rows = tuple(
        Row(name, None, {block: scores(quality - albedo[block] - step / 100, block not in ("seen", "unseen"))
                         for block in blocks}, 1.0)
        for step, name in enumerate(names, -1)
    )  # fmt: skip
    about = {"commit": "c", "device": "cpu", "data": {"name": table, "licence": "x", "photos": 3, "sha256": "00"}}
    protocol = "overlay" if table == "table1" else "cross-view"
    seconds = {"shared": 0.1, "method": 0.5 - 0.3 * quality}
    source = SOURCES.get(method, "retrained")
    return Result(table, method, source, note_of(method), protocol, blocks, {"limit": None}, about, seconds, rows)
