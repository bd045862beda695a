"""Comparison with pictures that were looked at once and kept: ``tests/golden/*.png``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

FOLDER = Path(__file__).parent / "golden"
UPDATE = "FTIM_UPDATE_GOLDEN"


def assert_golden(name: str, image: Tensor) -> None:
    """Compare (3, H, W) in [0, 1] with the kept PNG.

    The mean difference may be 0.3 / 255, and one pixel in 500 may be off by more than 8 / 255.
    With the environment variable FTIM_UPDATE_GOLDEN=1 the picture is written instead; look at it before committing.
    """
    pixels = (image.detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    path = FOLDER / f"{name}.png"
    if os.environ.get(UPDATE) == "1":
        FOLDER.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
        pytest.skip(f"wrote {path}")
    assert path.exists(), f"no golden picture {path.name}; run with {UPDATE}=1 and look at the result"
    kept = np.asarray(Image.open(path).convert("RGB"), dtype=np.int16)
    assert kept.shape == pixels.shape
    difference = np.abs(kept - pixels.astype(np.int16))
    assert difference.mean() < 0.3
    assert (difference.max(axis=-1) > 8).mean() < 1 / 500
