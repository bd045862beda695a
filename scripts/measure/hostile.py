"""Thousands of broken and malicious files: each ends in a result or an error of ftim's, soon and in little memory.

    python -m scripts.measure.hostile --cases 2400 --seed 0

Pictures are read as every photograph is, portraits and one in forty go on to the head; reports, weights, checkpoints,
pickles and archives go to their readers. A process that answers no more or takes too much memory is killed and counted.
Each case has a folder: to write elsewhere, and to start a program, is a crash. The same seed makes the same files.
Writes ``results/hostile.json``; exits with 1 after a crash, a hang, too much memory, or when nothing was tried.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import tyro
from tqdm import tqdm

from benchmark.runner.provenance import provenance
from benchmark.runner.records import write_text
from ftim.errors import FtimError
from ftim.photo import Photograph, open_photo, read_photo
from ftim.pipeline import Pipeline
from scripts.measure.guard import Guard
from scripts.measure.hostile_cases import CASES
from scripts.measure.hostile_files import FILES
from scripts.measure.hostile_images import FORMATS, PORTRAIT, picture, portrait

OUTPUT = Path("results/hostile.json")
LONGEST, MOST_MEMORY = 5.0, 2 * 10**9
WARM_UP = 120.0
"""Seconds for a process to load the models."""
LOOK = 0.02
"""Seconds between looks at the memory of a process that works."""
TO_THE_HEAD = 40
"""One picture of so many, and every portrait that can be read."""
READERS = FILES | CASES
KINDS = (*FORMATS, *FORMATS, PORTRAIT, "bomb", "metadata", *READERS)
HANG, MEMORY = "hang", "too much memory"
EXAMPLES = 5


@dataclass(frozen=True)
class HostileConfig:
    """How many, and which."""

    cases: int = 2400
    seed: int = 0
    minutes: float = 15
    """After which no further case is begun."""
    processes: int = 2
    head: bool = True
    """Some pictures go on to the head."""
    output: Path | None = OUTPUT


@dataclass
class Tally:
    """Of one kind."""

    inputs: int = 0
    results: int = 0
    clear_errors: int = 0
    crashes: int = 0
    hangs: int = 0
    too_much_memory: int = 0
    most_seconds: float = 0.0
    examples: list[str] = field(default_factory=list)
    """Of what went wrong."""

    @property
    def wrong(self) -> int:
        """Cases that ended in neither a result nor a clear error, or at too high a price."""
        return self.crashes + self.hangs + self.too_much_memory


def run_case(kind: str, number: int, seed: int, folder: Path, pipeline: Pipeline | None) -> str:
    """Make one case in an empty folder and try it: result, error, or what crashed."""
    rng = random.Random(f"{seed} {kind} {number}")
    try:
        if kind in READERS:
            READERS[kind](rng, folder)
        else:
            path = folder / "photo.jpg"
            path.write_bytes(picture(rng, kind))
            photo: Photograph = open_photo(path)
            if pipeline is not None and (rng.random() < 1 / TO_THE_HEAD or kind == PORTRAIT):
                pipeline.reconstruct(photo, "mirror")
    except FtimError:
        return "error"
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        return f"{type(error).__name__}: {error}"[:300]
    return "result"


def serve(connection: Connection) -> None:
    """A process that tries cases, one after the other, some of them up to the head."""
    pipeline = Pipeline.build(texture_size=256)
    with tempfile.TemporaryDirectory() as folder:  # what is compiled or remembered at first is so before any case
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(portrait())
        pipeline.reconstruct(read_photo(photo), "mirror")
    _serve(connection, pipeline)


def serve_reading(connection: Connection) -> None:
    """As ``serve``, and no picture goes on to the head."""
    _serve(connection, None)


def _serve(connection: Connection, pipeline: Pipeline | None) -> None:
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders in C complain there
    portrait()
    importlib.import_module("torch._dynamo")  # optimizers load it when first used, and it makes a folder
    guard = Guard()
    sys.addaudithook(guard)
    connection.send("ready")
    while True:
        kind, number, seed, folder = connection.recv()
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory counts from here
        began = time.perf_counter()
        with guard.watching(Path(folder)):
            outcome = run_case(kind, number, seed, Path(folder), pipeline)
        outcome = guard.seen[0] if guard.seen else outcome
        connection.send((outcome, time.perf_counter() - began, _memory("self", "VmHWM")))


def _memory(process: int | str, what: str) -> int:
    """Bytes: ``VmHWM`` at the peak, ``VmRSS`` now. 0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * int(next((line.split()[1] for line in lines if line.startswith(what)), "0"))


