"""The README's picture, from photographs of the Face Research Lab London Set (CC BY 4.0, credited beside it).

FTIM_DATA=... python -m scripts.figures.hero     # writes results/figures/hero.png
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from PIL import Image
from torch import Tensor

from ftim.build import DEFAULT_COMPLETION
from ftim.data import load_frll
from ftim.morphable import Region
from ftim.outputs import whole_file
from ftim.pipeline import Pipeline
from ftim.reconstruction import Reconstruction, to_uint8
from ftim.render.image import ImageRenderer
from ftim.render.views import turned
from ftim.structures import Fit

BACKGROUND = 0.94


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.figures.hero``."""

    data: Path | None = None
    """Folder of the Face Research Lab London Set; by default under FTIM_DATA."""
    people: tuple[str, ...] = ("018_neutral_front", "067_neutral_right_3quarter")
    """Photographs of validation people, a row each."""
    completion: str = DEFAULT_COMPLETION
    size: int = 288
    """Side of a picture in pixels."""
    output: Path = Path("results/figures/hero.png")


def side_light(fit: Fit) -> Fit:
    """The fit under a warm light from the upper left and a faint ambient one (bands 0 and 1 only)."""
    light = torch.zeros_like(fit.light)
    light[:, 0] = fit.light.new_tensor([2.1, 2.0, 1.95])
    light[:, 1] = 0.45
    light[:, 2] = 0.55
    light[:, 3] = -0.75
    return dataclasses.replace(fit, light=light)


def row(pipeline: Pipeline, result: Reconstruction) -> list[Tensor]:
    """Pictures of one person: photo, partial texture, texture, albedo, overlay, and the head turned and relit."""
    whole = ImageRenderer(pipeline.model, pipeline.rasterizer, tuple(Region))
    paper = torch.full_like(result.face.image, BACKGROUND)
    albedo = result.texture.albedo
    return [
        result.face.image,
        torch.where(result.partial.visibility > 0, result.partial.color, BACKGROUND),
        result.texture.texture,
        albedo.clamp(0, 1),
        result.rendering.overlay,
        whole(albedo, turned(result.fit, -38.0), paper).overlay,
        whole(albedo, side_light(turned(result.fit, 25.0)), paper).overlay,
    ]


@torch.no_grad()
def main(config: Config) -> None:
    """Reconstruct the people and write the picture through a temporary name."""
    photos = {photo.name: photo.path for photo in load_frll(config.data).photos("validation").photos}
    pipeline = Pipeline.build(size=config.size, texture_size=512)
    rows = []
    for name in config.people:
        result = pipeline.reconstruct(photos[name], completion=config.completion)
        side = (config.size, config.size)
        pictures = [torch.nn.functional.interpolate(p, side, mode="area") for p in row(pipeline, result)]
        rows.append(torch.cat(pictures, dim=3))
    with whole_file(config.output) as temporary:
        Image.fromarray(to_uint8(torch.cat(rows, dim=2))).save(temporary, optimize=True)


if __name__ == "__main__":
    main(tyro.cli(Config))
