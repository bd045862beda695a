"""Files of weights: the same bytes for the same content, and an error that names file and remedy for any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ftim.errors import ModelFileError
from ftim.network_files import NetworkFileKind, read_about, read_network, save_network

KIND = NetworkFileKind("weights of a test", 3, "this test", "Make it again")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_network(tmp_path / "a.safetensors", nn.Linear(2, 3).state_dict(), {"version": 3, "steps": 7})
    return tmp_path / "a.safetensors"


def test_what_is_read_is_what_was_saved(path: Path) -> None:
    file = read_network(path, KIND)
    assert file.about == read_about(path, KIND) == {"version": 3, "steps": 7}
    network = nn.Linear(2, 3)
    network.load_state_dict(file.state_for(network, "network"))
    again = path.with_name("b.safetensors")
    save_network(again, network.state_dict(), file.about)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("network", [nn.Linear(2, 4), nn.Linear(2, 3, bias=False), nn.Conv1d(2, 3, 1), nn.PReLU()])
def test_another_network_is_refused(path: Path, network: nn.Module) -> None:
    with pytest.raises(ModelFileError, match=rf"{path.name} does not hold the network: .*shape. Make it again"):
        read_network(path, KIND).state_for(network, "network")


def test_what_is_not_finite_is_refused(path: Path) -> None:
    state = nn.Linear(2, 3).state_dict() | {"bias": torch.tensor([0, float("nan"), 0])}
    save_network(path, state, {"version": 3})
    with pytest.raises(ModelFileError, match=r"a\.safetensors holds weights that are not finite. Make it again"):
        read_network(path, KIND).state_for(nn.Linear(2, 3), "network")


@pytest.mark.parametrize(
    ("about", "says"),
    [({"version": 4}, "is version 4, this test reads 3. Make it again"), ({}, "cannot be read as weights of a test: ")],
)
def test_another_version_is_refused(path: Path, about: dict[str, int], says: str) -> None:
    save_network(path, {}, about)
    with pytest.raises(ModelFileError, match=rf"a\.safetensors {says}"):
        read_network(path, KIND)
