"""``ftim reconstruct``: many photographs, one folder each; one bad photograph does not stop the rest."""

from __future__ import annotations

import errno
import json
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ftim import __version__
from ftim.assets import sha256_of
from ftim.cli.folders import (
    FAILURES,
    REPORT,
    check_replaceable,
    clear_leftovers,
    face_folder,
    read_report,
    result_folder,
    shown,
    written_files,
)
from ftim.cli.naming import FolderNames
from ftim.cli.photo_search import Search
from ftim.cli.report import Reporter
from ftim.cli.settings import Settings, made_with
from ftim.errors import OutputError
from ftim.finder import FoundFace
from ftim.outputs import whole_file
from ftim.photo import Photograph, open_photo
from ftim.pipeline import Pipeline
from ftim.quality import Quality, assess
from ftim.reconstruction import Reconstruction

MOST_FACES = 10_000
"""That a report may speak of."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""After which no further photograph can be written either."""
_REASON = re.compile(r"\w+: ")


@dataclass(frozen=True)
class Outcome:
    """Of a run over many photographs."""

    done: int
    """Folders written now."""
    kept: int
    """Photographs whose folders were finished before."""
    failures: dict[str, str]
    """Reason by photograph, or by folder that could not be read."""
    warned: dict[str, list[str]]
    """What is to be known of results that were written now, by photograph; with several faces, of all of them."""


