"""What ``benchmark/speed.py`` times from outside: the command line from cold, alone and two at once, and its memory."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ftim.data import load_portraits
from ftim.errors import FtimError

TOGETHER = 20
"""Photographs that each of two processes gets."""


@dataclass(frozen=True)
class Ran:
    """One process."""

    seconds: float
    megabytes: float
    """Resident at most."""


def command_line(photos: list[Path], folder: Path) -> list[str]:
    """``ftim reconstruct`` of these."""
    return [sys.executable, "-m", "ftim.cli", "reconstruct", *map(str, photos), "-o", str(folder)]


def ran(*commands: list[str]) -> list[Ran]:
    """Of commands that start together. Raises ``FtimError`` when one fails."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        processes = [subprocess.Popen(c, stdout=subprocess.DEVNULL, stderr=errors) for c in commands]
        peaks, ends = [0.0] * len(processes), [0.0] * len(processes)
        while not all(ends):
            for number, process in enumerate(processes):
                peaks[number] = max(peaks[number], _resident(process.pid))
                if not ends[number] and process.poll() is not None:
                    ends[number] = time.perf_counter() - started
            time.sleep(0.02)
        if any(process.returncode for process in processes):
            errors.seek(0)
            raise FtimError(f"a process failed: {errors.read()[-500:]}")
    return [Ran(*pair) for pair in zip(ends, peaks, strict=True)]


def _resident(pid: int) -> float:
    """MB of a process at most since its program began; 0 when it has ended. Linux only."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    except OSError:
        return 0.0
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def measure_processes() -> dict[str, float]:
    """Seconds and megabytes of the command line for one photograph; for 20, alone and two at once, and the ratio."""
    photos = [photo.path for photo in load_portraits("test").photos[:TOGETHER]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ran(command_line(photos[:1], folder / "warm"))
        cold = min((ran(command_line(photos[:1], folder / f"one{i}"))[0] for i in range(3)), key=lambda r: r.seconds)
        (alone,) = ran(command_line(photos, folder / "alone"))
        both = ran(command_line(photos, folder / "first"), command_line(photos, folder / "second"))
    slowest = max(item.seconds for item in both)
    return {
        "one photograph, seconds": round(cold.seconds, 2),
        "one photograph, megabytes": round(cold.megabytes),
        f"{TOGETHER} photographs alone, seconds": round(alone.seconds, 2),
        f"{TOGETHER} photographs, megabytes": round(alone.megabytes),
        f"{TOGETHER} photographs beside another process, seconds": round(slowest, 2),
        "beside another process / alone": round(slowest / alone.seconds, 2),
    }
