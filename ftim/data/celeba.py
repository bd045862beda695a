"""CelebA (Liu et al. 2015): for measuring only; its licence is non-commercial research."""

from __future__ import annotations

import os

from ftim.data.photo_set import PhotoSet, data_folder, images_in
from ftim.errors import DatasetError

FIRST_TEST_NUMBER = 182_638
LAST_TEST_NUMBER = 202_599
"""The official test part, by file number."""

LICENCE = "non-commercial research only (CelebA, Multimedia Laboratory, Chinese University of Hong Kong)"
_ORIGIN = "CelebA comes from its authors: mmlab.ie.cuhk.edu.hk/projects/CelebA.html (non-commercial research only)."
_FOLDERS = ("img_celeba", "img_align_celeba")


def load_celeba(folder: str | os.PathLike[str] | None = None) -> PhotoSet:
    """The photographs of the official test part that are in a folder, by default ``$FTIM_DATA/celeba``.

    The folder may hold the images or have them in ``img_celeba`` or ``img_align_celeba``. Other parts of CelebA are
    left out. Raises ``DatasetError``.
    """
    root = data_folder("celeba", folder, _ORIGIN)
    root = next((root / name for name in _FOLDERS if (root / name).is_dir()), root)
    photos = tuple(
        photo
        for photo in images_in(root, _ORIGIN)
        if photo.name.isdecimal() and FIRST_TEST_NUMBER <= int(photo.name) <= LAST_TEST_NUMBER
    )
    if not photos:
        raise DatasetError(f"{root} holds no image of CelebA's test part ({FIRST_TEST_NUMBER} and up). {_ORIGIN}")
    return PhotoSet("celeba", LICENCE, photos)
