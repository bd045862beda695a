"""What a user gets for awkward photographs: a table, and a sheet to look at.

    FTIM_DATA=../data python -m scripts.measure.awkward

Writes ``results/robustness.json``, ``results/robustness.md`` from it, and ``results/figures/robustness.jpg``. The
photographs are made from people of FRLL (CC BY 4.0, credited) whom no training saw, and official portraits (public
domain), of which the same is true; ``awkward/`` beside them holds a few small files more.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from benchmark.runner.provenance import provenance
from benchmark.runner.records import write_text
from ftim.data import load_frll, load_official_portraits
from ftim.data.frll import LICENCE
from ftim.errors import FtimError
from ftim.photo import Photograph, read_photo
from ftim.pipeline import Pipeline
from ftim.quality import assess
from ftim.reconstruction import Reconstruction, to_uint8
from ftim.render.image import ImageRenderer
from ftim.render.views import turned
from scripts.figures.head_sheet import head
from scripts.figures.sheet import Sheet
from scripts.measure.awkward_cases import Case, cases

JSON, PAGE, SHEET = "results/robustness.json", "results/robustness.md", "results/figures/robustness.jpg"
SIDE = 176
LARGEST = 1_200_000
PLASTER = 0.86
PAPER = 0.7


@dataclass(frozen=True)
class AwkwardConfig:
    """Where the photographs are."""

    data: Path | None = None
    """By default FTIM_DATA."""


@dataclass(frozen=True)
class Row:
    """What became of one."""

    name: str
    wanted: str
    outcome: str
    """head, warning or refusal."""
    told: str
    """Warnings, or the error."""
    confidence: float
    faces: int
    """That ``--face all`` finds."""
    wanted_faces: int
    seconds: float

    @property
    def as_wanted(self) -> bool:
        """Whether it is what a user may expect."""
        enough = self.faces == self.wanted_faces or self.wanted == "any"
        if self.wanted == "any":
            return True
        return enough and (self.outcome == self.wanted or (self.wanted == "head" and self.outcome == "warning"))


def drawn(pipeline: Pipeline, result: Reconstruction, yaw: float, albedo: Tensor) -> Image.Image:
    """A picture of a head under its photograph's light."""
    fit = turned(result.fit, yaw, farther=1.3)
    fit = replace(fit, camera=fit.camera.resized(640, 640))
    whole = ImageRenderer(pipeline.model, pipeline.rasterizer)
    return Image.fromarray(to_uint8(whole(albedo, fit, torch.full((1, 3, 640, 640), PAPER)).overlay))


@torch.no_grad()
def try_one(pipeline: Pipeline, case: Case, sheet: Sheet) -> Row:
    """Reconstruct it as a user would, and add it to the sheet."""
    pixels = np.asarray(case.image.convert("RGB"))
    started = time.perf_counter()
    shown = torch.from_numpy(_square(case.image)).permute(2, 0, 1) / 255
    nothing = torch.ones_like(shown)
    try:
        result = pipeline.reconstruct(pixels)
        taken = time.perf_counter() - started
        faces = len(list(pipeline.finder.every(Photograph(pixels))))
    except FtimError as error:
        sheet.add([shown, nothing, nothing, nothing], f"{case.name}: refused")
        seconds = time.perf_counter() - started
        return Row(case.name, case.wanted, "refusal", str(error), 0.0, 0, case.faces, round(seconds, 1))
    told = " ".join(warning.text for warning in assess(result).warnings)
    overlay = torch.from_numpy(_square(Image.fromarray(result.overlay))).permute(2, 0, 1) / 255
    sheet.add([shown, overlay, result.texture.albedo[0].clamp(0, 1), head(pipeline, result, 25, 2 * SIDE)], case.name)
    outcome = "warning" if told else "head"
    return Row(case.name, case.wanted, outcome, told, round(result.confidence, 3), faces, case.faces, round(taken, 1))


def _square(image: Image.Image) -> np.ndarray:
    """(S, S, 3), the whole picture on grey."""
    canvas = Image.new("RGB", (2 * SIDE, 2 * SIDE), (128, 128, 128))
    small = image.convert("RGB")
    small.thumbnail((2 * SIDE, 2 * SIDE))
    canvas.paste(small, ((2 * SIDE - small.width) // 2, (2 * SIDE - small.height) // 2))
    return np.asarray(canvas).copy()


def page(found: dict[str, Any]) -> str:
    """The table as Markdown."""
    rows = [Row(**row) for row in found["rows"]]
    lines = [
        "# Awkward photographs",
        "",
        "What `ftim.reconstruct` gives for each, made by `scripts/measure/awkward.py`. *Wanted*: a head; a head with a "
        "warning in words; a refusal in words; or any of them, where a head is more than one may ask for. *Faces* is "
        "how many `--face all` finds, of how many there are.",
        "",
        f"{sum(row.as_wanted for row in rows)} of {len(rows)} as wanted.",
        "",
        "| photograph | wanted | got | faces | confidence | what the user is told |",
        "|---|---|---|---:|---:|---|",
    ]
    for row in rows:
        got = row.outcome if row.as_wanted else f"**{row.outcome}**"
        confidence = f"{row.confidence:.2f}" if row.outcome != "refusal" else "–"
        faces = f"{row.faces} of {row.wanted_faces}"
        lines.append(f"| {row.name} | {row.wanted} | {got} | {faces} | {confidence} | {row.told or '–'} |")
    return "\n".join(
        [*lines, "", "![What became of them](figures/robustness.jpg)", "", f"Photographs: {found['credit']}.", ""]
    )


def main() -> None:
    """Make the photographs, try them, write."""
    config = tyro.cli(AwkwardConfig, description=__doc__)
    data = config.data or (Path(os.environ["FTIM_DATA"]) if "FTIM_DATA" in os.environ else None)
    frll = load_frll(data)
    people = [frll.path(name, "neutral", "front") for name in frll.people("validation")]
    portraits = [photo.path for photo in load_official_portraits("validation", data).photos]
    photos = [Image.fromarray(read_photo(path)) for path in [*people, *portraits][:24]]
    pipeline = Pipeline.build()
    result = pipeline.reconstruct(photos[2])
    plaster = torch.full_like(result.texture.albedo, PLASTER)
    made = cases(photos, drawn(pipeline, result, 80, result.texture.albedo), drawn(pipeline, result, 15, plaster), data)
    credit = f"{LICENCE}; official portraits, public domain"
    sheet = Sheet(("photograph", "overlay", "albedo", "turned, even light"), SIDE, credit, across=2)
    rows = [try_one(pipeline, case, sheet) for case in tqdm(made, unit="photo")]
    about = provenance(torch.device("cpu"), False)
    found = {"provenance": about, "credit": credit, "rows": [asdict(row) for row in rows]}
    write_text(Path(JSON), json.dumps(found, indent=1) + "\n")
    write_text(Path(PAGE), page(found))
    sheet.write(Path(SHEET), LARGEST)


if __name__ == "__main__":
    main()
