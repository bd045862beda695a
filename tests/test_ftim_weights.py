"""Weights on disk: the same numbers come back, or the loader says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ftim.assets import sha256_of
from ftim.build import COMPLETIONS, DEFAULT_COMPLETION, build_completion, load_completion, network_completion
from ftim.completion import FtimCompletion, PaintingCompletion
from ftim.completion.settings import FULL, IMAGE_TO_IMAGE, PAPER, Settings, settings_to_json
from ftim.completion.weights import SHIPPED, WEIGHTS_VERSION, load_weights, save_weights, weights_path
from ftim.errors import ModelFileError
from tests.test_completion import fit, person, photograph, renderer, template, views
from tests.tiny_training import FORM, WIDTHS, tiny_network

TRAINING = {"steps": 40, "preset": "ftim", "losses": {"id_mrf": 0.02}, "sources": ["frll"]}
LARGEST = 30e6
"""Bytes of a file in this repository."""

State = dict[str, Tensor]
About = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Good weights."""
    path = tmp_path / "weights.safetensors"
    save_weights(path, tiny_network(FORM).state_dict(), FORM, TRAINING)
    return path


def contents(path: Path) -> tuple[State, About]:
    with safe_open(str(path), framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
        return tensors, json.loads(file.metadata()["about"])


def rewrite(path: Path, tensors: State, about: About) -> None:
    save_file(tensors, str(path), metadata={"about": json.dumps(about)})


@pytest.mark.parametrize(
    "settings",
    [FORM, replace(PAPER, size=64, widths=WIDTHS), replace(IMAGE_TO_IMAGE, size=64, widths=(8, 8, 8, 8))],
)
def test_weights_come_back_rounded_to_half(settings: Settings, tmp_path: Path) -> None:
    network = tiny_network(settings)
    save_weights(tmp_path / "new" / "w.safetensors", network.state_dict(), settings, TRAINING)
    loaded = load_weights(tmp_path / "new" / "w.safetensors")
    assert (loaded.settings, loaded.training) == (settings, TRAINING)
    assert not loaded.network.training and not any(p.requires_grad for p in loaded.network.parameters())
    state = loaded.network.state_dict()
    assert state.keys() == network.state_dict().keys()
    for name, value in network.state_dict().items():
        assert state[name].dtype == torch.float32
        assert torch.equal(state[name], value.half().float()), name
        assert float((state[name] - value).abs().max()) <= 2**-11 * float(value.abs().max()) + 1e-7


def test_the_same_weights_give_the_same_bytes(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    state = tiny_network(FORM).state_dict()
    save_weights(again, dict(reversed(state.items())), FORM, dict(reversed(TRAINING.items())))
    assert again.read_bytes() == path.read_bytes()
    loaded = load_weights(path)
    save_weights(again, loaded.network.state_dict(), loaded.settings, loaded.training)
    assert again.read_bytes() == path.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again.safetensors", "weights.safetensors"]


def test_loading_draws_no_random_number(path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_weights(path)
    assert torch.equal(torch.rand(3), expected)


def missing_tensor(tensors: State, _: About) -> None:
    del tensors["to_free.bias"]


def extra_tensor(tensors: State, _: About) -> None:
    tensors["to_hair.bias"] = torch.zeros(3)


def other_shape(tensors: State, _: About) -> None:
    tensors["to_free.bias"] = torch.zeros(11)


def not_a_number(tensors: State, _: About) -> None:
    tensors["stem.weight"][0, 0, 0, 0] = float("nan")


def infinite(tensors: State, _: About) -> None:
    tensors["stem.bias"][1] = float("inf")


def later_version(_: State, about: About) -> None:
    about["version"] = WEIGHTS_VERSION + 1


def first_version(_: State, about: About) -> None:
    """Its settings had no form, and switches that are gone."""
    about["version"] = 1
    del about["settings"]["form"]
    about["settings"] |= {"symmetric_prior": True, "correct_seen": True}


def no_version(_: State, about: About) -> None:
    del about["version"]


def another_form(_: State, about: About) -> None:
    about["settings"] = settings_to_json(replace(PAPER, size=64, widths=WIDTHS))


def unknown_form(_: State, about: About) -> None:
    about["settings"]["form"] = "correcting"


def unknown_setting(_: State, about: About) -> None:
    about["settings"]["colour"] = True


def setting_of_the_other_form(_: State, about: About) -> None:
    about["settings"]["keep_seen"] = True


def unknown_lighting(_: State, about: About) -> None:
    about["settings"] = settings_to_json(PAPER) | {"lighting": "dividf"}


def too_few_levels(_: State, about: About) -> None:
    about["settings"]["widths"] = [8, 8]


def no_training(_: State, about: About) -> None:
    about["training"] = None


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (missing_tensor, r"to_free\.bias missing"),
        (extra_tensor, r"to_hair\.bias missing, unknown"),
        (other_shape, r"to_free\.bias missing, unknown or of another shape"),
        (not_a_number, "not finite"),
        (infinite, "not finite"),
        (later_version, "version 3, this ftim reads 2"),
        (first_version, "version 1, this ftim reads 2"),
        (no_version, "cannot be read"),
        (another_form, "does not hold the network"),
        (unknown_form, "cannot be read.*correcting"),
        (unknown_setting, "colour"),
        (setting_of_the_other_form, "keep_seen"),
        (unknown_lighting, "dividf"),
        (too_few_levels, "three levels"),
        (no_training, "cannot be read"),
    ],
)
def test_wrong_weights_are_refused(path: Path, damage: Callable[[State, About], None], says: str) -> None:
    tensors, about = contents(path)
    rewrite(path, tensors, about)
    load_weights(path)
    damage(tensors, about)
    rewrite(path, tensors, about)
    with pytest.raises(ModelFileError, match=says) as error:
        load_weights(path)
    assert str(path) in str(error.value) and "ftim train" in str(error.value)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_truncated_weights_are_refused(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelFileError, match=r"weights\.safetensors cannot be read"):
        load_weights(path)


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"nowhere\.safetensors cannot be read.*ftim train"):
        load_weights(tmp_path / "nowhere.safetensors")
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(3)}, str(foreign))
    with pytest.raises(ModelFileError, match=r"foreign\.safetensors"):
        load_weights(foreign)
    foreign.write_text("a text")
    with pytest.raises(ModelFileError, match=r"foreign\.safetensors"):
        load_weights(foreign)


