"""What the demo keeps of a visitor: the last head, and a folder for its files; gone when the page is closed."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from ftim.finder import FoundFace
from ftim.reconstruction import Reconstruction

LONGEST_STAY = 3600.0
"""Seconds without a sign of life after which a session is removed too."""
MOST_SESSIONS = 64
"""The one that was silent longest makes room for another."""


@dataclass
class Session:
    """Of one open page."""

    folder: TemporaryDirectory[str]
    faces: list[FoundFace] = field(default_factory=list)
    """Of the photograph at hand."""
    result: Reconstruction | None = None
    uploads: set[Path] = field(default_factory=set)
    """Photographs that this page sent."""
    last_seen: float = field(default_factory=time.monotonic)
    _number: int = 0

    def fresh_folder(self) -> Path:
        """An empty folder in the place of the one before."""
        parent = Path(self.folder.name).parent
        self.folder.cleanup()
        self.folder = TemporaryDirectory(dir=parent)
        return Path(self.folder.name)

    def next_file(self, name: str, suffix: str) -> Path:
        """A path in the folder that no page has seen yet; the file before it is removed."""
        folder = Path(self.folder.name)
        for old in folder.glob(f"{name}-*.{suffix}"):
            old.unlink(missing_ok=True)
        self._number += 1
        return folder / f"{name}-{self._number}.{suffix}"

    def another_folder(self) -> Path:
        """An empty folder inside the session's; what was there stays."""
        self._number += 1
        folder = Path(self.folder.name) / f"call-{self._number}"
        folder.mkdir()
        return folder

    def remove(self) -> None:
        """Files and photographs."""
        self.faces, self.result = [], None
        self.folder.cleanup()
        for path in self.uploads:
            path.unlink(missing_ok=True)


class Sessions:
    """By the key that Gradio gives to an open page. Safe to use from several threads."""

    def __init__(self, parent: Path, stay: float | None = None) -> None:
        """``parent`` is a folder that exists and holds all files of the server; ``stay`` is ``LONGEST_STAY`` by
        default."""
        self.parent = parent
        self.stay = LONGEST_STAY if stay is None else stay
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def get(self, key: str) -> Session:
        """That of a page; a new one when there is none."""
        with self._lock:
            self._make_room(keep=key)
            session = self._open.get(key)
            if session is None:
                session = self._open[key] = Session(TemporaryDirectory(dir=self.parent))
            session.last_seen = time.monotonic()
            return session

    def close(self, key: str) -> None:
        """Remove what was kept of a page."""
        with self._lock:
            session = self._open.pop(key, None)
        if session is not None:
            session.remove()

    def close_all(self) -> None:
        """At the end of the server."""
        for key in list(self._open):
            self.close(key)

    def _make_room(self, keep: str) -> None:
        now = time.monotonic()
        others = sorted((session.last_seen, key) for key, session in self._open.items() if key != keep)
        too_many = len(others) + 1 - MOST_SESSIONS
        for place, (seen, key) in enumerate(others):
            if place < too_many or now - seen > self.stay:
                self._open.pop(key).remove()

    def sweep(self) -> None:
        """Close sessions that have been silent for ``stay``, and remove files as old that belong to none: photographs
        that were sent and not used, and copies of results of callers who do not say when they leave."""
        with self._lock:
            self._make_room(keep="")
            kept = {Path(session.folder.name) for session in self._open.values()}
            kept |= {self._below_parent(path) for session in self._open.values() for path in session.uploads}
        oldest = time.time() - self.stay
        for path in self.parent.iterdir():
            if path not in kept and _newest(path) < oldest:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def _below_parent(self, path: Path) -> Path:
        """The file or folder in ``parent`` that is ``path`` or holds it; ``path`` itself when it lies elsewhere."""
        if not path.is_relative_to(self.parent):
            return path
        return self.parent / path.relative_to(self.parent).parts[0]

    def sweep_for_ever(self) -> None:
        """In a thread of the server, which ends with it."""

        def work() -> None:
            while True:
                time.sleep(min(60.0, max(1.0, self.stay / 4)))
                with suppress(OSError):  # a file that is gone meanwhile; what is left comes next time
                    self.sweep()

        threading.Thread(target=work, name="sweep", daemon=True).start()


def _newest(path: Path) -> float:
    """When a file, or the last file of a folder, was written; seconds of ``time.time``."""
    return max((item.lstat().st_mtime for item in (path, *path.rglob("*"))), default=0.0)
