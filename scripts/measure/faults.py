"""Runs that are killed, interrupted or cannot write, again and again: nothing half-written, lost or done twice.

    python -m scripts.measure.faults --kills 100

``ftim reconstruct``, ``benchmark/run.py`` and ``ftim train`` are started on a few real photographs, killed with SIGKILL
at random moments, looked at, and resumed until they end; what is there then is compared with a run that nobody
disturbed. Besides: Ctrl-C, and, where this process may mount, a full disk and one that turns read-only. Writes
``results/faults.json``; exits with 1 when anything is wrong.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import tyro
from tqdm import tqdm

from benchmark.runner.provenance import provenance
from benchmark.runner.records import write_text
from scripts.measure.fault_jobs import JOBS, Job, Reconstruct

OUTPUT = Path("results/faults.json")
ROOT = Path(__file__).resolve().parents[2]
LONGEST = 600.0
"""Seconds of one run."""
SHARES = {"reconstruct": 0.5, "benchmark": 0.25, "train": 0.25}
"""Of the kills."""
INTERRUPTED = (130, -signal.SIGINT)
"""To a shell the two are one: Python ends itself by the signal when it came while C code was running a string."""
INTERRUPTS, DISKS = "interrupts", "disks"


@dataclass(frozen=True)
class FaultsConfig:
    """How often."""

    kills: int = 100
    seed: int = 0
    kinds: tuple[str, ...] = (*SHARES, INTERRUPTS, DISKS)
    """Of faults; what ``results/faults.json`` says of others stays."""


@dataclass
class Tally:
    """Of one kind of fault."""

    faults: int = 0
    finished: int = 0
    """Runs that ended well after it."""
    clear_errors: int = 0
    wrong: list[str] = field(default_factory=list)
    """Half-written, lost, doubled or different, a traceback, or a hang."""


def listen_to_interrupts() -> None:
    """Also where a shell started this program in the background, which makes it and its children deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(command: list[str]) -> subprocess.Popen[str]:
    """The program, in a session of its own, so that its children die with it."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, text=True, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=listen_to_interrupts,
    )  # fmt: skip


def finish(command: list[str]) -> tuple[int, str, float]:
    """Run it to its end: exit status, what it said, seconds."""
    began = time.monotonic()
    process = start(command)
    try:
        _, said = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return -1, f"hung for {LONGEST:.0f} s", LONGEST
    return process.returncode, said, time.monotonic() - began


def disturb(command: list[str], after: float, with_signal: signal.Signals) -> tuple[bool, int, str]:
    """Send a signal after so many seconds: whether it came in time, the exit status, what was said."""
    process = start(command)
    try:
        _, said = process.communicate(timeout=after)
        return False, process.returncode, said
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, with_signal) if with_signal == signal.SIGKILL else process.send_signal(with_signal)
        _, said = process.communicate(timeout=LONGEST)
        return True, process.returncode, said


def killed(job: Job, kills: int, rng: random.Random, work: Path) -> Tally:
    """Kill and resume until so many kills have come in time."""
    tally = Tally()
    undisturbed = work / "undisturbed"
    status, said, seconds = finish(job.command(undisturbed, resume=False))
    if status != 0:
        tally.wrong.append(f"the undisturbed run ended with {status}: {said[-300:]}")
        return tally
    with tqdm(total=kills, desc=f"{job.name}: kills") as bar:
        round_of = 0
        while tally.faults < kills:
            output = work / f"round-{round_of}"
            round_of += 1
            for attempt in range(1000):
                resume = job.command(output, resume=attempt > 0)
                hit, status, said = disturb(resume, rng.uniform(0.3, 1.1) * seconds, signal.SIGKILL)
                tally.faults += hit
                bar.update(hit)
                tally.wrong += job.half_written(output)
                if not hit or tally.faults >= kills:
                    break
            if hit:
                status, said, _ = finish(job.command(output, resume=True))
            if status != 0 or "Traceback" in said:
                tally.wrong.append(f"a resumed run ended with {status}: {said[-300:]}")
            else:
                tally.finished += 1
                tally.wrong += [*job.half_written(output), *job.differs(output, undisturbed)]
            shutil.rmtree(output, ignore_errors=True)
    return tally


def interrupted(job: Reconstruct, rng: random.Random, work: Path, count: int = 10) -> Tally:
    """Ctrl-C: a line, the exit status of an interrupt, and all is whole."""
    tally = Tally()
    for number in range(count):
        output = work / f"interrupted-{number}"
        hit, status, said = disturb(job.command(output, resume=False), rng.uniform(3, 9), signal.SIGINT)
        if not hit:
            continue
        tally.faults += 1
        clear = status in INTERRUPTED and "Traceback" not in said
        tally.clear_errors += clear
        if not clear:
            tally.wrong.append(f"Ctrl-C ended with {status}: {said[-300:]}")
        tally.wrong += job.half_written(output)
        if list(output.rglob(".ftim-*")):
            tally.wrong.append("Ctrl-C left something unfinished behind")
    return tally


def cannot_write(job: Reconstruct, work: Path) -> Tally | None:
    """A disk that fills and one that is read-only; None where this process may not mount."""
    tally = Tally()
    disk = work / "disk"
    disk.mkdir()
    for options, kind in (("size=1200k", "full"), ("ro", "read-only")):
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], capture_output=True).returncode:
            return None
        try:
            status, said, _ = finish(job.command(disk / "out", resume=False))
            tally.faults += 1
            clear = status == 1 and "Traceback" not in said and "cannot be written" in said
            tally.clear_errors += clear
            if not clear:
                tally.wrong.append(f"a {kind} disk ended with {status}: {said[-300:]}")
            tally.wrong += job.half_written(disk / "out")
        finally:
            subprocess.run(["umount", disk], check=True)
    return tally


def main() -> None:
    """All faults; the table."""
    config = tyro.cli(FaultsConfig, description=__doc__)
    rng = random.Random(config.seed)
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name, job in JOBS.items():
            if name in config.kinds:
                kills = round(config.kills * SHARES[name])
                tallies[f"{name}: kill -9"] = killed(job.build(work), kills, rng, work / name)
        photos = Reconstruct.build(work)
        if INTERRUPTS in config.kinds:
            tallies["reconstruct: Ctrl-C"] = interrupted(photos, rng, work)
        if DISKS in config.kinds and (disk := cannot_write(photos, work)) is not None:
            tallies["reconstruct: full and read-only disk"] = disk
    about = provenance(torch.device("cpu"), False)
    before = json.loads(OUTPUT.read_text(encoding="utf-8"))["faults"] if OUTPUT.is_file() else {}
    found = before | {name: asdict(tally) | {"code": about["code"]} for name, tally in tallies.items()}
    text = json.dumps({"provenance": about, "faults": found}, indent=1)
    print(text)
    wrong = any(tally.wrong for tally in tallies.values())
    write_text(OUTPUT, text + "\n")
    sys.exit(int(wrong))


if __name__ == "__main__":
    main()
