"""109 official portraits of members of the United States Congress: works of the US Government, in the public domain."""

from __future__ import annotations

import os
import re
from typing import Literal

from ftim.data.photo_set import PhotoSet, data_folder, images_in
from ftim.errors import DatasetError

FIRST_VALIDATION = 70
"""Portraits are numbered: those below train, the others validate and are never trained on."""
LICENCE = "public domain in the United States (17 USC 105): official portraits of members of the United States Congress"
_NAME = re.compile("[0-9]{3}")
_ORIGIN = "The portraits are published by the House, the Senate and the Biographical Directory of the US Congress."


def load_official_portraits(
    split: Literal["train", "validation"], folder: str | os.PathLike[str] | None = None
) -> PhotoSet:
    """Portraits ``NNN.jpg`` of a folder, by default ``$FTIM_DATA/official_portraits``; named after their number.

    Files named otherwise are left out. Raises ``DatasetError`` when there is none of the split.
    """
    root = data_folder("official_portraits", folder, _ORIGIN)
    photos = tuple(
        photo
        for photo in images_in(root, _ORIGIN)
        if _NAME.fullmatch(photo.name) and (int(photo.name) < FIRST_VALIDATION) == (split == "train")
    )
    if not photos:
        raise DatasetError(
            f"{root} holds no portrait of the split {split}: files are named 000.jpg and so on. {_ORIGIN}"
        )
    return PhotoSet(f"official-portraits-{split}", LICENCE, photos)
