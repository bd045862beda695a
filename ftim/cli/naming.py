"""A folder for each photograph's result, and whose result a folder holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ftim.assets import sha256_of
from ftim.cli.folders import face_folder, folder_names, read_report, shown
from ftim.cli.photo_search import Search


class FolderNames:
    """Of one output folder."""

    def __init__(self, output: Path) -> None:
        self.output = output

    def __call__(self, search: Search) -> dict[Path, str]:
        """A folder for each photograph: its own from before where there is one. A folder with another photograph's
        result stays that photograph's: a number is added to the name until one is free."""
        wanted = dict(zip(search.photos, folder_names(search.photos.values()), strict=True))
        own = {
            photo: self._own(folder_names([place])[0], photo) or self._own(wanted[photo], photo)
            for photo, place in search.photos.items()
        }
        names: dict[Path, str] = {}
        for photo in sorted(wanted, key=lambda photo: own[photo] is None):
            name = own[photo]
            if name is None or name in names.values():
                name = self._free(wanted[photo], {*names.values(), *(set(wanted.values()) - {wanted[photo]})})
            names[photo] = name
        return {photo: names[photo] for photo in search.photos}

    def _own(self, name: str, photo: Path) -> str | None:
        """The folder, of those named like the photograph, that holds its result from before."""
        number, candidate = 1, name
        while reports := self._reports(candidate):
            if all(self._belongs(report.get("photo"), photo) for report in reports):
                return candidate
            number += 1
            candidate = f"{name}-{number}"
        return None

    def _free(self, name: str, used: set[str]) -> str:
        number, candidate = 1, name
        while candidate in used or self._reports(candidate):
            number += 1
            candidate = f"{name}-{number}"
        return candidate

    def _reports(self, name: str) -> list[dict[str, Any]]:
        """Of the results that a photograph with this folder has, one of all its faces or one of its first."""
        reports = (read_report(self.output / folder) for folder in (name, face_folder(name, 0)))
        return [report for report in reports if report is not None]

    def _belongs(self, recorded: object, photo: Path) -> bool:
        """A result belongs to its photograph's place, seen from the output folder, and to its content."""
        if not isinstance(recorded, dict):
            return recorded == photo.name  # of an earlier version, which knew no more
        return recorded.get("path") == self.place(photo) and recorded.get("sha256") == _content(photo)

    def place(self, photo: Path) -> str:
        try:
            return shown(Path(os.path.relpath(photo.resolve(), self.output.resolve())).as_posix())
        except ValueError:  # another drive
            return shown(photo.resolve().as_posix())


def _content(photo: Path) -> str | None:
    """sha256, or None for a file that cannot be read."""
    try:
        return sha256_of(photo)
    except OSError:
        return None
