"""``ftim reconstruct``: many photographs, one folder each; one bad photograph does not stop the rest."""

from __future__ import annotations

import glob
import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from ftim import __version__
from ftim.assets import sha256_of
from ftim.completion.weights import SHIPPED, weights_path
from ftim.errors import FtimError, OutputError, SettingsError
from ftim.morphable.open_head import OPEN_HEAD_PATH
from ftim.morphable.template import TEMPLATE_PATH
from ftim.outputs import whole_file
from ftim.photo import read_photo
from ftim.pipeline import Cover, Pipeline
from ftim.provenance import code_sha256
from ftim.quality import Quality, assess
from ftim.reconstruction import FORMATS, Format, Reconstruction
from ftim.report import Reporter
from ftim.result_folders import FAILURES, REPORT, check_replaceable, face_folder, folder_names, whole_folder

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


@dataclass(frozen=True)
class Settings:
    """What decides a result, besides the photograph."""

    texture_size: Literal[256, 512, 1024] = 512
    face: str = "largest"
    formats: tuple[Format, ...] = FORMATS
    completion: str = "ftim"
    cover: Cover = "skin"
    scores: bool = False

    def __post_init__(self) -> None:
        if self.face not in ("largest", "all") and not self.face.isdecimal():
            raise SettingsError(f"face must be largest, all, or a number from 0, got {self.face!r}")
        if unknown := [name for name in self.formats if name not in FORMATS]:
            raise SettingsError(f"there is no format {', '.join(unknown)}; there are {', '.join(FORMATS)}")

    def key(self, photo: Path, made_with: Mapping[str, str]) -> str:
        """sha256 of settings, photograph and ``made_with``: a finished folder belongs to one."""
        text = json.dumps([asdict(self), dict(made_with), sha256_of(photo)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def made_with(completion: str) -> dict[str, str]:
    """sha256 of all that makes a result, besides photograph and settings: code, head, template, and the weights of a
    completion that has such."""
    files = {"head": OPEN_HEAD_PATH, "template": TEMPLATE_PATH}
    if completion in SHIPPED:
        files["weights"] = weights_path(completion)
    return {"code": code_sha256()} | {name: sha256_of(path) for name, path in files.items()}


@dataclass(frozen=True)
class Outcome:
    """Of a run over many photographs."""

    done: int
    """Folders written now."""
    kept: int
    """Photographs whose folders were finished before."""
    failures: dict[str, str]
    """Reason by photograph."""
    warned: dict[str, list[str]]
    """What is to be known of results that were written now, by photograph; with several faces, of all of them."""


def find_photos(inputs: tuple[str, ...], output: Path | None = None) -> list[tuple[Path, str]]:
    """Files, folders (with all their photographs, at any depth) and patterns -> photographs, each with a name for its
    folder below the output folder (``folder_names``). Pictures inside ``output`` are results and are left out.

    Raises ``SettingsError`` for an input that is neither a file, a folder, nor a pattern that something matches.
    """
    found: dict[Path, Path] = {}
    results = None if output is None else output.expanduser().resolve()
    for text in inputs:
        path = Path(text).expanduser()
        if path.is_dir():
            inside = sorted(item for item in path.rglob("*") if item.suffix.lower() in SUFFIXES and item.is_file())
            if not inside:
                raise SettingsError(f"{path} holds no photograph ({', '.join(SUFFIXES)})")
            found |= {item: item.relative_to(path) for item in inside}
        elif path.is_file():
            found[path] = Path(path.name)
        else:
            matches = sorted(Path(item) for item in glob.glob(str(path), recursive=True) if Path(item).is_file())
            if not matches:
                raise SettingsError(f"{text}: there is no such file or folder, and nothing matches it as a pattern")
            found |= {item: Path(item.name) for item in matches}
    photos = [photo for photo in found if results is None or results not in photo.resolve().parents]
    return list(zip(photos, folder_names(found[photo] for photo in photos), strict=True))


class Batch:
    """The run: models made once, photographs one after the other."""

    def __init__(
        self, output: Path, settings: Settings, pipeline: Pipeline, reporter: Reporter | None, resume: bool = False
    ) -> None:
        """``reporter`` is needed where the settings ask for scores."""
        self.output = output
        self.settings = settings
        self.pipeline = pipeline
        self.reporter = reporter
        self.resume = resume
        self.made_with = made_with(settings.completion)

    @classmethod
    def build(cls, output: Path, settings: Settings, device: str = "auto", resume: bool = False) -> Batch:
        """With the embedded models. ``device`` auto takes a GPU where there is one. Raises ``AssetError``, and
        ``SettingsError`` for a device that is not there."""
        pipeline = Pipeline.build(device, texture_size=settings.texture_size)
        return cls(output, settings, pipeline, Reporter.build(pipeline) if settings.scores else None, resume)

    def run(self, photos: list[tuple[Path, str]], quiet: bool = False) -> Outcome:
        """All photographs; raises ``OutputError`` when nothing can be written."""
        done, kept = 0, 0
        failures: dict[str, str] = {}
        warned: dict[str, list[str]] = {}
        self._clear_leftovers()
        for photo, name in tqdm(photos, unit="photo", disable=quiet):
            try:
                key = self.settings.key(photo, self.made_with)
                if self.resume and self._finished(name, key):
                    kept += 1
                    continue
                qualities = self._one(photo, name, key)
                done += len(qualities)
                if texts := [warning.text for quality in qualities for warning in quality.warnings]:
                    warned[str(photo)] = texts
            except OutputError:
                raise
            except (FtimError, OSError) as error:
                failures[str(photo)] = f"{type(error).__name__}: {error}"
        path = self.output / FAILURES
        if failures:
            with whole_file(path) as temporary:
                temporary.write_text(json.dumps(failures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        else:
            path.unlink(missing_ok=True)
        return Outcome(done, kept, failures, warned)

    def _one(self, photo: Path, name: str, key: str) -> list[Quality]:
        pixels = read_photo(photo)
        indices = self._indices(pixels)
        several = self.settings.face == "all"
        folders = [self.output / (face_folder(name, index) if several else name) for index in indices]
        for path in folders:
            check_replaceable(path)
        qualities = []
        for index, path in zip(indices, folders, strict=True):
            started = time.perf_counter()
            result = self.pipeline.reconstruct(pixels, self.settings.completion, index, self.settings.cover)
            taken = time.perf_counter() - started
            qualities.append(assess(result))
            about = {"photo": photo.name, "face": index, "faces": len(indices), "key": key}
            with whole_folder(path) as folder:
                result.save(folder, self.settings.formats)
                self._report(folder, about, result, qualities[-1], taken)
        return qualities

    def _indices(self, pixels: np.ndarray) -> list[int]:
        if self.settings.face == "all":
            return list(range(max(1, len(self.pipeline.detector.detect(pixels)))))
        return [0 if self.settings.face == "largest" else int(self.settings.face)]

    def _report(
        self, folder: Path, about: dict[str, Any], result: Reconstruction, quality: Quality, seconds: float
    ) -> None:
        report = about | {
            "ftim": __version__,
            "made with": self.made_with,
            "settings": asdict(self.settings),
            "quality": asdict(quality),
            "seconds": round(seconds, 3),
        }
        if self.settings.scores and self.reporter is not None:
            report["scores"] = {
                drawn: {block: asdict(scores) for block, scores in blocks.items()}
                for drawn, blocks in self.reporter(result).items()
            }
        with whole_file(folder / REPORT) as temporary:
            temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _finished(self, name: str, key: str) -> bool:
        """Whether all faces of a photograph have their folders, made with these settings."""
        first = self.output / (face_folder(name, 0) if self.settings.face == "all" else name) / REPORT
        try:
            report = json.loads(first.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            return False
        others = [self.output / face_folder(name, index) / REPORT for index in range(1, report.get("faces", 1))]
        return bool(report.get("key") == key) and all(path.is_file() for path in others)

    def _clear_leftovers(self) -> None:
        """Remove what a killed run left unfinished."""
        if self.output.is_dir():
            for path in self.output.rglob(".*.tmp"):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
