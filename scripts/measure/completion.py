"""Empty texels, seams, and light left in the albedo, of completions on the 109 test portraits.

    python -m scripts.measure.completion                        # ftim; writes results/completion.json
    python -m scripts.measure.completion --method all --limit 20 --json runs/completion.json

FILLED: a completed head is photographed from yaws between -60 and 60 degrees, unwrapped and completed again; counts
texels of the charts that are empty.

SEAM: the luminance step across the border between seen and completed skin, over the step in the skin around it, at the
worse of two borders: of what was seen, and of where it weighs half. ``seam`` takes all borders on the face; much of
them runs along lids, lips and nostrils, where skin hides itself and has edges of its own. ``open_seam`` leaves these
out. Both come for the portraits and (``side_``) for heads turned by 45 degrees, each with a control, the ratio of a
texture without a seam at the same border: of the template under the portrait's light, and of the very head that was
turned.

DELIT: a portrait is put under two synthetic lights, each photograph goes through light fit and completion, and the mean
difference of the albedos is divided by the photographs'. The lights are of the kind that is fitted, on the fitted head:
shadows that are cast, highlights and wrong geometry are not tested.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from benchmark.runner.provenance import provenance
from ftim.build import COMPLETIONS, DEFAULT_COMPLETION
from ftim.completion import Completion
from ftim.completion.fill import region_atlas
from ftim.data import load_portraits
from ftim.errors import FtimError
from ftim.morphable import Region
from ftim.outputs import whole_file
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.render.shading import SHADING_FLOOR
from ftim.structures import Face, Fit, View
from scripts.measure.completion_measures import (
    Seam,
    Studio,
    empty_texels,
    features,
    light_left,
    turned,
    two_lights,
    worst_seam,
)

YAWS = tuple(range(-60, 61, 15))
SIDE_YAW = 45
SEAMS = ("seam", "open_seam", "side_seam", "side_open_seam")
AIMS = {"empty_texels": 0.0, "seam_median": 1.3, "open_seam_median": 1.3, "light_left_worst": 0.5}
"""What these are meant not to exceed; printed beside them."""


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.measure.completion``."""

    method: str = DEFAULT_COMPLETION
    """A completion, several separated by commas, or all."""
    limit: int | None = None
    """Only the first so many portraits."""
    poses_limit: int = 12
    """Portraits whose heads are turned."""
    light_limit: int = 24
    """Portraits that are relit."""
    json: Path = Path("results/completion.json")


@dataclass(frozen=True)
class Row:
    """One portrait under one method; None where it was not measured or the border is too short."""

    name: str
    method: str
    seam: Seam | None = None
    open_seam: Seam | None = None
    side_seam: Seam | None = None
    side_open_seam: Seam | None = None
    empty: int | None = None
    """Texels, over all of ``YAWS``."""
    light_left: float | None = None


