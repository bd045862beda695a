"""Comparing forms: only runs that were trained alike stand in one table, and each with its own averaged weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

import benchmark.forms as forms
from benchmark.forms import FormsConfig, FormsTable, averaged, run
from benchmark.methods import CompletionMethod
from benchmark.run import RunError
from benchmark.runner.scoring import Scorer
from benchmark.tables.pages import RESULTS
from ftim.completion.ftim import FtimCompletion
from ftim.completion.painting import PaintingCompletion
from ftim.errors import TrainingError
from ftim.pipeline import Pipeline
from ftim.training.checkpoint import Checkpoint
from tests.test_completion import renderer, template
from tests.tiny_training import tiny_config, tiny_network


class TexturePart:
    """What ``averaged`` asks of a pipeline."""

    uv = renderer()
    template = template()
    device = torch.device("cpu")


def write(folder: Path, preset: str, step: int = 40, seed: int = 0) -> Path:
    """A run's folder."""
    config = tiny_config(folder, preset=preset, seed=seed)
    state = tiny_network(config.form, seed=len(preset)).state_dict()
    zeros = {name: torch.zeros_like(value) for name, value in state.items()}
    Checkpoint(step, config.fingerprint(), config.recorded(), zeros, state, {}, 1.0).write(folder / "checkpoint.pt")
    return folder


def test_each_form_has_its_own_averaged_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tuple(write(tmp_path / name, name) for name in ("ftim_paper", "ftim"))
    seen: list[tuple[FormsTable, list[CompletionMethod]]] = []

    def evaluate(table: FormsTable, *rest: Any) -> None:
        seen.append((table, rest[3]))

    monkeypatch.setattr(forms, "evaluate", evaluate)
    monkeypatch.setattr(forms, "load_data", lambda table: None)
    monkeypatch.setattr(Pipeline, "build", lambda device: TexturePart())
    monkeypatch.setattr(Scorer, "build", lambda device: None)
    run(FormsConfig(runs), quiet=True)
    ((table, methods),) = seen
    assert (table.table_name, table.folder, table.dataset, table.chosen_protocol) == (
        "forms", RESULTS, "frll", "cross-view",
    )  # fmt: skip
    assert table.recorded()["steps"] == 40 and table.recorded()["seed"] == 0
    assert [(method.name, method.source) for method in methods] == [("ftim_paper", "retrained"), ("ftim", "retrained")]
    for method, path in zip(methods, runs, strict=True):
        completion = cast(FtimCompletion, method.completion)
        average = Checkpoint.read(path / "checkpoint.pt").average
        assert all(torch.equal(average[name], value) for name, value in completion.network.state_dict().items())


def test_a_form_is_the_one_that_its_run_recorded(tmp_path: Path) -> None:
    checkpoint = Checkpoint.read(write(tmp_path, "ftim_divide") / "checkpoint.pt")
    method = averaged(checkpoint, cast(Pipeline, TexturePart()))
    completion = cast(PaintingCompletion, method.completion)
    assert (completion.settings.lighting, completion.settings.keep_seen) == ("divide", False)


@pytest.mark.parametrize("other", [{"step": 20}, {"seed": 1}])
def test_runs_that_differ_in_more_than_form_are_refused(other: dict[str, int], tmp_path: Path) -> None:
    runs = (write(tmp_path / "a", "ftim"), write(tmp_path / "b", "ftim_paper", **other))
    with pytest.raises(RunError, match="equally many steps"):
        run(FormsConfig(runs), quiet=True)


def test_an_unfinished_run_and_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="equally many steps"):
        run(FormsConfig((write(tmp_path / "a", "ftim", step=20),)), quiet=True)
    with pytest.raises(RunError, match="no run"):
        run(FormsConfig(()), quiet=True)
    with pytest.raises(TrainingError, match="no checkpoint"):
        run(FormsConfig((tmp_path / "none",)), quiet=True)


def test_results_of_a_part_go_elsewhere() -> None:
    table = FormsTable(dataset="frll", limit=1)
    assert table.folder != RESULTS and replace(table, limit=None, publish=True).folder == RESULTS
