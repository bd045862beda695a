"""A small seed of ``make hostile``, and that it would notice a crash, a hang, a death, and a file in a wrong place."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from scripts.measure import hostile
from scripts.measure.hostile import KINDS, HostileConfig, Tally, Worker, attack, count, run_case
from scripts.measure.hostile_files import FILES
from scripts.measure.hostile_images import FORMATS, picture, portrait, sound


def test_a_small_seed_ends_in_results_and_clear_errors() -> None:
    tallies = attack(HostileConfig(cases=12 * len(KINDS), seed=1, processes=1), quiet=True)
    assert {kind: tally.examples for kind, tally in tallies.items() if tally.wrong} == {}
    assert sum(tally.inputs for tally in tallies.values()) == 12 * len(KINDS)
    assert all(tally.clear_errors for kind, tally in tallies.items() if kind not in ("metadata", "GIF"))


@pytest.mark.parametrize("kind", [*FORMATS, "portrait", "bomb", "metadata"])
def test_the_same_seed_makes_the_same_picture(kind: str) -> None:
    import random

    one, other, third = (picture(random.Random(seed), kind) for seed in (3, 3, 4))
    assert one == other != third and len(sound("PNG")) > 1000 < len(portrait())


def test_a_crash_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> bool:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setitem(FILES, "weights", breaks)
    outcome = run_case("weights", 0, 0, tmp_path, None)
    tally = Tally()
    count(tally, "weights 0", outcome, 0.1, 10)
    assert tally.crashes == tally.wrong == 1 and "ZeroDivisionError" in tally.examples[0]


def misbehaves(connection: Connection) -> None:
    connection.send("ready")
    kind, *_ = connection.recv()
    if kind == "dies":
        os._exit(1)
    if kind == "hangs":
        time.sleep(60)
    connection.send(("result", 0.1, 3 * 10**9 if kind == "eats" else 10))


@pytest.mark.parametrize(
    ("kind", "field"), [("dies", "crashes"), ("hangs", "hangs"), ("eats", "too_much_memory"), ("works", "results")]
)
def test_what_a_process_may_do(kind: str, field: str, tmp_path: Path) -> None:
    worker = Worker(misbehaves)
    tally = Tally()
    try:
        count(tally, kind, *worker(kind, 0, 0, tmp_path, longest=0.2))
    finally:
        worker.stop()
    assert getattr(tally, field) == 1 and tally.wrong == (kind != "works")


def test_a_file_outside_is_noticed(tmp_path: Path) -> None:
    inside = tmp_path / "case" / "case"
    assert hostile._stray(tmp_path / "secret.txt", inside) and hostile._stray(tmp_path / "case" / "x", inside)
    assert not hostile._stray(inside / "out" / "a", inside) and not hostile._stray(inside.parent, inside)
