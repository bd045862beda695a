"""Thousands of broken and malicious files: each ends in a result or an error of ftim's, soon and in little memory.

    python scripts/measure/hostile.py --cases 2400 --seed 0

Pictures are read as every photograph is, portraits and one in forty go on to the head; reports, weights, checkpoints,
pickles and archives go to their readers. A process that answers no more is killed and counted. The same seed makes the
same files.
Writes ``results/hostile.json``; exits with 1 after a crash, a hang, too much memory, or a file outside a case's folder.
"""

from __future__ import annotations

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

if __name__ == "__main__":  # started as a file, Python looks for modules beside it and not in the repository
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import torch
import tyro
from tqdm import tqdm

from benchmark.provenance import provenance
from benchmark.records import write_text
from ftim.errors import FtimError
from ftim.photo import Photograph, open_photo
from ftim.pipeline import Pipeline
from scripts.measure.hostile_files import FILES
from scripts.measure.hostile_images import FORMATS, PORTRAIT, picture

OUTPUT = Path("results/hostile.json")
LONGEST, MOST_MEMORY = 5.0, 2 * 10**9
WARM_UP = 120.0
"""Seconds for a process to load the models."""
TO_THE_HEAD = 40
"""One picture of so many, and every portrait that can be read."""
KINDS = (*FORMATS, *FORMATS, PORTRAIT, "bomb", "metadata", *FILES)
EXAMPLES = 5


@dataclass(frozen=True)
class HostileConfig:
    """How many, and which."""

    cases: int = 2400
    seed: int = 0
    processes: int = 2
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
        if kind in FILES:
            FILES[kind](rng, folder)
        else:
            path = folder / "photo.jpg"
            path.write_bytes(picture(rng, kind))
            photo: Photograph = open_photo(path)
            if pipeline is not None and (number % TO_THE_HEAD == 0 or kind == PORTRAIT):
                pipeline.reconstruct(photo, "mirror")
    except FtimError:
        return "error"
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        return f"{type(error).__name__}: {error}"[:300]
    return "result"


def serve(connection: Connection) -> None:
    """A process that tries cases, one after the other."""
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders in C complain there
    pipeline = Pipeline.build(texture_size=256)
    connection.send("ready")
    while True:
        kind, number, seed, folder = connection.recv()
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory counts from here
        began = time.perf_counter()
        outcome = run_case(kind, number, seed, Path(folder), pipeline)
        connection.send((outcome, time.perf_counter() - began, _peak()))


def _peak() -> int:
    """Bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


class Worker:
    """One such process, made anew when it had to be killed."""

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
        self.connection.send((kind, number, seed, str(folder)))
        try:
            if self.connection.poll(2 * longest):
                outcome, seconds, memory = self.connection.recv()
                return ("hang" if seconds > longest else outcome), seconds, memory
            outcome = "hang"
        except EOFError:
            outcome = "died"
        self.process.kill()
        self.process.join()
        self._start()
        return outcome, longest, 0

    def stop(self) -> None:
        """The end."""
        self.process.kill()
        self.process.join()


def count(tally: Tally, name: str, outcome: str, seconds: float, memory: int) -> None:
    """One case more."""
    tally.inputs += 1
    tally.results += outcome == "result"
    tally.clear_errors += outcome == "error"
    tally.hangs += outcome == "hang"
    tally.crashes += outcome not in ("result", "error", "hang")
    tally.too_much_memory += memory > MOST_MEMORY
    tally.most_seconds = round(max(tally.most_seconds, seconds), 2)
    if (outcome not in ("result", "error") or memory > MOST_MEMORY) and len(tally.examples) < EXAMPLES:
        tally.examples.append(f"{name}: {outcome}, {memory / 1e9:.1f} GB")


def attack(config: HostileConfig, quiet: bool = False) -> dict[str, Tally]:
    """All cases; the tallies by kind, and ``left over`` for files outside the cases' folders."""
    tallies = {kind: Tally() for kind in dict.fromkeys(KINDS)}
    cases = [(KINDS[number % len(KINDS)], number) for number in range(config.cases)]
    with tempfile.TemporaryDirectory() as root, tqdm(total=len(cases), disable=quiet) as bar:

        def some(part: int) -> list[tuple[str, str, str, float, int]]:
            return list(_one_after_the_other(cases[part :: config.processes], config.seed, Path(root) / str(part), bar))

        with ThreadPoolExecutor(config.processes) as pool:
            for rows in pool.map(some, range(config.processes)):
                for kind, name, outcome, seconds, memory in rows:
                    count(tallies[kind], name, outcome, seconds, memory)
    return tallies


def _one_after_the_other(
    cases: list[tuple[str, int]], seed: int, home: Path, bar: tqdm
) -> Iterator[tuple[str, str, str, float, int]]:
    worker = Worker()
    home.mkdir()
    try:
        for kind, number in cases:
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
    for kind, tally in tallies.items():
        print(f"{kind:14}", {name: value for name, value in asdict(tally).items() if value})
    wrong = sum(tally.wrong for tally in tallies.values()) + Path("pickle-was-run").exists()
    found = {kind: asdict(tally) for kind, tally in tallies.items()}
    text = json.dumps(
        {"provenance": provenance(torch.device("cpu"), False), "seed": config.seed, "found": found}, indent=1
    )
    if config.output is not None:
        write_text(config.output, text + "\n")
    sys.exit(int(wrong > 0))


if __name__ == "__main__":
    main()