class Measure:
    """All measures of one pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.studio = Studio(pipeline.uv)
        uv_atlas = pipeline.uv.atlas
        atlas = region_atlas(pipeline.model, uv_atlas)
        # The gutter repeats the rim of its chart: no texel of it may be empty, but it has no steps of its own.
        inside = uv_atlas.image(uv_atlas.inside[None, :, None].float()) > 0
        self.charts = (atlas >= 0)[None, None]
        self.skin = (atlas == int(Region.FACE))[None, None] & inside
        self.open_skin = self.skin & ~features(pipeline.model, uv_atlas.size)
        self.mirror = pipeline.completion("mirror")

    def __call__(
        self, name: str, face: Face, completions: dict[str, Completion], poses: bool, light: bool
    ) -> list[Row]:
        """A row a completion."""
        pipeline = self.pipeline
        view = pipeline.views(face)
        fit, partial = view.fit, view.partial
        base = self.mirror(partial, fit).albedo
        control = pipeline.template * self._shading(fit)
        rows = []
        for method, completion in completions.items():
            texture = completion(partial, fit).texture
            values: dict[str, Any] = {
                "seam": worst_seam(texture, control, partial, self.skin),
                "open_seam": worst_seam(texture, control, partial, self.open_skin),
            }
            if poses:
                values |= self._turned(completion, base, fit)
            if light:
                values["light_left"] = self._light_left(completion, view)
            rows.append(Row(name, method, **values))
        return rows

    def _shading(self, fit: Fit) -> Tensor:
        return self.pipeline.uv.shading(fit).clamp_min(SHADING_FLOOR)

    def _turned(self, completion: Completion, albedo: Tensor, fit: Fit) -> dict[str, Any]:
        values: dict[str, Any] = {"empty": 0}
        for yaw in YAWS:
            pose = turned(fit, yaw)
            partial = self.studio.photograph(albedo, pose)
            texture = completion(partial, pose)
            values["empty"] += empty_texels(texture, partial.visibility, self.charts)
            if yaw == SIDE_YAW:
                control = albedo * self._shading(pose)
                values["side_seam"] = worst_seam(texture.texture, control, partial, self.skin)
                values["side_open_seam"] = worst_seam(texture.texture, control, partial, self.open_skin)
        return values

    def _light_left(self, completion: Completion, view: View) -> float | None:
        albedos, photos, both = [], [], self.skin
        for light in two_lights(view.fit.light):
            relit = self.studio.relit(view.face, view.fit, light)
            found = self.pipeline.regressor.relight(relit, view.fit, view.skin)
            partial = self.pipeline.uv(relit.image, found, view.skin)
            albedos.append(completion(partial, found).albedo)
            photos.append(partial.color)
            both = both & (partial.visibility > 0)
        return light_left((albedos[0], albedos[1]), (photos[0], photos[1]), both)


def summarise(rows: list[Row]) -> dict[str, dict[str, float | int]]:
    """By method: counts, medians, 95th percentiles and worst."""
    result: dict[str, dict[str, float | int]] = {}
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        summary: dict[str, float | int] = {"portraits": len(own)}
        counted = [row.empty for row in own if row.empty is not None]
        if counted:
            summary |= {"poses": len(counted) * len(YAWS), "empty_texels": sum(counted)}
        for what in SEAMS:
            seams: list[Seam] = [seam for row in own if (seam := getattr(row, what)) is not None]
            summary |= spread(what, [seam.ratio for seam in seams])
            if seams:
                summary[f"{what}_control_median"] = round(float(np.median([seam.control for seam in seams])), 4)
        summary |= spread("light_left", [row.light_left for row in own if row.light_left is not None])
        result[method] = summary
    return result


def spread(what: str, values: list[float]) -> dict[str, float | int]:
    """Count, median, 95th percentile and largest of some values; nothing of none."""
    if not values:
        return {}
    numbers = {"median": np.median(values), "95": np.percentile(values, 95), "worst": max(values)}
    return {f"{what}_count": len(values)} | {f"{what}_{name}": round(float(v), 4) for name, v in numbers.items()}


def table(summary: dict[str, dict[str, float | int]]) -> str:
    """A line a number, a column a method."""
    names = dict.fromkeys(name for numbers in summary.values() for name in numbers)
    lines = [f"{'':28}" + "".join(f"{method:>18}" for method in summary)]
    for name in names:
        values = "".join(f"{numbers.get(name, '-'):>18}" for numbers in summary.values())
        aim = f"   aim at most {AIMS[name]:g}" if name in AIMS else ""
        lines.append(f"{name:28}{values}{aim}")
    return "\n".join(lines)


@torch.no_grad()
def run(config: Config) -> dict[str, Any]:
    """Measure and write. Raises ``FtimError`` and, for an unknown method, ``ValueError``."""
    pipeline = Pipeline.build()
    names = COMPLETIONS if config.method == "all" else tuple(config.method.split(","))
    completions = {name: pipeline.completion(name) for name in names}
    measure = Measure(pipeline)
    rows: list[Row] = []
    for index, file in enumerate(tqdm(load_portraits("test").first(config.limit).photos, unit="portrait")):
        face = pipeline.face(read_photo(file.path))
        rows += measure(file.name, face, completions, index < config.poses_limit, index < config.light_limit)
    report = {
        "settings": {name: value for name, value in asdict(config).items() if name != "json"},
        "summary": summarise(rows),
        "rows": [asdict(row) for row in rows],
        "provenance": provenance(torch.device("cpu")),
    }
    with whole_file(config.json) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def main() -> None:
    """Run and print; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(Config, description=__doc__)
    try:
        report = run(config)
    except (FtimError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(table(report["summary"]))
    print(f"\nWritten to {config.json}")


if __name__ == "__main__":
    main()
