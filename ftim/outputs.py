"""Writing files so that none is ever seen half-written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftim.errors import OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``, with its suffix, that becomes ``path`` when the block ends well.

    The folder is made when it is missing. After an error or an interruption in the block the temporary file is gone
    and ``path`` is what it was before. Raises ``OutputError`` for a full disk or a folder that cannot be written.
    """
    # A name of its own, however long the file's: as many bytes as a file system takes.
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    temporary = path.with_name(f".ftim-{os.getpid()}-{digest}.tmp{path.suffix[:16]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}. Make room there or choose another folder"
        ) from error
    finally:
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)
