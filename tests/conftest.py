"""What all tests share: those marked ``gpu`` or ``pytorch3d`` skip where that is absent."""

import importlib.util

import pytest
import torch


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose marker asks for what this machine lacks; ``licensed`` tests look for their files themselves."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if item.get_closest_marker("pytorch3d") and importlib.util.find_spec("pytorch3d") is None:
        pytest.skip("PyTorch3D is not installed")
