"""A small seed of ``make hostile``, and that it would notice a crash, a hang, a death, and a file in a wrong place.

The small seed reads; what goes on to the head is left to ``make hostile``.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from scripts.measure import hostile
from scripts.measure.hostile import KINDS, HostileConfig, Tally, Worker, attack, count, run_case, table
from scripts.measure.hostile_images import FORMATS, picture, portrait, sound

FAULTS: dict[str, str] = {}
"""By kind: what is known and not ours to put right (SECURITY.md)."""


@pytest.fixture(scope="module")
def tallies() -> dict[str, Tally]:
    return attack(HostileConfig(cases=7 * len(KINDS), seed=1, processes=1, head=False), quiet=True)


def known(kind: str) -> object:
    """The kind as a parameter of a test, expected to fail where ``FAULTS`` says so."""
    return pytest.param(kind, marks=pytest.mark.xfail(reason=FAULTS[kind])) if kind in FAULTS else kind


@pytest.mark.parametrize("kind", [known(kind) for kind in sorted(set(KINDS))])
def test_a_small_seed_ends_in_results_and_clear_errors(kind: str, tallies: dict[str, Tally]) -> None:
    assert tallies[kind].inputs == 7 * KINDS.count(kind)
    assert tallies[kind].examples == [] and tallies[kind].wrong == 0


def test_the_table_has_all_kinds(tallies: dict[str, Tally]) -> None:
    text = table(tallies)
    assert all(f"\n{kind} " in text for kind in KINDS) and f"all{7 * len(KINDS):32}" in text


def test_no_case_is_begun_when_time_is_over() -> None:
    tallies = attack(HostileConfig(cases=30, minutes=-1, processes=1, head=False), quiet=True)
    assert not any(tally.inputs for tally in tallies.values())


@pytest.mark.parametrize("kind", [*FORMATS, "portrait", "bomb", "metadata"])
def test_the_same_seed_makes_the_same_picture(kind: str) -> None:
    one, other, third = (picture(random.Random(seed), kind) for seed in (3, 3, 4))
    assert one == other != third and len(sound("PNG")) > 1000 < len(portrait())


def test_a_crash_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> bool:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setitem(hostile.READERS, "weights", breaks)
    outcome = run_case("weights", 0, 0, tmp_path, None)
    tally = Tally()
    count(tally, "weights 0", outcome, 0.1, 10)
    assert tally.crashes == tally.wrong == 1 and "ZeroDivisionError" in tally.examples[0]


def misbehaves(connection: Connection) -> None:
    connection.send("ready")
    while True:
        kind, *_ = connection.recv()
        if kind == "dies":
            os._exit(1)
        if kind == "hangs":
            time.sleep(60)
        if kind == "grows":
            full = np.ones(2_200_000_000, np.uint8)
            time.sleep(60 * full[0])
        connection.send(("result", 0.1, 3 * 10**9 if kind == "eats" else 10))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker(misbehaves)
    yield worker
    worker.stop()


@pytest.mark.parametrize(
    ("kind", "field", "longest"),
    [
        ("works", "results", 20), ("eats", "too_much_memory", 20), ("dies", "crashes", 20),
        ("grows", "too_much_memory", 20), ("hangs", "hangs", 0.2),
    ],
)  # fmt: skip
def test_what_a_process_may_do(kind: str, field: str, longest: float, worker: Worker, tmp_path: Path) -> None:
    tally = Tally()
    count(tally, kind, *worker(kind, 0, 0, tmp_path, longest=longest))
    assert getattr(tally, field) == 1 and tally.wrong == (kind != "works")


def test_a_file_outside_is_noticed(tmp_path: Path) -> None:
    inside = tmp_path / "case" / "case"
    assert hostile._stray(tmp_path / "secret.txt", inside) and hostile._stray(tmp_path / "case" / "x", inside)
    assert not hostile._stray(inside / "out" / "a", inside) and not hostile._stray(inside.parent, inside)


def test_the_guard_sees_files_outside_and_programs(tmp_path: Path) -> None:
    """In a process of its own: a hook of Python stays for good."""
    code = (
        "import os, sys, shutil, pathlib; from scripts.measure.guard import Guard\n"
        "guard, home = Guard(), pathlib.Path(sys.argv[1]); sys.addaudithook(guard); inside = home / 'case'\n"
        "def tried(act):\n    with guard.watching(inside): act()\n    print(len(guard.seen))\n"
        "(inside / 'a').mkdir(parents=True); (inside / 'a' / 'b').write_text('')\n"
        "for act in (lambda: (inside / 'x').write_text(''), lambda: shutil.rmtree(inside / 'a'),\n"
        "            lambda: (home / 'x').read_text() if (home / 'x').exists() else None,\n"
        "            lambda: (inside / '..' / 'x').write_text(''), lambda: open('y', 'a').close(),\n"
        "            lambda: os.rename(inside / 'x', home / 'z'), lambda: os.system('true')): tried(act)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "0", "1", "1", "1", "1"]
