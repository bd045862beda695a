"""What a case may not do: write outside its folder, start programs, connect."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
TWO_PATHS = ("os.rename", "os.link", "os.symlink")
CHANGES = (*TWO_PATHS, "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.chown")
PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")


class Guard:
    """A hook of ``sys.addaudithook``: writing outside a case's folder, programs, connections.

    It sees what Python does. Files that code in C opens are found afterwards, where they lie beside the folder.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        """In words, since the last case began."""
        self._folder: str | None = None

    @contextmanager
    def watching(self, folder: Path) -> Iterator[None]:
        """During a case, whose temporary files are to lie in its folder, and relative paths beside it."""
        self.seen = []
        before, temporary = os.getcwd(), tempfile.tempdir
        os.chdir(folder.parent)
        tempfile.tempdir = str(folder)
        self._folder = os.path.realpath(folder)
        try:
            yield
        finally:
            self._folder, tempfile.tempdir = None, temporary
            os.chdir(before)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """As Python calls it."""
        if self._folder is None:
            return
        if event in PROGRAMS:
            self.seen.append(f"{event} {arguments[:1]}"[:200])
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            self._check(event, arguments[0], -1)
        elif event in CHANGES:
            if event in ("os.rename", "os.link"):
                self._check(event, arguments[0], arguments[2])
            second = event in TWO_PATHS
            self._check(event, arguments[int(second)], -1 if event == "os.truncate" else arguments[-1])

    def _check(self, event: str, path: Any, folder: int) -> None:
        """``folder`` is an open one that the path is relative to, or -1."""
        if not isinstance(path, (str, bytes)) or self._folder is None:
            return
        text = os.path.join(f"/proc/self/fd/{folder}" if folder >= 0 else "", os.fsdecode(path))
        place = os.path.join(os.path.realpath(os.path.dirname(text) or "."), os.path.basename(text))
        if place not in (self._folder, os.devnull) and not place.startswith(self._folder + os.sep):
            self.seen.append(f"{event} outside its folder: {os.path.basename(text)}"[:200])
