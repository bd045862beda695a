"""ftim: a complete facial texture and a textured 3D head from one photograph.

import ftim

result = ftim.reconstruct("photo.jpg")
result.save("out/")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ftim.reconstruction import Reconstruction

__all__ = ["reconstruct"]
__version__ = "0.1.0"


def reconstruct(
    photo: str | Path | np.ndarray | Sequence[str | Path | np.ndarray],
    texture_size: int = 512,
    face: int = 0,
    completion: str = "ftim",
    device: str = "cpu",
) -> Reconstruction:
    """The head of one face: texture, albedo, overlay, mesh.

    Args:
        photo: a file, or (H, W, 3) uint8 RGB; or one to three of them, of one person at one moment, whose first gives
            pose and light while all give skin.
        texture_size: side of the texture, 256, 512 or 1024.
        face: which face of the photograph, the largest being 0.
        completion: a name of ``ftim.build.COMPLETIONS``.
        device: where PyTorch computes.

    For many photographs make one ``ftim.pipeline.Pipeline`` and call its ``reconstruct``: the models load once.

    Raises:
        PhotoError: no photograph. FaceError: no usable face. AssetError: a model file that cannot be had.
    """
    import numpy as np

    from ftim.pipeline import Pipeline

    photos = [photo] if isinstance(photo, (str, Path, np.ndarray)) else list(photo)
    pipeline = Pipeline.build(device, texture_size=texture_size)
    return pipeline.reconstruct_together(photos, completion, [face] * len(photos))