@torch.no_grad()
def test_completion_of_your_own_weights(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTIM_PRECISION", "float32")
    of = fit()
    partial = photograph(person(), views()["half"], of)
    network = tiny_network(FORM)
    network.load_state_dict({name: value.half().float() for name, value in network.state_dict().items()})
    expected = network_completion("mine", renderer(), template(), network, FORM)(partial, of)
    mine = load_completion(path, renderer(), template(), "mine")
    found = mine(partial, of)
    assert mine.name == "mine" and torch.allclose(found.albedo, expected.albedo, atol=1e-6)
    assert torch.allclose(found.residual, expected.residual, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "kind"), [(FORM, FtimCompletion), (replace(PAPER, size=64, widths=WIDTHS), PaintingCompletion)]
)
def test_settings_of_the_file_choose_the_form(settings: Settings, kind: type, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(path, tiny_network(settings).state_dict(), settings, TRAINING)
    assert type(load_completion(path, renderer(), template())) is kind


def test_names_of_completions() -> None:
    assert DEFAULT_COMPLETION == "ftim" == COMPLETIONS[0]
    assert len(set(COMPLETIONS)) == len(COMPLETIONS) and set(SHIPPED) < set(COMPLETIONS)
    with pytest.raises(ValueError, match="ftim_no_sym_mrf, image_to_image, mean"):
        build_completion("magic", renderer(), template())


def test_damaged_shipped_weights_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftim.completion.weights.WEIGHTS_FOLDER", tmp_path)
    for name in SHIPPED:
        with pytest.raises(ModelFileError, match=rf"{name}\.safetensors"):
            build_completion(name, renderer(), template())


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights(name: str) -> None:
    path = weights_path(name)
    assert path.stat().st_size <= LARGEST
    loaded = load_weights(path)
    assert loaded.settings.size == 256
    # The weights of the ablations that ship learnt on earlier data: one still divided by the light, and the other
    # does not yet say what is skin.
    earlier = {
        "image_to_image": replace(IMAGE_TO_IMAGE, lighting="divide"),
        "ftim_no_sym_mrf": replace(FULL, visibility=False),
    }
    assert loaded.settings == earlier.get(name, FULL)
    tensors, _ = contents(path)
    assert {value.dtype for value in tensors.values()} == {torch.float16}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_have_a_model_card(name: str) -> None:
    path = weights_path(name)
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n") and "Licence of the weights" in text
    assert sha256_of(path) in text, "the card is of other weights: python -m scripts.publish.weights --cards"
