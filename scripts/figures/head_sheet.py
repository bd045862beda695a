"""Heads from one photograph each, turned in even light: how they look from where no camera was.

    FTIM_DATA=... python -m scripts.figures.head_sheet frll            # writes results/figures/heads_frll.jpg
    FTIM_DATA=... python -m scripts.figures.head_sheet official        # writes results/figures/heads_official.jpg
    FTIM_DATA=... python -m scripts.figures.head_sheet official --people 005 014 --out runs/fringes.jpg

Beside the photograph stand the overlay, which leaves hair and glasses as they are, the albedo, and for ``frll`` the
residual light, in which mid grey is 1. The heads are whole, with ears, scalp and neck, and have shading 1 everywhere:
what is dark or bright on them is in the albedo. Photographs: the Face Research Lab London Set (CC BY 4.0, credited in
the picture) and official portraits of members of the US Congress (public domain).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from torch import Tensor
from tqdm import tqdm
from tyro.conf import Positional, arg

from ftim.build import DEFAULT_COMPLETION
from ftim.data import load_frll, load_official_portraits
from ftim.data.frll import LICENCE
from ftim.errors import FtimError, SettingsError
from ftim.morphable import Region
from ftim.pipeline import Pipeline
from ftim.reconstruction import Reconstruction
from ftim.render.image import ImageRenderer
from ftim.render.views import lit_from, turned
from scripts.figures.sheet import Sheet

Split = Literal["train", "validation"]
PictureName = Literal["photograph", "overlay", "albedo", "residual"]
SPLITS: tuple[Split, ...] = ("validation", "train")
FRLL_PEOPLE = ("018", "034", "041", "061", "067", "083", "136", "140")
TEXTURE_SIZE = 512
FARTHER = 1.25
"""Than in the photograph: crown and neck are in the picture too."""
FINER = 2
"""Heads are drawn so much larger than they are shown, for smooth edges."""
PAPER = 0.94
LARGEST = 1_500_000
"""Bytes of a sheet."""


@dataclass(frozen=True)
class Person:
    """Someone with a photograph from the front."""

    name: str
    split: Split
    photo: Path


@dataclass(frozen=True)
class Plan:
    """What a sheet shows, and of whom."""

    pictures: tuple[PictureName, ...]
    yaws: tuple[int, ...]
    """Degrees."""
    side: int
    """Of a picture in pixels."""
    across: int
    """People beside each other."""
    credit: str
    load: Callable[[Path | None], list[Person]]
    """Everyone in a folder."""
    people: Callable[[list[Person]], tuple[str, ...]]
    """Of everyone, those who are shown by default."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Titles."""
        return (*self.pictures, *(f"{yaw:+d} degrees" if yaw else "0 degrees" for yaw in self.yaws))


def frll_people(folder: Path | None) -> list[Person]:
    """Everyone of FRLL, neutral."""
    frll = load_frll(folder)
    return [Person(name, split, frll.path(name, "neutral", "front")) for split in SPLITS for name in frll.people(split)]


def official_people(folder: Path | None) -> list[Person]:
    """Everyone of the official portraits."""
    return [
        Person(photo.name, split, photo.path)
        for split in SPLITS
        for photo in load_official_portraits(split, folder).photos
    ]


PLANS: dict[str, Plan] = {
    "frll": Plan(
        pictures=("photograph", "overlay", "albedo", "residual"),
        yaws=(-60, -30, 0, 30, 60),
        side=176,
        across=1,
        credit=LICENCE,
        load=frll_people,
        people=lambda everyone: FRLL_PEOPLE,
    ),
    "official": Plan(
        pictures=("photograph", "overlay", "albedo"),
        yaws=(-35, 35),
        side=160,
        across=3,
        credit="official portraits, public domain",
        load=official_people,
        people=lambda everyone: tuple(person.name for person in everyone if person.split == "validation"),
    ),
}


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.figures.head_sheet``."""

    photographs: Annotated[Positional[Literal["frll", "official"]], arg(metavar="{frll,official}")]
    """Whose."""
    data: Path | None = None
    """Folder of these photographs; by default under FTIM_DATA."""
    completion: str = DEFAULT_COMPLETION
    people: tuple[str, ...] = ()
    """Numbers; by default eight people of FRLL, or all official portraits that nothing was trained on."""
    out: Path | None = None
    """By default results/figures/heads_frll.jpg or heads_official.jpg."""


def head(pipeline: Pipeline, result: Reconstruction, yaw: float, side: int) -> Tensor:
    """(3, side, side): the whole head with its albedo on paper, turned by degrees, with shading 1 everywhere."""
    fit = lit_from(turned(result.fit, yaw, farther=FARTHER), 0, 0, strength=0, ambient=1)
    fit = replace(fit, camera=fit.camera.resized(side, side))
    paper = torch.full((1, 3, side, side), PAPER, device=pipeline.device)
    whole = ImageRenderer(pipeline.model, pipeline.rasterizer, tuple(Region))
    return whole(result.texture.albedo, fit, paper).overlay[0]


def picture(result: Reconstruction, name: PictureName) -> Tensor:
    """(3, H, W) in [0, 1]."""
    if name == "photograph":
        return result.face.image[0]
    if name == "overlay":
        return result.rendering.overlay[0]
    if name == "albedo":
        return result.texture.albedo[0].clamp(0, 1)
    return (result.texture.residual[0] / 2).clamp(0, 1)


@torch.no_grad()
def row(pipeline: Pipeline, result: Reconstruction, plan: Plan) -> list[Tensor]:
    """(3, H, W) each, in the order of the plan's columns."""
    heads = [head(pipeline, result, yaw, FINER * plan.side) for yaw in plan.yaws]
    return [*(picture(result, name) for name in plan.pictures), *heads]


def choose(everyone: list[Person], names: tuple[str, ...]) -> list[Person]:
    """The people of these names, in their order. Raises ``SettingsError`` for an unknown one."""
    known = {person.name: person for person in everyone}
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"there is nobody called {', '.join(unknown)}; there are {shortened(sorted(known))}")
    return [known[name] for name in names]


def caption(people: list[Person], credit: str) -> str:
    """Who was trained on and who was not, and where the photographs are from."""
    parts = []
    for split in SPLITS:
        names = [person.name for person in people if person.split == split]
        parts.append(f"{split} people: {shortened(names)}")
    return "; ".join([*parts, credit])


def shortened(names: list[str]) -> str:
    """Numbers that follow each other become a range; none are named as such."""
    runs: list[list[str]] = []
    for name in names:
        if runs and int(name) == int(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs) or "none"


def run(config: Config) -> Path:
    """Draw and write; returns the file. Raises ``FtimError``, and ``ValueError`` for an unknown completion."""
    plan = PLANS[config.photographs]
    everyone = plan.load(config.data)
    people = choose(everyone, config.people or plan.people(everyone))
    pipeline = Pipeline.build(texture_size=TEXTURE_SIZE)
    sheet = Sheet(plan.columns, plan.side, caption(people, plan.credit), plan.across)
    for person in tqdm(people, unit="person"):
        result = pipeline.reconstruct(person.photo, config.completion)
        sheet.add(row(pipeline, result, plan), f"{person.name} ({person.split})")
    output = config.out or Path("results/figures") / f"heads_{config.photographs}.jpg"
    sheet.write(output, LARGEST)
    return output


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(Config, description=__doc__)
    try:
        print(f"Written to {run(config)}")
    except (FtimError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
