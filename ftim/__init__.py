"""ftim: a complete facial texture and a textured 3D head from one photograph.

import ftim

result = ftim.reconstruct("photo.jpg")
result.save("out/")
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftim.overlay import Cover
    from ftim.photo_input import Photo
    from ftim.pipeline import Pipeline
    from ftim.reconstruction import Reconstruction

# PyTorch's threads wait for each other by spinning for some ten microseconds, and then they sleep. Without spinning two
# threads are no faster than one for work as fine as this; spinning for longer makes everything ten times slower as
# soon as something else runs on the same cores. It is read once, so that it must be said before PyTorch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

__all__ = ["reconstruct"]
__version__ = "0.1.0"

TEXTURE_SIZES = (256, 512, 1024)


def reconstruct(
    photo: Photo | Sequence[Photo],
    texture_size: int = 512,
    face: int = 0,
    completion: str = "ftim",
    device: str = "cpu",
    cover: Cover = "skin",
) -> Reconstruction:
    """The head of one face: texture, albedo, overlay, mesh.

    Args:
        photo: a file, its bytes, a picture of Pillow, or (H, W, 3) uint8 RGB; or one to three of them, of one person at
            one moment, whose first gives pose and light while all give skin.
        texture_size: side of the texture, 256, 512 or 1024.
        face: which face of the photograph, the largest being 0.
        completion: a name of ``ftim.build.COMPLETIONS``.
        device: where PyTorch computes: cpu, cuda, or auto, which takes a GPU where there is one.
        cover: "skin" leaves hair, glasses and hands of the photograph as they are in the overlay; "full" draws the
            whole face.

    Models stay loaded for the next call with the same texture size and device; call from one thread at a time.
    ``ftim.quality.assess`` says how far to trust a result.

    Raises:
        PhotoError: no photograph. FaceError: no usable face. SettingsError: an argument that makes no sense.
        AssetError: a model file that cannot be had.
    """
    from collections.abc import Iterable

    from ftim.device import choose_device
    from ftim.errors import SettingsError
    from ftim.photo_input import SINGLE

    several = isinstance(photo, Iterable) and not isinstance(photo, SINGLE)
    photos: list[Photo] = list(photo) if several else [photo]  # type: ignore[arg-type, list-item]
    if texture_size not in TEXTURE_SIZES:
        raise SettingsError(f"texture_size is one of {', '.join(map(str, TEXTURE_SIZES))}, not {texture_size!r}")
    pipeline = _pipeline(choose_device(device), texture_size)
    return pipeline.reconstruct_together(photos, completion, [face] * len(photos), cover=cover)


@functools.lru_cache(maxsize=1)
def _pipeline(device: str, texture_size: int) -> Pipeline:
    """The last one that was built: it keeps each completion that it loaded."""
    from ftim.pipeline import Pipeline

    return Pipeline.build(device, texture_size=texture_size)
