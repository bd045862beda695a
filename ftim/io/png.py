"""PNG as files of results have it: nearly the smallest, in a third of the time."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

LEVEL = 3
"""Of zlib: 5 % larger files than Pillow's 6, three times as fast."""
PLACEHOLDER = Image.new("RGB", (1, 1))
"""For writers that would encode a texture whose bytes are known."""


def png_bytes(pixels: np.ndarray) -> bytes:
    """(H, W, 3) or (H, W, 4) uint8 -> a PNG file; the same pixels give the same bytes."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png", compress_level=LEVEL)
    return content.getvalue()
