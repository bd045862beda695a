"""How long each stage takes for a photograph, and the whole path, with other rasterisers beside ours.

    python benchmark/speed.py
    python benchmark/speed.py --threads 2 --batch 1 --stages rasterise,unwrap

Every stage is run several times on one batch of portraits, after a warm-up that compiles the kernels; the median time
divided by the batch is printed and written to results/speed.json. PyTorch3D is measured when it can be imported.
Ratios compare times of one run: a machine's clock and load differ between runs.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # started as a file, Python looks for modules beside it and not in the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch
import trimesh
import tyro
from PIL import Image
from tqdm import tqdm

from benchmark.provenance import ROOT, provenance
from benchmark.records import write_text
from ftim.build import COMPLETIONS, DEFAULT_COMPLETION
from ftim.completion import Completion
from ftim.completion.ftim import fit_parameters
from ftim.completion.settings import FULL
from ftim.completion.weights import load_weights, weights_path
from ftim.data import load_portraits
from ftim.detector import detect_face
from ftim.errors import FtimError
from ftim.face import align
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.reconstruction import to_uint8
from ftim.render.image import paste_back
from ftim.render.pose import pose_head
from ftim.render.pytorch3d_rasterizer import PyTorch3DRasterizer, pytorch3d_available
from ftim.render.rasterizer import Rasterizer
from ftim.render.torch_rasterizer import TorchRasterizer
from ftim.skin import skin_mask
from ftim.structures import Face

RASTERISE = "rasterise"
FORWARD = "ftim-forward"
"""The network alone, one face at 256."""
END_TO_END = "photo-to-overlay-texture-mesh"
LIMITS = {FORWARD: 80.0, END_TO_END: 250.0}
"""Milliseconds that these stages are meant to stay under on two cores; printed beside them."""


@dataclass(frozen=True)
class SpeedConfig:
    """What to time, and how."""

    threads: int = 2
    """CPU threads of torch."""
    batch: int = 16
    """Photographs worked on together, where a stage can."""
    size: int = 224
    """Side of the crop in pixels."""
    texture_size: int = 512
    """Side of the texture in texels."""
    repeats: int = 15
    """Timed runs of a stage; the median counts. Slow stages stop after ``seconds``."""
    seconds: float = 20.0
    """No further runs of a stage begin after so long."""
    device: str = "cpu"
    stages: str = "all"
    """all, or names separated by commas."""
    output: Path = ROOT / "results" / "speed.json"


@dataclass(frozen=True)
class Stage:
    """One thing that is timed."""

    name: str
    run: Callable[[], object]
    photos: int
    """How many photographs one run works on."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds a photograph."""

    name: str
    median: float
    fastest: float
    runs: int
    photos: int


def build_stages(pipeline: Pipeline, batch: int) -> list[Stage]:
    """The stages in the order of the pipeline, each on inputs that the ones before have given."""
    files = load_portraits("test").first(batch).photos
    photos = [read_photo(file.path) for file in files]
    detections = [detect_face(photo, 0, pipeline.detector) for photo in photos]
    crops = [align(photo, found, pipeline.size) for photo, found in zip(photos, detections, strict=True)]
    face = Face.concatenate(crops).to(pipeline.device)
    fit, skin = pipeline.fit(face)
    partial = pipeline.partial(face, fit, skin)
    completions = {name: pipeline.completion(name) for name in COMPLETIONS}
    texture = completions[COMPLETIONS[0]](partial, fit)
    rendering = pipeline.draw_texture(texture, fit, face)
    model = pipeline.model
    positions = pose_head(model, fit).positions

    def rasterise(rasterizer: Rasterizer, count: int) -> Callable[[], object]:
        return lambda: rasterizer(positions[:count], model.triangles, pipeline.size, pipeline.size)

    def paste() -> None:
        for index, photo in enumerate(photos):
            paste_back(photo, face[index], rendering[index])

    def everything_in_batch() -> None:
        found, seen = pipeline.fit(face)
        completed = completions[DEFAULT_COMPLETION](pipeline.partial(face, found, seen), found)
        pipeline.draw_texture(completed, found, face)

    network = load_weights(weights_path(DEFAULT_COMPLETION), pipeline.device).network
    side = FULL.size
    maps = torch.rand(1, network.settings.inputs, side, side, device=pipeline.device)
    parameters = fit_parameters(fit[0])

    count = len(photos)
    stages = [
        Stage("detect", lambda: [detect_face(photo, 0, pipeline.detector) for photo in photos], count),
        Stage("align", lambda: [align(*pair, pipeline.size) for pair in zip(photos, detections, strict=True)], count),
        Stage("fit", lambda: pipeline.regressor(face), count),
        Stage("skin", lambda: skin_mask(face, fit, model, pipeline.rasterizer), count),
        Stage("relight", lambda: pipeline.regressor.relight(face, fit, skin), count),
        Stage(RASTERISE, rasterise(pipeline.rasterizer, count), count),
        Stage(f"{RASTERISE}-torch-twin", rasterise(TorchRasterizer(), 1), 1),
        Stage("unwrap", lambda: pipeline.partial(face, fit, skin), count),
        Stage("shading", lambda: pipeline.uv.shading(fit), count),
        *(
            Stage(f"complete-{name}", lambda run=run: run(partial, fit), count)  # type: ignore[misc]
            for name, run in completions.items()
        ),
        Stage(FORWARD, lambda: network(maps, parameters), 1),
        Stage("render", lambda: pipeline.draw_texture(texture, fit, face), count),
        Stage("paste-back", paste, count),
        Stage("crop-to-overlay", everything_in_batch, count),
        Stage("photo-to-overlay", lambda: paste_one(pipeline, photos[0]), 1),
        Stage(END_TO_END, lambda: reconstruct_all(pipeline, completions[DEFAULT_COMPLETION], photos[0]), 1),
    ]
    if pytorch3d_available():
        stages.append(Stage(f"{RASTERISE}-pytorch3d", rasterise(PyTorch3DRasterizer(), count), count))
    return stages


