"""The identity prior that the bake builds into the bases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.bake.open_head.identity import Bases
from scripts.bake.open_head.prior import apply_prior, save_prior, with_prior


def bases() -> Bases:
    rng = np.random.default_rng(0)
    identity = rng.normal(size=(4, 6, 3))
    return Bases(rng.normal(size=(6, 3)), identity, np.array([1.0, 1.0, -1.0, -1.0]), np.zeros((52, 6, 3)))


def test_new_coefficients_mean_the_same_heads(tmp_path: Path):
    raw, rng = bases(), np.random.default_rng(1)
    mean, factor, new = rng.normal(size=4), rng.normal(size=(4, 4)), rng.normal(size=4)
    save_prior(raw, mean, factor, tmp_path / "prior.safetensors")
    learnt = with_prior(raw, tmp_path / "prior.safetensors")
    head = learnt.mean + np.einsum("k,kvc->vc", new, learnt.identity)
    expected = raw.mean + np.einsum("k,kvc->vc", mean + factor @ new, raw.identity)
    np.testing.assert_allclose(head, expected, atol=1e-5)
    np.testing.assert_allclose(apply_prior(raw, mean, factor).identity, learnt.identity, atol=1e-5)


def test_prior_of_other_components_is_refused(tmp_path: Path):
    raw = bases()
    save_prior(raw, np.zeros(4), np.eye(4), tmp_path / "prior.safetensors")
    other = Bases(raw.mean, raw.identity * 1.1, raw.identity_mirror, raw.expression)
    with pytest.raises(ValueError, match=r"scripts\.bake\.refine_head"):
        with_prior(other, tmp_path / "prior.safetensors")


def test_without_a_file_nothing_changes(tmp_path: Path):
    raw = bases()
    assert with_prior(raw, tmp_path / "absent.safetensors") is raw
