"""Where PyTorch computes: a user's word for it, checked before anything is loaded."""

from __future__ import annotations

import os
import re

import torch

from ftim.errors import SettingsError


def choose_device(name: str) -> str:
    """``auto``, ``cpu``, ``cuda``, ``cuda:1`` and so on, or ``mps`` -> a device that is there, in PyTorch's words.

    ``auto`` is the GPU where there is one that PyTorch's CUDA can use. Raises ``SettingsError`` for any other name and
    for a device that this computer lacks.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return name
    if name == "mps":
        if torch.backends.mps.is_available():
            return name
        raise SettingsError("device mps is Apple's GPU, and PyTorch finds none here; choose auto or cpu")
    asked = re.fullmatch(r"cuda(?::(\d+))?", name)
    if asked is None:
        raise SettingsError(f"there is no device {name!r}; choose auto, cpu, cuda, cuda:1 for the second GPU, or mps")
    if not torch.cuda.is_available():
        raise SettingsError(
            f"device {name} needs an NVIDIA GPU with its driver and a PyTorch that was built for CUDA, and PyTorch "
            "finds none here; choose auto or cpu"
        )
    count = torch.cuda.device_count()
    if int(asked[1] or 0) >= count:
        raise SettingsError(f"there is no device {name}; this computer has {count} GPU(s), numbered from cuda:0")
    return name


def convolution_precision(device: torch.device | str) -> torch.dtype:
    """bfloat16 on processors that multiply it in hardware, where it takes half the time of float32; else float32.

    Textures differ by less than half a step of 8 bits; ``FTIM_PRECISION=float32`` asks for the same everywhere.
    """
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    if torch.device(device).type == "cpu" and os.environ.get("FTIM_PRECISION") != "float32" and native():
        return torch.bfloat16
    return torch.float32


def use_threads(count: int) -> int:
    """Let PyTorch use so many threads, or with 0 as many as it chooses; how many it then uses. Raises
    ``SettingsError`` for a negative number."""
    if count < 0:
        raise SettingsError(f"threads must be 0 (one for each core) or more, not {count}")
    if count:
        torch.set_num_threads(count)
    return torch.get_num_threads()
