"""The 12 validation people of FRLL: three views in; texture, albedo and three renders out (CC BY 4.0, credited).

    FTIM_DATA=... python -m scripts.figures.people_sheet             # writes results/figures/people.jpg
    FTIM_DATA=... python -m scripts.figures.people_sheet --zoom 018  # one person, twice as large: runs/people_018.jpg

Texture and albedo are completed from one view, named in the label. The texture is drawn into this view, the albedo into
the others under their light: over the photograph, and by themselves, small, in the corner. A zoom starts from larger
crops, so that it shows more than the sheet.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from ftim.build import DEFAULT_COMPLETION
from ftim.completion import Completion
from ftim.data import load_frll
from ftim.data.frll import EXPRESSIONS, LICENCE, VIEWS, FrllExpression
from ftim.errors import FtimError, SettingsError
from ftim.face import CROP_SIZE
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.structures import Face, Rendering
from scripts.figures.sheet import Sheet

COLUMNS = ("left", "front", "right", "texture", "albedo", "into left", "into front", "into right")
SHEET = Path("results/figures/people.jpg")
LARGEST = 1_200_000
"""Bytes of a sheet."""
INSET = 3
"""The rendering by itself has one over this of a picture's side."""
PAPER = 0.94


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.figures.people_sheet``."""

    data: Path | None = None
    """Folder of the Face Research Lab London Set; by default under FTIM_DATA."""
    completion: str = DEFAULT_COMPLETION
    zoom: str | None = None
    """Draw this person only, at double size."""
    size: int = 176
    """Side of a picture in pixels."""
    output: Path | None = None
    """By default results/figures/people.jpg, or runs/people_<person>.jpg for a zoom."""


@dataclass(frozen=True)
class Line:
    """What a row of the sheet shows."""

    person: str
    expression: FrllExpression
    source: int
    """Number of the view that texture and albedo are made from."""

    @property
    def label(self) -> str:
        """As written under the row."""
        return f"{self.person} {self.expression}; texture and albedo from {VIEWS[self.source]}"


def lines(people: tuple[str, ...]) -> list[Line]:
    """Expression and view go round, so that the sheet has all pairs of them."""
    return [
        Line(person, EXPRESSIONS[index % len(EXPRESSIONS)], index % len(VIEWS)) for index, person in enumerate(people)
    ]


def with_inset(rendering: Rendering, left: bool) -> Tensor:
    """(1, 3, H, W): the overlay, and in its lower left or right corner what was drawn, on paper."""
    alone = torch.lerp(torch.full_like(rendering.image, PAPER), rendering.image, rendering.mask)
    small = F.interpolate(alone, scale_factor=1 / INSET, mode="bilinear", antialias=True)
    picture = rendering.overlay.clone()
    width = small.shape[-1]
    picture[..., -small.shape[-2] :, slice(0, width) if left else slice(-width, None)] = small
    return picture


@torch.no_grad()
def row(pipeline: Pipeline, completion: Completion, face: Face, source: int) -> list[Tensor]:
    """(3, H, W) each, in the order of ``COLUMNS``: everything from the view number ``source``."""
    views = pipeline.views(face, together=True)
    given = views[source]
    texture = completion(given.partial, given.fit)
    renderings = [
        (pipeline.draw if number == source else pipeline.draw_albedo)(texture, views[number])
        for number in range(len(VIEWS))
    ]
    # The back of the head is on the left where the face looks to the right.
    drawn = [
        with_inset(rendering, left=view == "right_3quarter")[0]
        for rendering, view in zip(renderings, VIEWS, strict=True)
    ]
    toned, _, _ = pipeline.toned(texture, given)
    return [*face.image, texture.texture[0], toned.albedo[0].clamp(0, 1), *drawn]


def run(config: Config) -> Path:
    """Draw and write; returns the file. Raises ``FtimError``, and ``ValueError`` for an unknown completion."""
    frll = load_frll(config.data)
    chosen = lines(frll.people("validation"))
    side, output = config.size, config.output or SHEET
    if config.zoom:
        known = [line.person for line in chosen]
        if config.zoom not in known:
            raise SettingsError(f"there is no validation person {config.zoom!r}; choose one of {', '.join(known)}")
        chosen = [line for line in chosen if line.person == config.zoom]
        side, output = 2 * config.size, config.output or Path("runs") / f"people_{config.zoom}.jpg"
    pipeline = Pipeline.build(size=max(CROP_SIZE, side))
    completion = pipeline.completion(config.completion)
    sheet = Sheet(COLUMNS, side, LICENCE)
    for line in chosen:
        paths = frll.triplet(line.person, line.expression)
        face = Face.concatenate([pipeline.face(read_photo(path)) for path in paths])
        sheet.add(row(pipeline, completion, face, line.source), line.label)
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
