"""Checked reading: a file is used only when its key names, shapes and kinds of numbers are the official ones."""

from __future__ import annotations

import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ftim.errors import OfficialLayoutError

READ_ERRORS: tuple[type[Exception], ...] = (
    pickle.UnpicklingError, EOFError, OSError, RuntimeError, ValueError, KeyError, IndexError, AttributeError,
    TypeError, AssertionError, NotImplementedError, OverflowError, MemoryError, struct.error, zipfile.BadZipFile,
    zlib.error, tokenize.TokenError,
)  # fmt: skip
"""What readers raise on files that are cut off or are something else."""


def unreadable(path: Path, reason: object) -> OfficialLayoutError:
    """The error for a file that could not be read at all."""
    text = " ".join(str(reason).split())[:300]
    return OfficialLayoutError(
        f"{path} cannot be read: it is cut off, is another file, or asks for more than plain numbers ({text}). Nothing "
        "in it was run. Get the official file again and put it there."
    )


def wrong(path: Path, what: str) -> OfficialLayoutError:
    """The error for a file that was read and is not the official one."""
    return OfficialLayoutError(f"{path} is not the official file: {what}. Put the official file there.")


def read_checkpoint(path: Path, parts: tuple[str, ...]) -> dict[str, dict[str, Tensor]]:
    """State dictionaries of a torch file by their names; only tensors and plain containers are unpickled.

    Other entries, such as the optimiser's, are left out. Raises ``OfficialLayoutError``.
    """
    try:
        tree = torch.load(path, map_location="cpu", weights_only=True)
    except READ_ERRORS as error:
        raise unreadable(path, error) from error
    if not isinstance(tree, Mapping) or not set(parts) <= set(tree):
        names = sorted(map(str, tree)) if isinstance(tree, Mapping) else type(tree).__name__
        raise wrong(path, f"it holds {names}, not {', '.join(parts)}")
    for part in parts:
        state = tree[part]
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            raise wrong(path, f"{part} is no state dictionary")
    return {part: dict(tree[part]) for part in parts}


def load_strict(network: nn.Module, state: Mapping[str, Tensor], path: Path, part: str) -> None:
    """Fill a network that was made on the meta device; it ends frozen, in evaluation mode.

    Raises ``OfficialLayoutError`` for a missing or unexpected key, another shape, or another kind of number.
    """
    expected = network.state_dict()
    check_keys(state, expected, path, part)
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape or state[name].dtype != tensor.dtype:
            raise wrong(
                path,
                f"{part}.{name} is {tuple(state[name].shape)} {state[name].dtype}, "
                f"expected {tuple(tensor.shape)} {tensor.dtype}",
            )
    network.load_state_dict(dict(state), strict=True, assign=True)
    network.eval().requires_grad_(False)


def check_keys(found: Iterable[str], expected: Iterable[str], path: Path, part: str) -> None:
    """Raise ``OfficialLayoutError`` unless the keys are the expected ones."""
    absent, surplus = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if absent or surplus:
        raise wrong(path, f"{part} lacks {absent[:3] or 'nothing'} and has unexpected {surplus[:3] or 'nothing'}")


def check_array(value: Any, shape: tuple[int | None, ...], path: Path, name: str) -> np.ndarray:
    """An array of real numbers of a shape (None: any length), or ``OfficialLayoutError``."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise wrong(path, f"{name} is no array of numbers")
    fits = len(value.shape) == len(shape) and all(
        length is None or length == found for length, found in zip(shape, value.shape, strict=True)
    )
    if not fits:
        raise wrong(path, f"{name} has shape {value.shape}, expected {shape}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise wrong(path, f"{name} holds values that are no numbers")
    return value


def check_indices(value: Any, shape: tuple[int | None, ...], low: int, high: int, path: Path, name: str) -> Tensor:
    """As ``check_array`` for whole numbers from ``low`` to ``high``, as an int64 tensor counted from 0."""
    array = check_array(value, shape, path, name)
    whole = array.astype(np.int64)
    if (whole != array).any() or whole.size == 0 or whole.min() < low or whole.max() > high:
        raise wrong(path, f"{name} holds more than whole numbers from {low} to {high}")
    return torch.from_numpy(whole - low)


def to_tensor(array: np.ndarray) -> Tensor:
    """float32 and contiguous."""
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