class Batch:
    """The run: models made once, photographs one after the other."""

    def __init__(
        self,
        output: Path,
        settings: Settings,
        pipeline: Pipeline,
        reporter: Reporter | None,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        """``reporter`` is needed where the settings ask for scores; ``overwrite`` replaces files that were changed
        after they were written."""
        self.output = output
        self.settings = settings
        self.pipeline = pipeline
        self.reporter = reporter
        self.resume = resume
        self.overwrite = overwrite
        self.made_with = made_with(settings.completion)
        self.names = FolderNames(output)

    @classmethod
    def build(
        cls, output: Path, settings: Settings, device: str = "auto", resume: bool = False, overwrite: bool = False
    ) -> Batch:
        """With the embedded models. ``device`` auto takes a GPU where there is one. Raises ``AssetError``, and
        ``SettingsError`` for a device that is not there."""
        pipeline = Pipeline.build(device, texture_size=settings.texture_size)
        reporter = Reporter.build(pipeline) if settings.scores else None
        return cls(output, settings, pipeline, reporter, resume, overwrite)

    def run(self, search: Search, quiet: bool = False) -> Outcome:
        """All photographs; raises ``OutputError`` when nothing can be written."""
        done, kept = 0, 0
        failures = {shown(folder): reason for folder, reason in search.unreadable.items()}
        warned: dict[str, list[str]] = {}
        self._make_output()
        self._check_list()
        names = self.names(search)
        clear_leftovers((self.output / name).parent for name in names.values())
        for photo, name in tqdm(names.items(), unit="photo", disable=quiet):
            try:
                key = self.settings.key(photo, self.made_with)
                if self.resume and self._finished(name, key):
                    kept += 1
                    continue
                qualities = self._one(photo, name, key)
                done += len(qualities)
                if texts := [warning.text for quality in qualities for warning in quality.warnings]:
                    warned[shown(photo)] = texts
            except Exception as error:
                failures[shown(photo)] = shown(f"{type(error).__name__}: {error}")
                if isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_ERRORS:
                    with suppress(OutputError):
                        self._list_failures(failures)
                    raise
        self._list_failures(failures)
        return Outcome(done, kept, failures, warned)

    def _check_list(self) -> None:
        """Raises ``OutputError`` where the list of failures would replace a file of someone else."""
        path = self.output / FAILURES
        if path.exists() and not _is_list_of_failures(path):
            raise OutputError(
                f"{shown(path)} is there and is not ours; nothing was done. Move it, or choose another output folder"
            )

    def _make_output(self) -> None:
        try:
            self.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{shown(self.output)} cannot be written: {error.strerror or error}. Choose another folder"
            ) from error

    def _one(self, photo: Path, name: str, key: str) -> list[Quality]:
        faces = self._faces(open_photo(photo))
        several = self.settings.face == "all"
        folders = [self.output / (face_folder(name, index) if several else name) for index in faces]
        for path in folders:
            check_replaceable(path)
        origin = {"path": self.names.place(photo), "sha256": sha256_of(photo)}
        qualities = []
        for (index, face), path in zip(faces.items(), folders, strict=True):
            started = time.perf_counter()
            result = self.pipeline.reconstruct(photo, self.settings.completion, cover=self.settings.cover, found=face)
            taken = time.perf_counter() - started
            qualities.append(assess(result))
            with result_folder(path, self.overwrite) as folder:
                result.save(folder, self.settings.formats)
                about: dict[str, Any] = {
                    "photo": origin | {"turned": 90 * result.turn, "reduced": result.reduction},
                    "face": index,
                    "faces": len(faces),
                    "key": key,
                    "files": _files(folder, path),
                }
                self._report(folder, about, result, qualities[-1], taken)
        return qualities

    def _faces(self, photo: Photograph) -> dict[int, FoundFace]:
        """The faces that the settings ask for, by their numbers. Raises ``FaceError``."""
        if self.settings.face == "all":
            return dict(enumerate(self.pipeline.finder.every(photo)))
        index = 0 if self.settings.face == "largest" else int(self.settings.face)
        return {index: self.pipeline.finder.one(photo, index)}

    def _report(
        self, folder: Path, about: dict[str, Any], result: Reconstruction, quality: Quality, seconds: float
    ) -> None:
        report = (
            {"ftim": __version__}
            | about
            | {
                "made with": self.made_with,
                "settings": asdict(self.settings),
                "quality": asdict(quality),
                "seconds": round(seconds, 3),
            }
        )
        if self.settings.scores and self.reporter is not None:
            report["scores"] = {
                drawn: {block: asdict(scores) for block, scores in blocks.items()}
                for drawn, blocks in self.reporter(result).items()
            }
        with whole_file(folder / REPORT) as temporary:
            temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _finished(self, name: str, key: str) -> bool:
        """Whether all faces of a photograph have their folders, made with these settings."""
        several = self.settings.face == "all"
        first = self.output / (face_folder(name, 0) if several else name)
        faces = (read_report(first) or {}).get("faces", 1) if several else 1
        count = faces if isinstance(faces, int) and 1 <= faces <= MOST_FACES else 1
        folders = [first, *(self.output / face_folder(name, index) for index in range(1, count))]
        return all(_is_whole(folder, key) for folder in folders)

    def _list_failures(self, failures: dict[str, str]) -> None:
        """Written anew after each run; gone when nothing failed."""
        path = self.output / FAILURES
        if not failures:
            path.unlink(missing_ok=True)
            return
        with whole_file(path) as temporary:
            text = json.dumps({"ftim": __version__, "failures": failures}, indent=1, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")


def _is_list_of_failures(path: Path) -> bool:
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(value, dict):
        return False
    # Earlier versions wrote the reasons by photograph and nothing else.
    reasons = value["failures"] if set(value) == {"ftim", "failures"} else value
    if not isinstance(reasons, dict):
        return False
    return bool(reasons) and all(isinstance(reason, str) and _REASON.match(reason) for reason in reasons.values())


def _is_whole(folder: Path, key: str) -> bool:
    """Whether a result was made with these settings and has all its files."""
    report = read_report(folder)
    return (
        report is not None and report.get("key") == key and all((folder / name).is_file() for name in report["files"])
    )


def _files(folder: Path, path: Path) -> dict[str, str]:
    """sha256 by name: of the files in a new folder, and of those that an earlier run wrote to ``path`` and nobody
    changed, which stay."""
    new = {item.name: sha256_of(item) for item in sorted(folder.iterdir()) if not item.name.startswith(".")}
    return _unchanged(path, written_files(path)) | new


def _unchanged(path: Path, written: Mapping[str, Iterable[str]]) -> dict[str, str]:
    hashes = {name: sha256_of(path / name) for name in written if (path / name).is_file()}
    return {name: value for name, value in hashes.items() if value in written[name]}
