"""Timing of one thing after the other, in one process: medians, and ratios to a yardstick of the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

YARDSTICK = "yardstick"
"""A fixed piece of work of PyTorch: times of two machines, or of two days, are compared in its units."""


@dataclass(frozen=True)
class Stage:
    """One thing that is timed."""

    name: str
    run: Callable[[], object]
    photos: int = 1
    """How many photographs one run works on."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds a photograph."""

    name: str
    median: float
    fastest: float
    runs: int
    photos: int


def yardstick() -> Stage:
    """Convolutions, a matrix product and passes over memory, some ten milliseconds of them."""
    generator = torch.Generator().manual_seed(0)
    image, kernel = torch.rand(1, 32, 128, 128, generator=generator), torch.rand(32, 32, 3, 3, generator=generator)
    square, large = torch.rand(512, 512, generator=generator), torch.rand(3, 1024, 1024, generator=generator)

    def work() -> None:
        for _ in range(4):
            torch.nn.functional.conv2d(image, kernel, padding=1)
            square @ square
            (large * 0.5).exp()

    return Stage(YARDSTICK, work)


def measure(stage: Stage, repeats: int, seconds: float, device: str = "cpu") -> Timing:
    """The median of ``repeats`` runs after one that does not count; no further run begins after ``seconds``."""
    chosen = torch.device(device)
    started = time.perf_counter()
    _timed(stage, chosen)
    times: list[float] = []
    while len(times) < repeats and (not times or time.perf_counter() - started < seconds):
        times.append(_timed(stage, chosen) * 1000 / stage.photos)
    return Timing(stage.name, statistics.median(times), min(times), len(times), stage.photos)


@torch.no_grad()
def _timed(stage: Stage, device: torch.device) -> float:
    """Seconds of one run, to the end of what it has started on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    stage.run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def in_yardsticks(timings: list[Timing]) -> dict[str, float]:
    """Each time over the yardstick's; empty where that was not measured."""
    medians = {timing.name: timing.median for timing in timings}
    unit = medians.pop(YARDSTICK, 0.0)
    return {name: round(value / unit, 2) for name, value in medians.items()} if unit else {}
