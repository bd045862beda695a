"""Score the forms of FTIM, trained alike, where nothing can be copied: cross-view on FRLL's validation people.

    ftim train --preset ftim_paper --steps 400 --output runs/forms      # and ftim_divide, ftim_keep_seen, ftim ...
    python benchmark/forms.py runs/forms/* --data ../data               # writes results/forms

What each form is: ftim/completion/settings.py; what they show: docs/decisions.md, S25.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

if __name__ == "__main__":  # started as a file, Python looks for modules beside it and not in the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch
import tyro

from benchmark.methods import CompletionMethod, Method
from benchmark.run import BenchmarkConfig, RunError, evaluate, load_data
from benchmark.runner.scoring import Scorer
from benchmark.tables.pages import RESULTS
from ftim.build import network_completion
from ftim.completion.network import TextureNetwork
from ftim.completion.settings import settings_from_json
from ftim.errors import FtimError
from ftim.pipeline import Pipeline
from ftim.training.checkpoint import Checkpoint

TABLE = "forms"


@dataclass(frozen=True)
class FormsConfig:
    """Settings of ``forms.py``."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of finished runs of ``ftim train``, of equally many steps."""
    data: Path | None = None
    """Folder of the Face Research Lab London Set; by default under FTIM_DATA."""
    limit: int | None = None
    """Only the first so many triplets; then the results go to runs/benchmark/."""
    results: Path | None = None
    """Where to write; by default results/."""
    resume: bool = False
    """Go on after an interruption."""


@dataclass(frozen=True)
class FormsTable(BenchmarkConfig):
    """A table of its own beside that of ``--dataset frll``."""

    steps: int = 0
    """That every form was trained for."""
    seed: int = 0

    @property
    def table_name(self) -> str:
        return TABLE

    def recorded(self) -> dict[str, Any]:
        return super().recorded() | {"steps": self.steps, "seed": self.seed}


def averaged(checkpoint: Checkpoint, pipeline: Pipeline) -> CompletionMethod:
    """The form of a run with its averaged weights."""
    about = checkpoint.recorded
    settings = settings_from_json(about["form"])
    network = TextureNetwork(settings.network)
    network.load_state_dict(checkpoint.average)
    network = network.eval().requires_grad_(False).to(pipeline.device)
    completion = network_completion(about["preset"], pipeline.uv, pipeline.template, network, settings)
    return CompletionMethod(about["preset"], "retrained", completion, pipeline)


def run(config: FormsConfig, quiet: bool = False) -> None:
    """Score and write. Raises ``RunError`` for runs that cannot be compared, ``TrainingError`` for damaged ones."""
    checkpoints = [Checkpoint.read(folder / "checkpoint.pt") for folder in config.runs]
    if not checkpoints:
        raise RunError("no run given: name the folders that ftim train has written")
    alike = {(item.step, item.recorded["steps"], item.recorded["seed"]) for item in checkpoints}
    if len(alike) > 1 or any(done != planned for done, planned, _ in alike):
        raise RunError(f"forms are compared after equally many steps and with one seed; got {sorted(alike)}")
    ((steps, _, seed),) = alike
    table = FormsTable(
        dataset="frll", data=config.data, limit=config.limit, resume=config.resume, steps=steps, seed=seed,
        results=config.results if config.results or config.limit else RESULTS,
    )  # fmt: skip
    data = load_data(table)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pipeline = Pipeline.build(str(device))
    methods: list[Method] = [averaged(checkpoint, pipeline) for checkpoint in checkpoints]
    evaluate(table, data, pipeline, Scorer.build(device), methods, device, quiet)


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(FormsConfig, description=__doc__)
    try:
        run(config)
    except FtimError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