class Worker:
    """One such process, made anew for the next case when it had to be killed."""

    def __init__(self, target: object = serve) -> None:
        self.target = target
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=self.target, args=(other,), daemon=True)  # type: ignore[arg-type]
        self.process.start()
        other.close()
        if not self.connection.poll(WARM_UP) or self.connection.recv() != "ready":
            raise RuntimeError("the process did not start")

    def __call__(
        self, kind: str, number: int, seed: int, folder: Path, longest: float = LONGEST
    ) -> tuple[str, float, int]:
        """Outcome, seconds and bytes; ``hang`` or ``died`` where the process had to be replaced."""
        if not self.process.is_alive():
            self._start()
        self.connection.send((kind, number, seed, str(folder)))
        began, outcome, memory = time.perf_counter(), HANG, 0
        try:
            while time.perf_counter() - began < 2 * longest:
                if self.connection.poll(LOOK):
                    outcome, seconds, memory = self.connection.recv()
                    return (HANG if seconds > longest else outcome), seconds, memory
                memory = _memory(self.process.pid or 0, "VmRSS")
                if memory > MOST_MEMORY:  # before the machine's own is gone
                    outcome = MEMORY
                    break
        except (EOFError, ConnectionResetError):
            self.process.join()
            outcome = f"died with {self.process.exitcode}"
        self.stop()
        return outcome, min(time.perf_counter() - began, longest), memory

    def stop(self) -> None:
        """The end."""
        self.process.kill()
        self.process.join()


def count(tally: Tally, name: str, outcome: str, seconds: float, memory: int) -> None:
    """One case more."""
    tally.inputs += 1
    tally.results += outcome == "result"
    tally.clear_errors += outcome == "error"
    tally.hangs += outcome == HANG
    tally.crashes += outcome not in ("result", "error", HANG, MEMORY)
    tally.too_much_memory += memory > MOST_MEMORY
    tally.most_seconds = round(max(tally.most_seconds, seconds), 2)
    if (outcome not in ("result", "error") or memory > MOST_MEMORY) and len(tally.examples) < EXAMPLES:
        tally.examples.append(f"{name}: {outcome}, {memory / 1e9:.1f} GB")


def attack(config: HostileConfig, quiet: bool = False) -> dict[str, Tally]:
    """All cases, or those for which there is time; the tallies by kind."""
    tallies = {kind: Tally() for kind in dict.fromkeys(KINDS)}
    cases = [(KINDS[number % len(KINDS)], number) for number in range(config.cases)]
    end = time.monotonic() + 60 * config.minutes
    target = serve if config.head else serve_reading
    with tempfile.TemporaryDirectory() as root, tqdm(total=len(cases), disable=quiet) as bar:

        def some(part: int) -> list[tuple[str, str, str, float, int]]:
            home, own = Path(root) / str(part), cases[part :: config.processes]
            return list(_one_after_the_other(own, config.seed, home, bar, end, target))

        with ThreadPoolExecutor(config.processes) as pool:
            for rows in pool.map(some, range(config.processes)):
                for kind, name, outcome, seconds, memory in rows:
                    count(tallies[kind], name, outcome, seconds, memory)
    return tallies


def _one_after_the_other(
    cases: list[tuple[str, int]], seed: int, home: Path, bar: tqdm, end: float, target: object
) -> Iterator[tuple[str, str, str, float, int]]:
    worker = Worker(target)
    home.mkdir()
    try:
        for kind, number in cases:
            if time.monotonic() > end:
                return
            with tempfile.TemporaryDirectory(dir=home) as folder:
                inside = Path(folder) / "case" / "case"
                inside.mkdir(parents=True)
                outcome, seconds, memory = worker(kind, number, seed, inside)
                if strays := [path for path in (*home.iterdir(), *Path(folder).rglob("*")) if _stray(path, inside)]:
                    outcome = f"wrote {strays[0].name} outside"
            bar.update()
            yield kind, f"{kind} {number}", outcome, seconds, memory
    finally:
        worker.stop()


def _stray(path: Path, inside: Path) -> bool:
    return path not in inside.parents and path != inside and inside not in path.parents


def main() -> None:
    """All cases; the table."""
    config = tyro.cli(HostileConfig, description=__doc__)
    tallies = attack(config)
    print(table(tallies))
    tried = sum(tally.inputs for tally in tallies.values())
    if tried < config.cases:
        print(f"{config.minutes:g} minutes are over: {config.cases - tried} of {config.cases} cases were not tried")
    found = {kind: asdict(tally) for kind, tally in tallies.items()}
    about = {"provenance": provenance(torch.device("cpu"), False), "seed": config.seed, "asked for": config.cases}
    if config.output is not None:
        write_text(config.output, json.dumps(about | {"found": found}, indent=1) + "\n")
    sys.exit(int(tried == 0 or any(tally.wrong for tally in tallies.values())))


def table(tallies: dict[str, Tally]) -> str:
    """A line for each kind, one for all, and examples of what went wrong."""
    names = [name for name in asdict(Tally()) if name != "examples"]
    rows = {kind: [getattr(tally, name) for name in names] for kind, tally in tallies.items()}
    columns = list(zip(*rows.values(), strict=True))
    rows["all"] = [
        max(column) if name == "most_seconds" else sum(column) for name, column in zip(names, columns, strict=True)
    ]
    lines = [" " * 18 + "".join(f"{name.replace('_', ' '):>17}" for name in names)]
    lines += [f"{kind:18}" + "".join(f"{value:17}" for value in row) for kind, row in rows.items()]
    return "\n".join([*lines, *(example for tally in tallies.values() for example in tally.examples)])


if __name__ == "__main__":
    main()
