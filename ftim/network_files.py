"""Weights of networks on disk: float16 safetensors with a record of what they are. Reading is strict."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ftim.errors import ModelFileError
from ftim.outputs import whole_file


@dataclass(frozen=True)
class NetworkFileKind:
    """What a program expects a file to be, in the words of its errors."""

    contents: str
    """Such as ``weights of FTIM``."""
    version: int
    reader: str
    """Who reads this version, such as ``this ftim``."""
    remedy: str

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """Whatever fails inside becomes a ``ModelFileError`` that the file cannot be read."""
        try:
            yield
        except ModelFileError:
            raise
        except Exception as error:  # safetensors raises its own error, OSError, KeyError, TypeError, ValueError
            raise ModelFileError(f"{path} cannot be read as {self.contents}: {error}. {self.remedy}") from error


@dataclass(frozen=True)
class NetworkFile:
    """A file that was read, before anything is built from it."""

    path: Path
    kind: NetworkFileKind
    about: dict[str, Any]
    """Its record, without what it holds being checked, save for the version."""
    tensors: dict[str, Tensor]

    def wrong(self, text: str) -> ModelFileError:
        """The error that this file ``text``, with the remedy."""
        return ModelFileError(f"{self.path} {text}. {self.kind.remedy}")

    def state_for(self, network: nn.Module, described: str) -> dict[str, Tensor]:
        """The state of a network that has exactly these tensors, in float32.

        Raises ``ModelFileError`` when a tensor is missing, unknown, of another shape, or not finite; ``described``
        says whose network it is.
        """
        expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        found = {name: tuple(value.shape) for name, value in self.tensors.items()}
        wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
        if wrong:
            raise self.wrong(
                f"does not hold the {described}: {', '.join(wrong[:4])} missing, unknown or of another shape"
            )
        if not all(bool(torch.isfinite(value).all()) for value in self.tensors.values()):
            raise self.wrong("holds weights that are not finite")
        return {name: value.float() for name, value in self.tensors.items()}


def save_network(path: Path, state: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write in half precision, through a temporary name. The same weights and record give the same bytes."""
    halves = {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in state.items()}
    with whole_file(path) as temporary:
        # One entry only: safetensors writes several in an order that changes from run to run.
        save_file(halves, str(temporary), metadata={"about": json.dumps(about, sort_keys=True)})


def read_about(path: Path, kind: NetworkFileKind) -> dict[str, Any]:
    """The record alone. Raises ``ModelFileError`` when the file cannot be read; its version is not looked at."""
    with kind.reading(path), safe_open(str(path), framework="pt") as file:
        return dict(json.loads((file.metadata() or {})["about"]))


def read_network(path: Path, kind: NetworkFileKind) -> NetworkFile:
    """Record and tensors. Raises ``ModelFileError`` when the file cannot be read or is of another version."""
    with kind.reading(path):
        with safe_open(str(path), framework="pt") as file:
            about = dict(json.loads((file.metadata() or {})["about"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        read = NetworkFile(path, kind, about, tensors)
        if about["version"] != kind.version:
            raise read.wrong(f"is version {about['version']}, {kind.reader} reads {kind.version}")
    return read
