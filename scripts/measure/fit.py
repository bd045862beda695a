"""How well the embedded regressor fits photographs, and how fast.

    python -m scripts.measure.fit --dataset celeba --data FOLDER --json results/fit_celeba.json
    python -m scripts.measure.fit --dataset frll --limit 24 --sheet /tmp/sheet.png

Prints the share of photos that were fitted; median and 95th percentile over photos of the mean distance between
fitted and detected mesh landmarks, over the distance between the outer eye corners; the size of the identity
coefficients; and the milliseconds a photo on one core in batches of 16, geometry and light, without detection.
"""

from __future__ import annotations

import dataclasses
import json
import math
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch
import tyro
from tqdm import tqdm

from ftim.data import load_celeba, load_frll, load_official_portraits, load_portraits, load_webmorph
from ftim.data.photo_set import PhotoSet
from ftim.detector import FaceDetector, detect_face
from ftim.errors import FtimError
from ftim.face import align
from ftim.morphable.open_head import load_open_head
from ftim.morphable.template import load_template_albedo
from ftim.outputs import whole_file
from ftim.photo import read_photo
from ftim.regressors import LandmarkRegressor, landmark_error
from ftim.render.rasterizer import default_rasterizer
from ftim.structures import Face, Fit
from scripts.figures.fit_sheet import draw_sheet

BATCH = 16
Dataset = Literal["celeba", "frll", "frll-validation", "official", "official-validation", "portraits", "webmorph"]
HIDDEN: tuple[Dataset, ...] = ("celeba", "portraits")
"""Their terms do not let photographs be shown."""
LARGEST_ERROR = 0.05
"""A fit whose landmarks are farther off on average, in outer eye distances, counts as failed."""


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.measure.fit``."""

    dataset: Dataset = "portraits"
    """frll, official and webmorph are what may be tuned on; all others measure only."""
    data: Path | None = None
    """Folder of the data set; by default under FTIM_DATA."""
    limit: int | None = None
    """At most this many photos, spread evenly over the set."""
    json: Path | None = None
    """Where to write the figures and a row per photo."""
    sheet: Path | None = None
    """Where to draw 24 fits; only for data whose licence lets pictures be shown."""


@dataclass(frozen=True)
class Row:
    """The outcome on one photo."""

    name: str
    error: float | None
    """Mean landmark error over the outer eye distance."""
    identity_rms: float | None
    reason: str | None
    """Why it failed, if it did."""


def photo_set(config: Config) -> PhotoSet:
    """The photos to fit."""
    if config.dataset == "celeba":
        photos = load_celeba(config.data)
    elif config.dataset == "webmorph":
        photos = load_webmorph(config.data)
    elif config.dataset.startswith("frll"):
        photos = load_frll(config.data).photos("validation" if config.dataset.endswith("validation") else "train")
    elif config.dataset.startswith("official"):
        validation = config.dataset.endswith("validation")
        photos = load_official_portraits("validation" if validation else "train", config.data)
    else:
        photos = load_portraits("test", config.data)
    if config.limit is None or config.limit >= len(photos):
        return photos
    chosen = tuple(photos.photos[i * len(photos) // config.limit] for i in range(config.limit))
    return dataclasses.replace(photos, photos=chosen)


def find_faces(photos: PhotoSet) -> tuple[list[str], list[Face], list[Row]]:
    """Names and crops of the photos with a face, and rows of those without."""
    detector = FaceDetector()
    names: list[str] = []
    faces: list[Face] = []
    failed: list[Row] = []
    for photo in tqdm(photos.photos, desc="detecting"):
        try:
            pixels = read_photo(photo.path)
            faces.append(align(pixels, detect_face(pixels, detector=detector)))
            names.append(photo.name)
        except FtimError as error:
            failed.append(Row(photo.name, None, None, f"{type(error).__name__}: {error}"))
    return names, faces, failed


def fit_all(regressor: LandmarkRegressor, faces: list[Face]) -> tuple[Fit, dict[str, float]]:
    """The fits, and medians over full batches of the milliseconds a photo: by the clock, and of processor time.

    On a machine that does nothing else the two agree.
    """
    fits: list[Fit] = []
    clock: list[float] = []
    processor: list[float] = []
    regressor(Face.concatenate(faces[:BATCH]))  # compiles the rasteriser, warms the caches
    for start in tqdm(range(0, len(faces), BATCH), desc="fitting"):
        batch = Face.concatenate(faces[start : start + BATCH])
        began, began_processor = time.perf_counter(), time.process_time()
        fits.append(regressor(batch))
        if len(batch) == BATCH:
            clock.append(1e3 * (time.perf_counter() - began) / BATCH)
            processor.append(1e3 * (time.process_time() - began_processor) / BATCH)
    medians = {"milliseconds": clock, "processor_milliseconds": processor}
    return Fit.concatenate(fits), {name: statistics.median(values or [math.nan]) for name, values in medians.items()}


def main(config: Config) -> None:
    """Detect, fit, print, write."""
    if config.sheet is not None and config.dataset in HIDDEN:
        raise SystemExit(f"the photos of {config.dataset} may not be shown; draw the sheet from another data set")
    torch.set_num_threads(1)
    photos = photo_set(config)
    names, faces, rows = find_faces(photos)
    model = load_open_head()
    regressor = LandmarkRegressor(model, default_rasterizer(), load_template_albedo())
    fit, times = fit_all(regressor, faces)
    errors = torch.cat([landmark_error(model, face, fit[i]) for i, face in enumerate(faces)]).mean(1)
    for i, name in enumerate(names):
        rms = float(fit.identity[i].square().mean().sqrt())
        good = bool(errors[i] < LARGEST_ERROR)  # false for a fit that is not a number as well
        rows.append(Row(name, float(errors[i]), rms, None if good else "the fit is off"))
    successes = sum(row.reason is None for row in rows)
    summary = {
        "dataset": photos.name,
        "photos": len(rows),
        "success": successes / len(rows),
        "error_median": float(errors.median()),
        "error_95": float(errors.quantile(0.95)),
        "error_max": float(errors.max()),
        "identity_rms": float(fit.identity.square().mean().sqrt()),
        "identity_largest": float(fit.identity.abs().max()),
    } | times
    for key, value in summary.items():
        print(f"{key:24} {value:.4f}" if isinstance(value, float) else f"{key:24} {value}")
    if config.json is not None:
        record = {
            "summary": summary,
            "settings": dataclasses.asdict(regressor.settings),
            "model": {"name": model.name, "version": model.version},
            "versions": {name: version(name) for name in ("torch", "mediapipe", "numpy")}
            | {"python": sys.version.split()[0]},
            "machine": platform.machine(),
            "rows": [dataclasses.asdict(row) for row in sorted(rows, key=lambda row: row.name)],
        }
        with whole_file(config.json) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if config.sheet is not None:
        draw_sheet(model, faces, fit, config.sheet)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
