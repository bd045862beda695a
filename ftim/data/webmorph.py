"""Frontal portraits of the webmorphR.stim package (DeBruine 2022)."""

from __future__ import annotations

import os

from ftim.data.photo_set import PhotoFile, PhotoSet, data_folder, images_in

COLLECTIONS = ("canada",)
LICENCE = "CC BY 4.0; webmorphR.stim by Lisa DeBruine"
_ORIGIN = "Get it from github.com/debruine/webmorphR.stim (CC BY 4.0)."


def load_webmorph(folder: str | os.PathLike[str] | None = None) -> PhotoSet:
    """All portraits, named like ``canada/003f``, from a folder, by default ``$FTIM_DATA/webmorph``.

    Raises ``DatasetError`` when one of ``COLLECTIONS`` is missing.
    """
    root = data_folder("webmorph", folder, _ORIGIN)
    photos = [
        PhotoFile(f"{collection}/{photo.name}", photo.path)
        for collection in COLLECTIONS
        for photo in images_in(root / collection, _ORIGIN)
    ]
    return PhotoSet("webmorph", LICENCE, tuple(photos))
