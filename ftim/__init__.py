"""ftim: a complete facial texture and a textured 3D head from one photograph.

>>> import ftim
>>> result = ftim.reconstruct(photo)
>>> result.save(folder)
>>> picture = result.render(yaw=30, light=(60, 20), size=128)

``photo`` is a file, or whatever else ``ftim.photo_input.Photo`` lists. Importing ftim takes a hundredth of a second:
what it offers is loaded when it is first used.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ftim.errors import (
    AssetError,
    FaceError,
    FaceIndexError,
    FaceTooSmallError,
    FtimError,
    MissingPackageError,
    NoFaceError,
    OutputError,
    PhotoError,
    ResultFileError,
    SettingsError,
)

if TYPE_CHECKING:
    from ftim.build import COMPLETIONS as COMPLETIONS
    from ftim.finder import FoundFace as FoundFace
    from ftim.head import Head as Head
    from ftim.overlay import Cover
    from ftim.photo_input import Photo
    from ftim.pipeline import Pipeline as Pipeline
    from ftim.reconstruction import Reconstruction as Reconstruction

# PyTorch's threads wait for each other by spinning for some ten microseconds, and then they sleep. Without spinning two
# threads are no faster than one for work as fine as this; spinning for longer makes everything ten times slower as
# soon as something else runs on the same cores. It is read once, so that it must be said before PyTorch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

__all__ = [
    "COMPLETIONS",
    "AssetError",
    "FaceError",
    "FaceIndexError",
    "FaceTooSmallError",
    "FoundFace",
    "FtimError",
    "Head",
    "MissingPackageError",
    "NoFaceError",
    "OutputError",
    "PhotoError",
    "Pipeline",
    "Reconstruction",
    "ResultFileError",
    "SettingsError",
    "detect",
    "reconstruct",
]
__version__ = "0.3.0"

TEXTURE_SIZES = (256, 512, 1024)
_LOADED_WHEN_USED = {
    "COMPLETIONS": "ftim.build",
    "FoundFace": "ftim.finder",
    "Head": "ftim.head",
    "Pipeline": "ftim.pipeline",
    "Reconstruction": "ftim.reconstruction",
}


def __getattr__(name: str) -> Any:
    """What brings PyTorch along; see PEP 562."""
    if name in _LOADED_WHEN_USED:
        value = globals()[name] = getattr(importlib.import_module(_LOADED_WHEN_USED[name]), name)
        return value
    raise AttributeError(f"module 'ftim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def reconstruct(
    photo: Photo | Sequence[Photo],
    texture_size: int = 512,
    face: int = 0,
    completion: str = "ftim",
    device: str = "auto",
    cover: Cover = "skin",
) -> Reconstruction:
    """The head of one face: texture, albedo, overlay, mesh.

    Args:
        photo: a photograph in any of the forms of ``ftim.photo_input.Photo``: a file's path, bytes or object, a picture
            of Pillow, an array or tensor (H, W, 3); or one to three of them, of one person at one moment, whose first
            gives pose and light while all give skin.
        texture_size: side of the texture, 256, 512 or 1024.
        face: which face of the photograph, the largest being 0.
        completion: a name of ``ftim.COMPLETIONS``.
        device: where PyTorch computes: auto, which takes a GPU where there is one, cpu, or cuda.
        cover: "skin" leaves hair, glasses and hands of the photograph as they are in the overlay; "full" draws the
            whole face.

    Models stay loaded for the next call with the same texture size and device. Several threads may call at once.
    ``ftim.quality.assess`` says how far to trust a result.

    Raises:
        PhotoError: no photograph. FaceError: no usable face. SettingsError: an argument that makes no sense.
        AssetError: a model file that cannot be had.

    >>> import ftim
    >>> result = ftim.reconstruct(photo, texture_size=256, completion="mirror")
    >>> result.texture_image.size
    (256, 256)
    >>> result.overlay.shape == result.photo.shape
    True
    """
    from collections.abc import Iterable

    from ftim.photo_input import is_single

    several = isinstance(photo, Iterable) and not is_single(photo)
    photos: list[Photo] = list(photo) if several else [photo]  # type: ignore[arg-type, list-item]
    return _pipeline(device, texture_size).reconstruct_together(photos, completion, [face] * len(photos), cover=cover)


def detect(photo: Photo, device: str = "auto") -> list[FoundFace]:
    """The faces of a photograph, the largest first, each turned upright and fitted.

    One of them can be handed to ``Pipeline.reconstruct`` as ``found``, which then does not look again. Raises
    ``PhotoError``, and ``NoFaceError`` or ``FaceTooSmallError`` where there is none.

    >>> import ftim
    >>> [face] = ftim.detect(photo)
    >>> left, top, right, bottom = face.box
    >>> face.confidence > 0.9
    True
    """
    from ftim.photo_input import to_photograph

    return list(_pipeline(device, 512).finder.every(to_photograph(photo)))


def _pipeline(device: str, texture_size: int) -> Pipeline:
    """The last one that was built: it keeps each completion that it loaded."""
    from ftim.device import choose_device

    if texture_size not in TEXTURE_SIZES:
        raise SettingsError(f"texture_size is one of {', '.join(map(str, TEXTURE_SIZES))}, not {texture_size!r}")
    return _built(choose_device(device), texture_size)


@functools.lru_cache(maxsize=1)
def _built(device: str, texture_size: int) -> Pipeline:
    from ftim.pipeline import Pipeline

    return Pipeline.build(device, texture_size=texture_size)
