"""Packages that only some uses need: pip installs them with an extra of ftim."""

from __future__ import annotations

import importlib
from types import ModuleType

from ftim.errors import MissingPackageError


def import_extra(module: str, extra: str) -> ModuleType:
    """The module, by its dotted name. Raises ``MissingPackageError``, which names the extra that brings it.

    >>> from ftim.extras import import_extra
    >>> import_extra("json", "all").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        raise MissingPackageError(
            f'the package {missing.split(".")[0]} is not installed and is needed here: pip install "ftim[{extra}]"'
        ) from error