def paste_one(pipeline: Pipeline, photo: Any) -> object:
    """One photograph through the whole path, detection and the full-size overlay included."""
    result = pipeline.reconstruct(photo)
    return paste_back(result.photo, result.face, result.rendering)


def reconstruct_all(pipeline: Pipeline, completion: Completion, photo: Any) -> object:
    """A decoded photograph -> overlay at its own size, 8-bit texture and albedo maps, and the textured mesh.

    With a completion that is loaded already, as a program that takes many photographs has it.
    """
    face = pipeline.face(photo)
    fit, skin = pipeline.fit(face)
    texture = completion(pipeline.partial(face, fit, skin), fit)
    overlay = paste_back(photo, face, pipeline.draw_texture(texture, fit, face))
    maps = to_uint8(texture.texture), to_uint8(texture.albedo)
    model = pipeline.model
    # Corners of the UV chart are the mesh's vertices, so that seams of the atlas are kept.
    corners = model.vertices(fit.identity, fit.expression)[0, model.triangles].reshape(-1, 3)
    mesh = trimesh.Trimesh(
        corners.cpu().numpy(),
        np.arange(len(corners)).reshape(-1, 3),
        visual=trimesh.visual.TextureVisuals(
            uv=model.uv[model.uv_triangles].reshape(-1, 2).cpu().numpy() * (1, -1) + (0, 1),
            image=Image.fromarray(maps[1]),
        ),
        process=False,
    )
    return overlay, maps, mesh


def measure(stage: Stage, config: SpeedConfig) -> Timing:
    """Time a stage after one run that does not count."""
    device = torch.device(config.device)
    started = time.perf_counter()
    _timed(stage, device)
    times: list[float] = []
    while len(times) < config.repeats and (not times or time.perf_counter() - started < config.seconds):
        times.append(_timed(stage, device) * 1000 / stage.photos)
    return Timing(stage.name, statistics.median(times), min(times), len(times), stage.photos)


@torch.no_grad()
def _timed(stage: Stage, device: torch.device) -> float:
    """Seconds of one run, to the end of what it has started on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    stage.run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def ratios(timings: list[Timing]) -> dict[str, float]:
    """How many times as long as ours each other rasteriser takes."""
    medians = {timing.name: timing.median for timing in timings}
    if RASTERISE not in medians:
        return {}
    others = [name for name in medians if name.startswith(f"{RASTERISE}-")]
    return {f"{name} / {RASTERISE}": round(medians[name] / medians[RASTERISE], 2) for name in others}


def report(config: SpeedConfig, timings: list[Timing]) -> dict[str, Any]:
    """What is written: settings, provenance, milliseconds a photograph, ratios. No path of this machine."""
    settings = {name: value for name, value in asdict(config).items() if name != "output"}
    rows = [
        {**asdict(timing), "median": round(timing.median, 3), "fastest": round(timing.fastest, 3)} for timing in timings
    ]
    return {
        "unit": "milliseconds a photograph",
        "settings": settings,
        "pytorch3d": pytorch3d_available(),
        "stages": rows,
        "ratios": ratios(timings),
        "provenance": provenance(torch.device(config.device)),
    }


def run(config: SpeedConfig) -> dict[str, Any]:
    """Time the chosen stages and write the report. Raises ``FtimError`` and, for unknown stages, ``ValueError``."""
    torch.set_num_threads(config.threads)
    pipeline = Pipeline.build(config.device, config.size, config.texture_size)
    stages = build_stages(pipeline, config.batch)
    names = [stage.name for stage in stages]
    chosen = names if config.stages == "all" else config.stages.split(",")
    if unknown := set(chosen) - set(names):
        raise ValueError(f"there is no stage {sorted(unknown)}; choose among {', '.join(names)}")
    bar = tqdm([stage for stage in stages if stage.name in chosen], unit="stage")
    timings = []
    for stage in bar:
        bar.set_description(stage.name)
        timings.append(measure(stage, config))
    result = report(config, timings)
    write_text(config.output, json.dumps(result, indent=2) + "\n")
    return result


def main() -> None:
    """Run and print; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(SpeedConfig, description=__doc__)
    try:
        result = run(config)
    except (FtimError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"\nMilliseconds a photograph, {config.threads} thread(s), {result['provenance']['device']}")
    for row in result["stages"]:
        aim = f"   aim {LIMITS[row['name']]:g} on 2 threads" if row["name"] in LIMITS else ""
        print(f"{row['name']:32}{row['median']:10.2f}   batch {row['photos']}{aim}")
    for name, ratio in result["ratios"].items():
        print(f"{name}: {ratio:.1f}")
    if not result["pytorch3d"]:
        print("PyTorch3D is not installed: not compared.")
    print(f"\nWritten to {config.output}")


if __name__ == "__main__":
    main()
