"""FTIM's weights on disk, which say which form of completion they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ftim.completion.network import TextureNetwork
from ftim.completion.settings import Settings, settings_from_json, settings_to_json
from ftim.network_files import NetworkFileKind, read_network, save_network

WEIGHTS_VERSION = 2
KIND = NetworkFileKind(
    "weights of FTIM", WEIGHTS_VERSION, "this ftim", "Reinstall ftim, or train the weights again: ftim train"
)
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
    """See ``save_network``."""
    about = {"version": WEIGHTS_VERSION, "settings": settings_to_json(settings), "training": training}
    save_network(path, state, about)


def load_weights(path: Path, device: torch.device | str = "cpu") -> LoadedNetwork:
    """Read weights of ``save_weights``.

    Raises ``ModelFileError`` when the file is missing, damaged, of another version, or does not hold exactly the
    tensors of the network that its settings describe, all finite.
    """
    file = read_network(path, KIND)
    with KIND.reading(path):
        settings = settings_from_json(file.about["settings"])
        training = dict(file.about["training"])
        # Without memory: no random weights are drawn, the caller's random numbers stay the same.
        with torch.device("meta"):
            network = TextureNetwork(settings.network)
    network.load_state_dict(file.state_for(network, "network that its settings describe"), assign=True)
    network = network.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
    return LoadedNetwork(network, settings, training)
