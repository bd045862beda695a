"""Reading pickles that hold numpy arrays in plain containers, and nothing else."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any

from ftim.errors import AssetHashError

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")

_ALLOWED = {("numpy", "ndarray"), ("numpy", "dtype")} | {
    (module, name) for module in _ARRAY_MODULES for name in ("_reconstruct", "scalar")
}

_READ_ERRORS = (
    pickle.UnpicklingError, EOFError, ValueError, LookupError, AttributeError, TypeError, RuntimeError, OverflowError,
    MemoryError,
)  # fmt: skip


class NumpyUnpickler(pickle.Unpickler):
    """Looks up only the four names that arrays are rebuilt with; a pickle could otherwise run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only numpy arrays are allowed")
        # numpy 2 renamed the private module; files written before name the old one.
        return getattr(importlib.import_module(module.replace("numpy.core", "numpy._core")), name)


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
