"""Weights on disk: float16 safetensors that name the albedo basis they belong to. Loading is strict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark.retrained.appearance import HeadPainter
from benchmark.retrained.basis import BASIS_PATH, load_basis
from benchmark.retrained.build import build_baseline
from benchmark.retrained.model import Baseline
from ftim.assets import sha256_of
from ftim.errors import ModelFileError
from ftim.outputs import whole_file

VERSION = 1
FOLDER = BASIS_PATH.parent


@dataclass(frozen=True)
class LoadedBaseline:
    """A baseline ready for use, and what it is."""

    model: Baseline
    """Frozen, in evaluation mode, in float32."""
    training: dict[str, Any]
    """What its training recorded."""


def baseline_path(name: str) -> Path:
    """Of weights that ship; the model card lies beside it as ``<name>.md``."""
    return FOLDER / f"{name}.safetensors"


def save_baseline(path: Path, state: Mapping[str, Tensor], training: dict[str, Any]) -> None:
    """Write in half precision, through a temporary name. The same weights and record give the same bytes."""
    halves = {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in state.items()}
    about = {"version": VERSION, "training": training}
    with whole_file(path) as temporary:
        # One entry only: safetensors writes several in an order that changes from run to run.
        save_file(halves, str(temporary), metadata={"about": json.dumps(about, sort_keys=True)})


def read_training(path: Path) -> dict[str, Any]:
    """What a file says of its training. Raises ``ModelFileError`` when it cannot be read."""
    try:
        with safe_open(str(path), framework="pt") as file:
            training: dict[str, Any] = json.loads((file.metadata() or {})["about"])["training"]
    except Exception as error:  # safetensors raises its own error, OSError, KeyError, TypeError, ValueError
        raise ModelFileError(f"{path} cannot be read as weights of a baseline: {error}") from error
    return training


def history(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Steps and settings of each run that weights have behind them, the first one first."""
    kept = ("steps", "warm_steps", "warm_batch", "detail_steps", "seed", "learning_rate", "minutes", "commit", "stages")
    return [*training.get("before", []), {name: training[name] for name in kept}]


def total_steps(training: Mapping[str, Any]) -> int:
    """Optimiser steps of all runs: warm-up, main stage, and later stages."""
    later = (run["detail_steps"] * (len(run["stages"]) - 1) for run in history(training))
    return sum(run["steps"] + run["warm_steps"] for run in history(training)) + sum(later)


def load_baseline(path: Path, painter: HeadPainter, basis_path: Path = BASIS_PATH) -> LoadedBaseline:
    """Read weights of ``save_baseline``.

    Raises ``ModelFileError`` when the file or its basis is missing, damaged, of another version, of another basis, or
    does not hold exactly the tensors of its method, all finite.
    """
    remedy = "Take it from the repository again, or train it: python -m benchmark.retrained.train"
    try:
        with safe_open(str(path), framework="pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        version, training = about["version"], dict(about["training"])
        name, basis_hash = str(training["name"]), training["basis"]
    except Exception as error:  # safetensors raises its own error, OSError, KeyError, TypeError, ValueError
        raise ModelFileError(f"{path} cannot be read as weights of a baseline: {error}. {remedy}") from error
    if version != VERSION:
        raise ModelFileError(f"{path} is version {version}, this code reads {VERSION}. {remedy}")
    basis = load_basis(basis_path)
    if basis_hash != sha256_of(basis_path):
        raise ModelFileError(f"{path} belongs to another albedo basis than {basis_path}. {remedy}")
    with torch.random.fork_rng(devices=[]):
        model = build_baseline(name, basis, painter)
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    wrong = sorted(key for key in {*expected, *found} if expected.get(key) != found.get(key))
    if wrong:
        raise ModelFileError(
            f"{path} does not hold the networks of {name}: {', '.join(wrong[:4])} missing, unknown or of another "
            f"shape. {remedy}"
        )
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise ModelFileError(f"{path} holds weights that are not finite. {remedy}")
    model.load_state_dict({key: value.float() for key, value in tensors.items()})
    return LoadedBaseline(model.eval().requires_grad_(False), training)
