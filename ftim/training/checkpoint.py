"""The state of a run on disk: always the last whole one."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ftim.errors import TrainingError
from ftim.outputs import whole_file

_READ_ERRORS = (
    RuntimeError, pickle.UnpicklingError, EOFError, OSError, LookupError, ValueError, AssertionError, AttributeError,
    TypeError, OverflowError, MemoryError, struct.error,
)  # fmt: skip
_FIELDS = {"step", "fingerprint", "recorded", "network", "average", "optimizer", "seconds"}


@dataclass(frozen=True)
class Checkpoint:
    """Everything that the steps to come depend on; random draws depend on seed and step alone."""

    step: int
    """Steps done."""
    fingerprint: str
    """``TrainingConfig.fingerprint`` of the run."""
    recorded: dict[str, Any]
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, Any]
    seconds: float
    """Spent so far."""

    def write(self, path: Path) -> None:
        """Through a temporary name: a full disk leaves the checkpoint before this one. Raises ``OutputError``."""
        with whole_file(path) as temporary:
            try:
                torch.save(vars(self), temporary)
            except RuntimeError as error:  # PyTorch's writer hides the operating system's reason
                raise OSError(None, str(error).split("\n")[0]) from error

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Raises ``TrainingError`` when there is none or it cannot be read."""
        if not path.is_file():
            raise TrainingError(f"there is no checkpoint {path} to go on from: start without --resume")
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
        except _READ_ERRORS as error:
            raise TrainingError(
                f"the checkpoint {path} cannot be read: {error}. Delete it and start the run anew."
            ) from error
        if not isinstance(values, dict) or set(values) != _FIELDS:
            raise TrainingError(f"{path} is not a checkpoint of this version. Delete it and start the run anew.")
        return cls(**values)
