"""Weights on disk: float16 safetensors that say which form of completion they are of. Loading is strict."""

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

from ftim.completion.network import TextureNetwork
from ftim.completion.settings import Settings, settings_from_json, settings_to_json
from ftim.errors import ModelFileError
from ftim.outputs import whole_file

WEIGHTS_VERSION = 2
WEIGHTS_FOLDER = Path(__file__).parent / "data"
SHIPPED: tuple[str, ...] = ("ftim", "ftim_no_sym_mrf", "image_to_image")
"""The rows of Table 2, each ``data/<name>.safetensors`` with its model card ``data/<name>.md``."""


@dataclass(frozen=True)
class LoadedNetwork:
    """A network ready for use, and what it is."""

    network: TextureNetwork
    """Frozen, in evaluation mode, in float32."""
    settings: Settings
    training: dict[str, Any]
    """What its training recorded: configuration, steps, seed, commit."""


def weights_path(name: str) -> Path:
    """Of weights that ship."""
    return WEIGHTS_FOLDER / f"{name}.safetensors"


def save_weights(path: Path, state: Mapping[str, Tensor], settings: Settings, training: dict[str, Any]) -> None:
    """Write in half precision, through a temporary name. The same weights and record give the same bytes."""
    about = {"version": WEIGHTS_VERSION, "settings": settings_to_json(settings), "training": training}
    halves = {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in state.items()}
    with whole_file(path) as temporary:
        # One entry only: safetensors writes several in an order that changes from run to run.
        save_file(halves, str(temporary), metadata={"about": json.dumps(about, sort_keys=True)})


def load_weights(path: Path, device: torch.device | str = "cpu") -> LoadedNetwork:
    """Read weights of ``save_weights``.

    Raises ``ModelFileError`` when the file is missing, damaged, of another version, or does not hold exactly the
    tensors of the network that its settings describe, all finite.
    """
    remedy = "Reinstall ftim, or train the weights again: ftim train"
    try:
        with safe_open(str(path), framework="pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if about["version"] != WEIGHTS_VERSION:
            raise ModelFileError(f"{path} is version {about['version']}, this ftim reads {WEIGHTS_VERSION}. {remedy}")
        settings = settings_from_json(about["settings"])
        training = dict(about["training"])
        # Without memory: no random weights are drawn, the caller's random numbers stay the same.
        with torch.device("meta"):
            network = TextureNetwork(settings.network)
    except ModelFileError:
        raise
    except Exception as error:  # safetensors raises its own error, OSError, KeyError, TypeError, ValueError
        raise ModelFileError(f"{path} cannot be read as weights of FTIM: {error}. {remedy}") from error
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    if wrong:
        raise ModelFileError(
            f"{path} does not hold the network that its settings describe: {', '.join(wrong[:4])} missing, unknown or "
            f"of another shape. {remedy}"
        )
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise ModelFileError(f"{path} holds weights that are not finite. {remedy}")
    network.load_state_dict({name: value.float() for name, value in tensors.items()}, assign=True)
    network = network.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
    return LoadedNetwork(network, settings, training)
