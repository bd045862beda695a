"""How much of the photograph's detail the texture keeps on visible skin, on the validation people of FRLL.

    FTIM_DATA=... python -m scripts.measure.detail            # writes results/detail.json

Gradient energy (mean square of the steps to the right and down) of the texture, drawn into the photograph's own view,
over that of the photograph, inside the skin that was seen. The textures have 1024 texels a side and are what
``ftim reconstruct`` writes, the photographs 768 pixels. Nothing but the texture is drawn: no pixel of the photograph is
laid over it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor
from tqdm import tqdm

from benchmark.runner.provenance import provenance
from ftim.data import load_frll
from ftim.errors import FtimError
from ftim.outputs import whole_file
from ftim.pipeline import Pipeline
from ftim.reconstruction import Reconstruction

TEXTURE_SIZE = 1024
RIM = 4
"""Pixels inside the border of seen skin that do not count: there seen and completed skin are blended."""


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.measure.detail``."""

    data: Path | None = None
    """Folder of the Face Research Lab London Set; by default under FTIM_DATA."""
    limit: int | None = None
    """Only the first so many photographs."""
    json: Path = Path("results/detail.json")
    """The result."""


def gradient_energy(image: Tensor, mask: Tensor) -> float:
    """Mean square of the steps to the right and down of (1, 3, H, W), where both ends lie inside (1, 1, H, W)."""
    right = (image[..., 1:] - image[..., :-1]).square()[..., :-1, :]
    down = (image[..., 1:, :] - image[..., :-1, :]).square()[..., :-1]
    whole = (F.avg_pool2d(mask, 2, 1) == 1).float()
    return float(((right + down) * whole).sum() / whole.sum())


def detail_kept(pipeline: Pipeline, result: Reconstruction) -> float:
    """The drawn texture's gradient energy over the photograph's, where skin was seen; 1 is all of it."""
    face, fit = result.face, result.fit
    drawn = pipeline.draw(result.texture, result.view)
    visibility = result.partial.visibility.expand(-1, 3, -1, -1)
    seen = pipeline.image.draw_lit(visibility, fit, torch.zeros_like(face.image), face.valid).image[:, :1]
    inside = ((seen > 0.99) & (drawn.mask > 0.5) & (result.skin > 0.9)).float()
    inside = 1 - F.max_pool2d(1 - inside, 2 * RIM + 1, 1, RIM)
    texture, photo = (gradient_energy(image, inside) for image in (drawn.image, face.image))
    return texture / photo


def run(config: Config) -> dict[str, Any]:
    """Measure and write. Raises ``FtimError``."""
    photos = load_frll(config.data).photos("validation").photos[: config.limit]
    pipeline = Pipeline.build(texture_size=TEXTURE_SIZE)
    rows = {photo.name: detail_kept(pipeline, pipeline.reconstruct(photo.path)) for photo in tqdm(photos, unit="photo")}
    values = list(rows.values())
    result = {
        "texture_size": TEXTURE_SIZE,
        "photographs": len(rows),
        "lowest": round(min(values), 4),
        "mean": round(fmean(values), 4),
        "median": round(median(values), 4),
        "highest": round(max(values), 4),
        "rows": {name: round(value, 4) for name, value in rows.items()},
        "provenance": provenance(torch.device("cpu")),
    }
    config.json.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(config.json) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    try:
        result = run(tyro.cli(Config, description=__doc__))
    except (FtimError, OSError) as error:
        sys.exit(f"error: {error}")
    print({name: value for name, value in result.items() if name not in ("rows", "provenance")})


if __name__ == "__main__":
    main()
