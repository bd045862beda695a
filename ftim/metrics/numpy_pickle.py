"""Reading pickles that hold numpy arrays in plain containers, and nothing else."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ftim.errors import AssetHashError

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_READ_ERRORS = (
    pickle.UnpicklingError, EOFError, ValueError, LookupError, AttributeError, TypeError, RuntimeError, OverflowError,
    MemoryError, struct.error,
)  # fmt: skip


class _Dtype:
    """Kind and size of numbers as a pickle names them. numpy's own takes from a pickle what breaks the process."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.dtype = np.dtype(name if isinstance(name, str) else name.decode("ascii"))
        if self.dtype.kind not in "biuf":
            raise pickle.UnpicklingError(f"it holds an array of {self.dtype}, and only numbers are allowed")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in (">", b">"):
            self.dtype = self.dtype.newbyteorder(">")


class _Array(np.ndarray):
    """An array that fills itself with checked content alone."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_columns, content = state
        content = content.encode("latin1") if isinstance(content, str) else content
        if not isinstance(kind, _Dtype) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("it holds an array without a kind or content")
        if len(content) != np.prod([int(side) for side in shape], dtype=object) * kind.dtype.itemsize:
            raise pickle.UnpicklingError("it holds an array whose content has another size than its shape")
        super().__setstate__((1, shape, kind.dtype, bool(by_columns), content))  # type: ignore[arg-type]


def _scalar(kind: _Dtype, content: bytes) -> Any:
    """As numpy's function of the name."""
    return np.frombuffer(content, kind.dtype, 1)[0]


def _reconstruct(*_: Any) -> _Array:
    """As numpy's function of the name: an empty array, which gets its content afterwards."""
    return np.empty(0, np.uint8).view(_Array)


_ALLOWED: dict[tuple[str, str], Any] = {("numpy", "ndarray"): _reconstruct, ("numpy", "dtype"): _Dtype} | {
    (module, name): function
    for module in _ARRAY_MODULES
    for name, function in (("_reconstruct", _reconstruct), ("scalar", _scalar))
}


class NumpyUnpickler(pickle._Unpickler):
    """Looks up only the four names that arrays are rebuilt with, as functions of ours; a pickle could otherwise run any
    code. The one in C would take the memory that a pickle announces."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only numpy arrays are allowed")
        return _ALLOWED[module, name]


def read_numpy_pickle(path: Path) -> Any:
    """The containers and arrays of a pickle file.

    Raises:
        AssetHashError: the file is truncated, is no pickle, or asks for anything but numpy arrays.
    """
    try:
        with path.open("rb") as file:
            return NumpyUnpickler(file).load()
    except _READ_ERRORS as error:
        raise AssetHashError(
            f"{path} is not a pickle of numpy arrays: {error}. Delete it to fetch it again."
        ) from error
