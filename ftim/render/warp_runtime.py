"""NVIDIA Warp made ready: kernels are compiled once a machine, in silence, wherever the cache can be written."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
import threading

import torch
import warp as wp

from ftim.errors import KernelCacheError
from ftim.system import native_stderr_hidden

_load_lock = threading.Lock()
_loaded: set[tuple[str, str]] = set()


def ready_device(module: str, device: torch.device) -> str:
    """The device by Warp's name, with the kernels of a Python module compiled for it."""
    name = f"cuda:{device.index or 0}" if device.type == "cuda" else "cpu"
    if (module, name) not in _loaded:
        _load(module, name)
        _loaded.add((module, name))
    return name


def _load(module: str, device: str) -> None:
    """Start Warp and compile, silently; a global switch of Warp is put back as it was."""
    with _load_lock:
        level = wp.config.log_level
        wp.config.log_level = max(level, wp.LOG_ERROR)
        try:
            try:
                _compile(module, device)
            except OSError:  # a home or cache that is missing, read-only or full
                _use_cache_of_this_process()
                _compile(module, device)
        finally:
            wp.config.log_level = level


def _compile(module: str, device: str) -> None:
    with contextlib.nullcontext() if torch.cuda.is_available() else native_stderr_hidden():
        wp.init()
    wp.load_module(module, device=device)


def _use_cache_of_this_process() -> None:
    """Compiled kernels go into a temporary folder, which is removed when Python ends. Raises ``KernelCacheError``."""
    try:
        folder = tempfile.mkdtemp(prefix="ftim-warp-")
    except OSError as error:
        raise KernelCacheError(
            f"the compiled kernels of NVIDIA Warp cannot be kept, neither in its cache nor in {tempfile.gettempdir()}: "
            f"{error.strerror or error}. Make room, or set WARP_CACHE_PATH to a folder that can be written"
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    wp.config.kernel_cache_dir = folder
