"""What ``benchmark/speed.py`` times inside one process: what users call, then the parts of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmark.timing.measure import Stage, yardstick
from ftim.data import load_portraits
from ftim.face import align
from ftim.finder import FoundFace
from ftim.photo import open_photo, read_photo
from ftim.pipeline import Pipeline
from ftim.reconstruction import FORMATS, Format, Reconstruction
from ftim.render.pytorch3d_rasterizer import PyTorch3DRasterizer, pytorch3d_available
from ftim.render.rasterizer import Rasterizer
from ftim.render.surface import rasterize_head
from ftim.render.torch_rasterizer import TorchRasterizer
from ftim.skin import skin_mask
from ftim.structures import Face

RASTERISE = "rasterise"
SMALL = "reconstruct, face of 224 pixels"
LARGE = "reconstruct, face of 450 pixels in 1024 x 1024"
MANY = "reconstruct_many"
SAVE = "save"
AIMS = {SMALL: 100.0, LARGE: 200.0, MANY: 100.0, SAVE: 200.0}
"""Milliseconds that these are meant to stay under on two quiet cores; printed beside them."""


def build_stages(pipeline: Pipeline, limit: int | None = None) -> list[Stage]:
    """Everything, each on inputs that the ones before have given; ``limit`` photographs for ``reconstruct_many``."""
    files = [file.path for file in load_portraits("test").photos]
    found = pipeline.finder.one(open_photo(files[0]))
    small, large = with_face_of(found, 224, None), with_face_of(found, 450, 1024)
    result = pipeline.reconstruct(large)
    many = files[:limit]
    return [
        yardstick(),
        Stage(SMALL, lambda: pipeline.reconstruct(small)),
        Stage(LARGE, lambda: pipeline.reconstruct(large)),
        Stage("the same, all views of it drawn", lambda: pipeline.reconstruct(large).overlay),
        Stage(MANY, lambda: sum(1 for _ in pipeline.reconstruct_many(many)), len(many)),
        *save_stages(result),
        *part_stages(pipeline, found, result, large),
    ]


def with_face_of(found: FoundFace, pixels: int, side: int | None) -> np.ndarray:
    """The photograph scaled so that its face has so many pixels, in the middle of a square of ``side``."""
    left, top, right, bottom = found.box
    scale = pixels / max(right - left, bottom - top)
    photo = cv2.resize(found.photo.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if side is None:
        return np.asarray(photo)
    wide = cv2.copyMakeBorder(photo, side, side, side, side, cv2.BORDER_REPLICATE)
    y, x = round((top + bottom) / 2 * scale + side / 2), round((left + right) / 2 * scale + side / 2)
    return np.ascontiguousarray(wide[y : y + side, x : x + side])


def save_stages(result: Reconstruction) -> list[Stage]:
    """All files, and those of each format; the overlay is drawn each time."""

    def save(*formats: Format) -> Callable[[], object]:
        def run() -> None:
            vars(result).pop("rendering", None)
            with tempfile.TemporaryDirectory() as folder:
                result.save(Path(folder), formats)

        return run

    return [Stage(SAVE, save(*FORMATS)), *(Stage(f"{SAVE} {name}", save(name)) for name in FORMATS)]


def part_stages(pipeline: Pipeline, found: FoundFace, result: Reconstruction, photo: np.ndarray) -> list[Stage]:
    """The stages of one reconstruction, and other rasterisers on a batch of 16 crops of 224."""
    detection = pipeline.detector.detect(photo)[0]
    view = result.view
    head = rasterize_head(pipeline.model, pipeline.rasterizer, view.fit)
    crop, fit = found.face, found.fit
    sixteen = Face.concatenate([align(photo, detection, pipeline.size)] * 16).to(pipeline.device)
    posed = rasterize_head(pipeline.model, pipeline.rasterizer, pipeline.regressor(sixteen)).posed

    def rasterise(rasterizer: Rasterizer, count: int) -> Callable[[], object]:
        return lambda: rasterizer(posed.positions[:count], pipeline.model.triangles, pipeline.size, pipeline.size)

    stages = [
        Stage("detect", lambda: pipeline.detector.detect(photo)),
        Stage("fit", lambda: pipeline.regressor(crop)),
        Stage("skin mask", lambda: skin_mask(crop, fit, pipeline.model, pipeline.rasterizer)),
        Stage("unwrap", lambda: pipeline.uv(view.photo, view.fit, view.skin, head)),
        Stage("unwrap, slow twin", lambda: pipeline.uv.unwrap_whole(view.photo, view.fit, view.skin)),
        Stage("complete", lambda: pipeline.complete(view)),
        Stage("complete by mirroring", lambda: pipeline.complete(view, "mirror")),
        Stage("draw", lambda: pipeline.draw(result.texture, view, "skin")),
        Stage(RASTERISE, rasterise(pipeline.rasterizer, 16), 16),
        Stage(f"{RASTERISE}, slow twin", rasterise(TorchRasterizer(), 1)),
    ]
    if pytorch3d_available():
        stages.append(Stage(f"{RASTERISE}, PyTorch3D", rasterise(PyTorch3DRasterizer(), 16), 16))
    return stages


def portrait(number: int) -> np.ndarray:
    """A photograph for other measurements."""
    return read_photo(load_portraits("test").photos[number].path)
