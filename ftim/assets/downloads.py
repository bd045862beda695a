"""Resumable downloads over HTTP."""

from __future__ import annotations

import errno
import http.client
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

TIMEOUT_SECONDS = 5.0
"""For connecting and for each read."""
SLOW_SECONDS = 20.0
LEAST_BYTES_A_SECOND = 2000
"""A server that is slower over ``SLOW_SECONDS`` is given up, and another source asked."""
ATTEMPTS = 4
"""How often a connection that breaks in the middle is taken up again."""
_CHUNK = 1 << 18
_STORAGE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG})


class SourceFailedError(Exception):
    """One source could not deliver a file; the text is the reason. Other sources may still be tried."""


class WrongContentError(SourceFailedError):
    """A source delivered something else than the expected file."""


def is_storage_error(error: BaseException) -> bool:
    """Whether an error is about the disk (full, read-only, no permission) and not about the network."""
    return isinstance(error, OSError) and error.errno in _STORAGE_ERRORS


def download(
    url: str,
    part: Path,
    size: int,
    timeout: float = TIMEOUT_SECONDS,
    quiet: bool = False,
    slow_after: float = SLOW_SECONDS,
) -> None:
    """Download a file of a known size in bytes to ``part``, going on where an earlier attempt stopped.

    On failure ``part`` keeps what came. Raises ``SourceFailedError`` when the server cannot be reached, refuses, is too
    slow or breaks off again and again, ``WrongContentError`` when it offers a file of another size, and ``OSError``
    when ``part`` cannot be written. The content is not checked here.
    """
    if part.exists() and part.stat().st_size > size:
        part.unlink()
    reason = "the connection broke off"
    with tqdm(total=size, unit="B", unit_scale=True, desc=part.stem, disable=quiet, leave=False) as bar:
        for _ in range(ATTEMPTS):
            present = part.stat().st_size if part.exists() else 0
            bar.n = present
            bar.refresh()
            if present == size:
                return
            try:
                _continue_download(url, part, present, size, timeout, bar, slow_after)
            except (http.client.HTTPException, OSError) as error:
                if is_storage_error(error):
                    raise
                reason = f"the connection broke off: {error!r}"
                if not part.exists() or part.stat().st_size <= present:
                    break
    if part.exists() and part.stat().st_size == size:
        return
    raise SourceFailedError(reason)


def _continue_download(
    url: str, part: Path, present: int, size: int, timeout: float, bar: tqdm, slow_after: float
) -> None:
    """One connection; returns when the server is done, which may be too early."""
    request = urllib.request.Request(url, headers={"User-Agent": "ftim", "Accept-Encoding": "identity"})
    if present:
        request.add_header("Range", f"bytes={present}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()
            return
        raise SourceFailedError(f"the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise SourceFailedError(f"no connection: {error.reason}") from error
    except OSError as error:
        raise SourceFailedError(f"no connection: {error}") from error
    with response:
        start = f"bytes {present}-"
        resumed = present > 0 and response.headers.get("Content-Range", "").startswith(start)
        if not resumed and present:
            if response.status == http.HTTPStatus.PARTIAL_CONTENT:
                raise SourceFailedError(f"the server sent {response.headers.get('Content-Range')} instead of {start}")
            present = bar.n = 0  # the server does not resume: from the beginning
        length = response.headers.get("Content-Length")
        if length is not None and present + int(length) != size:
            raise WrongContentError(f"it offers a file of {present + int(length)} bytes instead of {size}")
        with open(part, "ab" if resumed else "wb") as file:
            since, came = time.monotonic(), 0
            while present < size:
                chunk = response.read1(min(_CHUNK, size - present))
                if not chunk:
                    break
                came += len(chunk)
                if (seconds := time.monotonic() - since) > slow_after:
                    if came < LEAST_BYTES_A_SECOND * seconds:
                        raise SourceFailedError(f"the server is too slow: {came / seconds:.0f} bytes a second")
                    since, came = time.monotonic(), 0
                file.write(chunk)
                present += len(chunk)
                bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())
