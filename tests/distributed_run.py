"""What tests/test_benchmark_distributed.py starts with torchrun: a whole run of the benchmark on the fake pipeline.

    torchrun --nproc_per_node 2 tests/distributed_run.py PHOTOS RESULTS [killed] [--resume]

``killed``: the second process is killed in its second batch, as on a machine without memory.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import pytest
import torch

import benchmark.run as runner
import benchmark.runner.provenance
from benchmark.run import BenchmarkConfig, Data, evaluate
from benchmark.runner.distributed import Processes
from benchmark.runner.evaluate import Evaluation
from benchmark.runner.records import Result
from ftim.data import PhotoFile, PhotoSet
from tests.fake_pipeline import FakePipeline, as_pipeline, fake_method, fake_scorer

BATCH_SIZE = 2


def load(folder: Path) -> Data:
    return Data(PhotoSet("fakes", "ours", tuple(PhotoFile(p.stem, p) for p in sorted(folder.iterdir()))), None, False)


def run(photos: Path, results: Path, resume: bool, pipeline: FakePipeline | None = None) -> list[Result]:
    """As ``benchmark.run.run``, on the fake pipeline."""
    pipeline = pipeline or FakePipeline()
    methods = [fake_method(pipeline, "lighter", 0.1), fake_method(pipeline, "same", 0.0)]
    config = BenchmarkConfig(batch_size=BATCH_SIZE, results=results, resume=resume)
    return evaluate(
        config, load(photos), as_pipeline(pipeline), fake_scorer(), methods, torch.device("cpu"), True,
        Processes.current(),
    )  # fmt: skip


def make_quick_and_steady(patch: pytest.MonkeyPatch) -> None:
    """Figures take most of the time, and the code may change meanwhile."""
    patch.setattr(runner, "draw_distributions", lambda results, path: path.touch())
    patch.setattr(benchmark.runner.provenance, "code_hash", lambda: "code")
    patch.setattr(benchmark.runner.provenance, "commit", lambda: "commit")


def kill_in_second_batch() -> None:
    original = Evaluation._evaluate
    begun = 0

    def evaluate_some(self, shared, method) -> None:
        nonlocal begun
        begun += 1
        if begun > 1 and self.processes.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        original(self, shared, method)

    Evaluation._evaluate = evaluate_some  # type: ignore[method-assign]


def main() -> None:
    photos, results, *options = sys.argv[1:]

    def fake_run(config: BenchmarkConfig, quiet: bool = False) -> list[Result]:
        return run(Path(photos), Path(results), "--resume" in options)

    make_quick_and_steady(pytest.MonkeyPatch())
    if "killed" in options:
        kill_in_second_batch()
    runner.run = fake_run
    sys.argv[1:] = ["--results", results]
    runner.main()


if __name__ == "__main__":
    main()
