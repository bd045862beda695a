"""The identity prior that photographs showed: mean and spread of real people in the baked components.

MakeHuman's heads are drawn with any proportions, so their spread is wider than, and their mean beside, that of
people. ``scripts/bake/refine_head.py`` estimates both from fits; here they are built into the bases, so that
coefficients are again in standard deviations around 0.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from scripts.bake.open_head.identity import Bases

PRIOR = Path(__file__).parent / "identity_prior.safetensors"


def with_prior(bases: Bases, path: Path = PRIOR) -> Bases:
    """Bases around the mean person, one unit a standard deviation of people; as they are when there is no file.

    Raises ``ValueError`` when the prior was estimated for other components.
    """
    if not path.exists():
        return bases
    tensors = load_file(path)
    mark = fingerprint(bases)
    if mark.shape != tensors["fingerprint"].shape or not np.allclose(
        mark, tensors["fingerprint"], rtol=1e-3, atol=1e-6
    ):
        raise ValueError(f"{path} belongs to other identity components; run python -m scripts.bake.refine_head again")
    return apply_prior(bases, tensors["mean"].astype(np.float64), tensors["factor"].astype(np.float64))


def apply_prior(bases: Bases, mean: np.ndarray, factor: np.ndarray) -> Bases:
    """Raw coefficients are ``mean + factor @ new``; both keep symmetric and antisymmetric components apart."""
    identity = np.einsum("kj,kvc->jvc", factor, bases.identity)
    return dataclasses.replace(bases, mean=bases.mean + np.einsum("k,kvc->vc", mean, bases.identity), identity=identity)


def save_prior(bases: Bases, mean: np.ndarray, factor: np.ndarray, path: Path = PRIOR) -> None:
    """Write the prior of these raw bases, in single precision."""
    tensors = {"mean": mean, "factor": factor, "fingerprint": fingerprint(bases)}
    save_file({name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()}, path)


def fingerprint(bases: Bases) -> np.ndarray:
    """(K,) one number a component: its size."""
    return np.sqrt(np.square(bases.identity).sum((1, 2)))
