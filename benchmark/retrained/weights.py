"""Weights of the baselines on disk, which name the albedo basis they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.retrained.appearance import HeadPainter
from benchmark.retrained.basis import BASIS_PATH, load_basis
from benchmark.retrained.build import build_baseline
from benchmark.retrained.model import Baseline
from ftim.assets import sha256_of
from ftim.network_files import NetworkFileKind, read_about, read_network, save_network

VERSION = 1
KIND = NetworkFileKind(
    "weights of a baseline", VERSION, "this code",
    "Take it from the repository again, or train it: python -m benchmark.retrained.train",
)  # fmt: skip
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
    """See ``save_network``."""
    save_network(path, state, {"version": VERSION, "training": training})


def read_training(path: Path) -> dict[str, Any]:
    """What a file says of its training. Raises ``ModelFileError`` when it cannot be read."""
    about = read_about(path, KIND)
    with KIND.reading(path):
        return dict(about["training"])


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
    file = read_network(path, KIND)
    with KIND.reading(path):
        training = dict(file.about["training"])
        name, basis_hash = str(training["name"]), training["basis"]
    basis = load_basis(basis_path)
    if basis_hash != sha256_of(basis_path):
        raise file.wrong(f"belongs to another albedo basis than {basis_path}")
    with KIND.reading(path), torch.random.fork_rng(devices=[]):
        model = build_baseline(name, basis, painter)
    model.load_state_dict(file.state_for(model, f"networks of {name}"))
    return LoadedBaseline(model.eval().requires_grad_(False), training)
