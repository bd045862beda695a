"""Reading FLAME's pickle without chumpy and without running anything.

The file was pickled by Python 2 and names classes of chumpy and scipy.sparse. Here these names stand for classes of
ours that keep the state they are given and do nothing; every name that is neither theirs nor numpy's is refused.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ftim.errors import OfficialLayoutError
from ftim.metrics.numpy_pickle import NumpyUnpickler
from ftim.official.layout import READ_ERRORS, unreadable, wrong


class _Inert:
    """Stands for an instance of a class that is not loaded; ``state`` is what was pickled with it."""

    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Inert):
    """chumpy.ch.Ch: an array under the name ``x``."""


class _SparseColumns(_Inert):
    """scipy.sparse.csc_matrix."""


class _SparseRows(_Inert):
    """scipy.sparse.csr_matrix."""


def _reconstructor(cls: Any, base: Any, state: Any) -> _Inert:
    """As ``copyreg._reconstructor``, for the stand-ins only."""
    if not (isinstance(cls, type) and issubclass(cls, _Inert)):
        raise pickle.UnpicklingError("it rebuilds an object of an unknown class")
    return cls()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """As ``_codecs.encode``, by which Python 3 writes bytes for Python 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it encodes something other than bytes")
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Any] = {
    ("copy_reg", "_reconstructor"): _reconstructor,
    ("copyreg", "_reconstructor"): _reconstructor,
    ("__builtin__", "object"): object,
    ("builtins", "object"): object,
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
    ("_codecs", "encode"): _encode,
}


class _FlameUnpickler(NumpyUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _STAND_INS:
            return _STAND_INS[module, name]
        if module.split(".")[0] == "chumpy" and name == "Ch":
            return _Array
        if module.startswith("scipy.sparse"):
            if name == "csc_matrix":
                return _SparseColumns
            if name == "csr_matrix":
                return _SparseRows
        return super().find_class(module, name)


def read_flame_pickle(path: Path) -> dict[str, Any]:
    """The dictionary of the file with its chumpy and sparse matrices as plain (dense) arrays.

    Raises ``OfficialLayoutError`` when the file is cut off, is no such dictionary, or asks for anything else.
    """
    try:
        with path.open("rb") as file:
            tree = _FlameUnpickler(file, encoding="latin1").load()
    except READ_ERRORS as error:
        raise unreadable(path, error) from error
    if not isinstance(tree, dict):
        raise wrong(path, f"it holds a {type(tree).__name__}, not the parts of a head")
    try:
        return {str(name): _plain(value) for name, value in tree.items()}
    except OfficialLayoutError:
        raise
    except READ_ERRORS as error:
        raise wrong(path, f"a matrix in it is incomplete ({error})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        return _plain(value.state["x"])
    if isinstance(value, (_SparseColumns, _SparseRows)):
        return _dense(value.state, by_columns=isinstance(value, _SparseColumns))
    return value


def _dense(state: Any, by_columns: bool) -> np.ndarray:
    """The matrix of scipy's compressed form: ``indptr`` says where each column (row) begins in the other two."""
    rows, columns = (int(length) for length in state["_shape"])
    if not 0 < rows * columns < 10**7:
        raise ValueError(f"a matrix of {rows} x {columns}")
    data, indices, starts = (np.asarray(state[name]) for name in ("data", "indices", "indptr"))
    major = np.repeat(np.arange(columns if by_columns else rows), np.diff(starts))
    if len(major) != len(data) or len(indices) != len(data):
        raise ValueError("its parts differ in length")
    dense = np.zeros((rows, columns))
    np.add.at(dense, (indices, major) if by_columns else (major, indices), data)
    return dense
