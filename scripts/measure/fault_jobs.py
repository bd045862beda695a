"""The programs that ``faults.py`` disturbs: what is run, what half-written would be, and what must come out."""

from __future__ import annotations

import csv
import json
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar, Self

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open

from ftim.assets import sha256_of
from ftim.cli.folders import FAILURES, MARKER, REPORT, read_report
from ftim.data import load_portraits
from ftim.pipeline import Pipeline
from ftim.reconstruction import to_uint8
from ftim.render.image import ImageRenderer
from ftim.render.views import turned

PHOTOS = 4
SIDE = 320
STEPS = 8
TRIPLETS = 2
YAWS = {"left": -30.0, "front": 0.0, "right": 30.0}
PRESET = "ftim_no_sym_mrf"
"""Without the loss that needs a network of 80 MB."""
PAPER = 0.8


@dataclass(frozen=True)
class Job(ABC):
    """A program that writes to one folder and can be resumed."""

    name: ClassVar[str]
    inputs: Path

    @classmethod
    @abstractmethod
    def build(cls, work: Path) -> Self:
        """Makes the inputs in a folder."""

    @abstractmethod
    def command(self, output: Path, resume: bool) -> list[str]:
        """Arguments of the interpreter."""

    @abstractmethod
    def half_written(self, output: Path) -> list[str]:
        """What is wrong with what lies there, at any moment."""

    @abstractmethod
    def differs(self, output: Path, undisturbed: Path) -> list[str]:
        """What a run that ended is lacking, has twice, or has otherwise than the undisturbed one."""


class Reconstruct(Job):
    """``ftim reconstruct`` over a few portraits."""

    name = "reconstruct"

    @classmethod
    def build(cls, work: Path) -> Self:
        folder = work / "photos"
        folder.mkdir(exist_ok=True)
        for photo in load_portraits("test").first(PHOTOS).photos:
            shutil.copy(photo.path, folder)
        return cls(folder)

    def command(self, output: Path, resume: bool) -> list[str]:
        options = ["-o", str(output), "--texture-size", "256", *(["--resume"] if resume else [])]
        return ["-m", "ftim.cli", "reconstruct", str(self.inputs), *options]

    def half_written(self, output: Path) -> list[str]:
        wrong = []
        for folder in sorted(output.iterdir()) if output.is_dir() else ():
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            report = read_report(folder)
            if report is None:
                wrong.append(f"{folder.name} has no report")
                continue
            wrong += [
                f"{folder.name}/{name} is not what the report says"
                for name, digest in report["files"].items()
                if not (folder / name).is_file() or sha256_of(folder / name) != digest
            ]
        return wrong

    def differs(self, output: Path, undisturbed: Path) -> list[str]:
        wrong = [f"left behind: {path.name}" for path in output.rglob(".*")]
        if (output / FAILURES).exists():
            wrong.append("photographs failed")
        mine, theirs = ({path.name: _contents(path) for path in _folders(root)} for root in (output, undisturbed))
        if set(mine) != set(theirs):
            wrong.append(f"folders {sorted(mine)} instead of {sorted(theirs)}")
        return wrong + [f"{name} differs" for name in mine if mine[name] != theirs.get(name)]


class Benchmark(Job):
    """``benchmark/run.py`` over a few portraits."""

    name = "benchmark"

    @classmethod
    def build(cls, work: Path) -> Self:
        return cls(work)

    def command(self, output: Path, resume: bool) -> list[str]:
        options = [
            "--methods",
            "mirror,mean",
            "--limit",
            str(2 * PHOTOS),
            "--batch-size",
            "2",
            "--results",
            str(output),
        ]
        return ["benchmark/run.py", *options, *(["--resume"] if resume else [])]

    def half_written(self, output: Path) -> list[str]:
        return [f"{path.name} is no JSON" for path in output.rglob("*.json") if not _is_json(path)]

    def differs(self, output: Path, undisturbed: Path) -> list[str]:
        wrong = []
        for path in sorted(undisturbed.glob("portraits/*.json")):
            mine, theirs = (json.loads((root / "portraits" / path.name).read_text()) for root in (output, undisturbed))
            names = [row["name"] for row in mine["rows"]]
            if len(names) != len(set(names)):
                wrong.append(f"{path.name} has a photograph twice")
            if [_scores(row) for row in mine["rows"]] != [_scores(row) for row in theirs["rows"]]:
                wrong.append(f"{path.name} differs")
        return wrong


class Train(Job):
    """``ftim train`` on triplets that are drawn."""

    name = "train"

    @classmethod
    def build(cls, work: Path) -> Self:
        folder = work / "triplets"
        pipeline = Pipeline.build(texture_size=256)
        for photo in load_portraits("test").first(TRIPLETS).photos:
            result = pipeline.reconstruct(photo.path, "mirror")
            made = folder / photo.path.stem
            made.mkdir(parents=True)
            for view, yaw in YAWS.items():
                fit = turned(result.fit, yaw)
                fit = replace(fit, camera=fit.camera.resized(SIDE, SIDE))
                paper = torch.full((1, 3, SIDE, SIDE), PAPER)
                drawn = ImageRenderer(pipeline.model, pipeline.rasterizer)(result.texture.albedo, fit, paper)
                Image.fromarray(to_uint8(drawn.overlay)).save(made / f"{view}.jpg", quality=95)
        return cls(folder)

    def command(self, output: Path, resume: bool) -> list[str]:
        options = [
            "--preset", PRESET, "--sources", "folder", "--triplets", str(self.inputs), "--steps", str(STEPS),
            "--warmup", "2", "--checkpoint-every", "1", "--output", str(output), "--cache", str(output / "cache"),
            "--device", "cpu",
        ]  # fmt: skip
        going_on = resume and (output / PRESET / "checkpoint.pt").is_file()
        return ["-m", "ftim.cli", "train", *options, *(["--resume"] if going_on else [])]

    def half_written(self, output: Path) -> list[str]:
        wrong = []
        for path in output.rglob("*.safetensors"):
            try:
                with safe_open(path, "pt") as file:
                    file.keys()
            except (SafetensorError, OSError) as error:
                if ".tmp" not in path.name:
                    wrong.append(f"{path.name}: {error}")
        for path in output.rglob("checkpoint.pt"):
            try:
                torch.load(path, weights_only=True, map_location="cpu")
            except (OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
                wrong.append(f"{path.name}: {error}")
        return wrong

    def differs(self, output: Path, undisturbed: Path) -> list[str]:
        mine, theirs = (_curve(root / PRESET / "log.csv") for root in (output, undisturbed))
        if [row["step"] for row in mine] != [row["step"] for row in theirs]:
            return [f"steps {[row['step'] for row in mine]} instead of {[row['step'] for row in theirs]}"]
        return [f"step {a['step']} differs" for a, b in zip(mine, theirs, strict=True) if _losses(a) != _losses(b)]


JOBS: dict[str, type[Job]] = {job.name: job for job in (Reconstruct, Benchmark, Train)}


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _contents(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in folder.iterdir() if path.name not in (REPORT, MARKER)}


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def _scores(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if "seconds" not in name}


def _curve(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _losses(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if "second" not in name and "minute" not in name}
