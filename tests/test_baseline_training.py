"""Training of baselines: its plan, resuming, errors; and weights on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from benchmark.methods.base import note_of
from benchmark.retrained.basis import BASIS_PATH, save_basis
from benchmark.retrained.build import BASELINES
from benchmark.retrained.config import WARM_UP, BaselineConfig
from benchmark.retrained.training import TERMS, BaselineTrainer
from benchmark.retrained.weights import baseline_path, history, load_baseline, save_baseline, total_steps
from ftim.assets import sha256_of
from ftim.completion.weights import load_weights, weights_path
from ftim.errors import ModelFileError, SettingsError, TrainingError
from ftim.training.log import TrainingLog, read_log
from ftim.training.sampling import Sampler
from tests.small_school import basis, painter, school

SHIPPED_LIMIT = 30e6


def config(folder: Path, **changes: Any) -> BaselineConfig:
    values: dict[str, Any] = {"name": "deca", "steps": 2, "detail_steps": 1, "warm_steps": 1, "warm_batch": 2}
    return BaselineConfig(**values | {"rising": 1, "output": folder, "checkpoint_every": 1} | changes)


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingLog, "draw", lambda _: None)


def test_the_plan_has_the_warm_up_first_and_each_stage_after_it(tmp_path: Path) -> None:
    plan = config(tmp_path, steps=5, detail_steps=3, warm_steps=2)
    stages = [plan.stage_at(step, ("coarse", "detail")) for step in range(10)]
    assert [stage for stage, _, _ in stages] == [WARM_UP] * 2 + ["coarse"] * 5 + ["detail"] * 3
    assert stages[0] == (WARM_UP, 0, 2) and stages[6] == ("coarse", 4, 5) and stages[9] == ("detail", 2, 3)
    with pytest.raises(IndexError):
        plan.stage_at(10, ("coarse", "detail"))
    with pytest.raises(SettingsError, match="without --initial"):
        config(tmp_path, steps=0)
    with pytest.raises(SettingsError, match="at least 0"):
        config(tmp_path, detail_steps=-1)


def test_a_stopped_run_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole = BaselineTrainer(config(tmp_path / "whole"), school(), quiet=True)
    whole.run()
    first = BaselineTrainer(config(tmp_path / "parts"), school(), quiet=True)
    for _ in range(2):
        first._step()
    first.save()
    second = BaselineTrainer(config(tmp_path / "parts", resume=True), school(), quiet=True)
    assert second.done == 2
    second.run()
    for name, value in whole.average.items():
        assert torch.equal(value, second.average[name]), name
    rows = [read_log(tmp_path / part / "deca" / "log.csv", TERMS) for part in ("whole", "parts")]
    assert [row["total"] for row in rows[0]] == [row["total"] for row in rows[1]] and len(rows[0]) == 4


def test_the_detail_stage_leaves_the_coarse_one_alone(tmp_path: Path) -> None:
    trainer = BaselineTrainer(config(tmp_path), school(), quiet=True)
    for _ in range(3):
        trainer._step()
    coarse = [value.detach().clone() for value in trainer.model.learnt_in("coarse")]
    detail = [value.detach().clone() for value in trainer.model.learnt_in("detail")]
    trainer._step()
    assert all(torch.equal(a, b) for a, b in zip(coarse, trainer.model.learnt_in("coarse"), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(detail, trainer.model.learnt_in("detail"), strict=True))


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    trainer = BaselineTrainer(config(tmp_path), school(), quiet=True)
    trainer.save()
    with pytest.raises(TrainingError, match="holds a run already"):
        BaselineTrainer(config(tmp_path), school(), quiet=True)
    with pytest.raises(TrainingError, match="other settings"):
        BaselineTrainer(config(tmp_path, seed=1, resume=True), school(), quiet=True)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = BaselineTrainer(config(tmp_path, warm_steps=0), school(), quiet=True)
    sample = Sampler.__call__

    def spoilt(self: Sampler, step: int) -> Any:
        batch = sample(self, step)
        batch.example.photo.fill_(float("nan"))
        return batch

    monkeypatch.setattr(Sampler, "__call__", spoilt)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    with pytest.raises(TrainingError, match="not a number"):
        trainer.run()
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Path]:
    """Weights of an untrained model, and the basis that they belong to."""
    basis_path, path = tmp_path / "basis.safetensors", tmp_path / "deng.safetensors"
    save_basis(basis(), {"people": "nobody"}, basis_path)
    trainer = BaselineTrainer(config(tmp_path, name="deng"), school(), quiet=True)
    save_baseline(path, trainer.average, {"name": "deng", "basis": sha256_of(basis_path)})
    return path, basis_path


def test_weights_survive_the_disk(saved: tuple[Path, Path]) -> None:
    path, basis_path = saved
    loaded = load_baseline(path, painter(), basis_path)
    assert loaded.model.name == "deng" and not loaded.model.training
    assert not any(value.requires_grad for value in loaded.model.parameters())


def test_a_run_goes_on_from_weights_that_ship(saved: tuple[Path, Path], tmp_path: Path) -> None:
    path, basis_path = saved
    at_work = replace(school(), warm=None, basis_path=basis_path)
    changes: dict[str, Any] = {"name": "deng", "initial": path, "warm_steps": 0, "seed": 5}
    trainer = BaselineTrainer(config(tmp_path / "more", **changes), at_work, quiet=True)
    start = load_baseline(path, painter(), basis_path).model.state_dict()
    assert all(torch.equal(value, start[name]) for name, value in trainer.model.state_dict().items())
    trainer.run()
    assert trainer.done == 2 and trainer.config.recorded()["initial"] == sha256_of(path)
    with pytest.raises(TrainingError, match="weights of deng, not of chen"):
        BaselineTrainer(config(tmp_path / "other", **changes | {"name": "chen"}), at_work, quiet=True)


def test_steps_of_all_runs_count() -> None:
    first = {"steps": 10, "warm_steps": 5, "warm_batch": 12, "detail_steps": 3, "stages": ["coarse", "detail"]}
    first |= {"seed": 0, "learning_rate": 1e-4, "minutes": 1.0, "commit": "a" * 40}
    second = first | {"warm_steps": 0, "before": history(first)}
    assert total_steps(first) == 18 and total_steps(second) == 31 and len(history(second)) == 2


@pytest.mark.parametrize("harm", ["truncated", "missing", "shape", "infinite", "absent", "basis", "name"])
def test_wrong_weights_are_refused(saved: tuple[Path, Path], harm: str) -> None:
    path, basis_path = saved
    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    name = "albedo.head.weight"
    if harm == "truncated":
        path.write_bytes(path.read_bytes()[:-64])
    elif harm == "absent":
        path.unlink()
    elif harm == "name":
        about = json.loads(metadata["about"])
        about["training"]["name"] = "nobody"
        save_file(tensors, str(path), metadata={"about": json.dumps(about)})
    elif harm == "basis":
        metadata["about"] = json.dumps(json.loads(metadata["about"]) | {"training": {"name": "deng", "basis": "other"}})
        save_file(tensors, str(path), metadata=metadata)
    else:
        changed = {"shape": tensors[name][:1].clone(), "infinite": torch.full_like(tensors[name], float("inf"))}
        tensors.pop(name)
        if harm in changed:
            tensors[name] = changed[harm]
        save_file(tensors, str(path), metadata=metadata)
    expected = {"missing": name, "shape": name, "infinite": "not finite", "basis": "another albedo basis"}
    with pytest.raises(ModelFileError, match=rf"deng.safetensors.*{expected.get(harm, 'cannot be read')}"):
        load_baseline(path, painter(), basis_path)


@pytest.mark.parametrize("name", BASELINES)
def test_shipped_weights_load_and_have_a_card(name: str) -> None:
    path = baseline_path(name)
    training = load_baseline(path, painter()).training
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert path.stat().st_size <= SHIPPED_LIMIT and sha256_of(path) in card
    assert "celeba" not in json.dumps(training).lower()
    if not note_of(name):  # those of earlier data had as many steps as ours of those days
        ours = load_weights(weights_path("ftim")).training
        assert total_steps(training) >= ours["steps"] + ours.get("steps before", 0)
    assert total_steps(training) >= 3600
    assert all(word in card for word in ("never CelebA", "## Limits", "## Who may be harmed", training["commit"]))


def test_the_shipped_basis_has_a_card() -> None:
    card = BASIS_PATH.with_suffix(".md").read_text(encoding="utf-8")
    assert BASIS_PATH.stat().st_size <= SHIPPED_LIMIT and sha256_of(BASIS_PATH) in card
