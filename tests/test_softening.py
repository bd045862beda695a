"""Detail is softened by a rule, in the gains of the bands alone, and the committed weights say by how much."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmark.tables import RESULTS
from ftim.completion.bands import BAND_RADII
from ftim.completion.settings import IMAGE_TO_IMAGE
from ftim.completion.weights import SHIPPED, load_weights, save_weights, weights_path
from ftim.training.checkpoint import Checkpoint
from ftim.training.initial import read_initial, softened
from scripts.choose_softening import AMOUNTS, SEEN_AMOUNTS, choose, choose_seen, name_of
from tests.tiny_training import FORM, tiny_network


def test_only_the_gains_of_bands_are_lowered() -> None:
    state = tiny_network(FORM).state_dict()
    less = softened(state, 0.75)
    assert less.keys() == state.keys()
    change = state["to_gains.bias"] - less["to_gains.bias"]
    assert change.tolist() == pytest.approx([0.75] * len(BAND_RADII) + [0] * (1 + len(BAND_RADII)), abs=1e-6)
    assert all(torch.equal(less[name], value) for name, value in state.items() if name != "to_gains.bias")
    assert softened(state, 0) is state


def test_gains_of_seen_skin_have_an_amount_of_their_own() -> None:
    state = tiny_network(FORM).state_dict()
    change = state["to_gains.bias"] - softened(state, 0.5, 2.0)["to_gains.bias"]
    bands = len(BAND_RADII)
    assert change.tolist() == pytest.approx([0.5] * bands + [0] + [2.0] * bands, abs=1e-6)


def test_training_goes_on_from_what_was_learnt_not_from_what_was_softened(tmp_path: Path) -> None:
    state = tiny_network(FORM).state_dict()
    path = tmp_path / "weights.safetensors"
    training = {"steps": 7, "steps before": 5, "softened": 0.5, "softened seen": 2.0}
    save_weights(path, softened(state, 0.5, 2.0), FORM, training)
    initial = read_initial(path)
    assert initial.steps == 12
    for name, value in state.items():
        assert torch.allclose(initial.state[name], value, rtol=2e-3, atol=2e-3), name


def test_a_checkpoint_knows_the_steps_before_its_own(tmp_path: Path) -> None:
    state = tiny_network(FORM).state_dict()
    Checkpoint(3, "", {}, state, state, {}, 0.0).write(tmp_path / "checkpoint.pt")
    assert read_initial(tmp_path / "checkpoint.pt").steps == 3
    (tmp_path / "config.json").write_text('{"steps before": 40}')
    assert read_initial(tmp_path / "checkpoint.pt").steps == 43


def test_a_form_without_gains_stays_as_it_is() -> None:
    state = {"stem.bias": torch.zeros(3)}
    assert softened(state, 1) is state


def scores(*lpips: float) -> dict[str, dict[str, float]]:
    return {name_of(amount): {"lpips": value} for amount, value in zip(AMOUNTS, lpips, strict=True)}


def test_the_largest_amount_below_mirroring_is_chosen() -> None:
    mirror = {"mirror": {"lpips": 0.05}}
    assert choose(scores(0.04, 0.041, 0.045, 0.05) | mirror) == AMOUNTS[2]
    assert choose(scores(*[0.06] * len(AMOUNTS)) | mirror) == 0
    seen = {name_of(1, amount): {"lpips": 0.048 + 0.001 * amount} for amount in SEEN_AMOUNTS} | mirror
    assert choose_seen(seen, 1) == 1.0


def test_the_shipped_weights_are_softened_as_was_measured() -> None:
    report = json.loads((RESULTS / "softening.json").read_text(encoding="utf-8"))
    assert report["chosen"] == choose(report["unseen skin"])
    assert report["chosen for seen skin"] == choose_seen(report["face"], report["chosen"])
    for name in SHIPPED:
        loaded = load_weights(weights_path(name))
        expected = None if loaded.settings == IMAGE_TO_IMAGE else report["chosen"]
        assert loaded.training.get("softened") == expected
        if loaded.settings.correct_seen:
            assert loaded.training["softened seen"] == report["chosen for seen skin"]
