"""Figure 3: input, our texture, and the overlay of each method, on people of FRLL (CC BY 4.0, credit in the picture).

    FTIM_DATA=... python -m scripts.figures.figure3                              # writes results/figures/figure3.jpg
    FTIM_DATA=... python -m scripts.figures.figure3 --methods ftim mean mirror --output /tmp/figure3.jpg

The paper shows photographs of CelebA, which may not be shown again. A column is a photograph, a row a method.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from benchmark.methods import Method, build_method, choose_methods
from benchmark.runner.protocols import to_uint8
from benchmark.tables.table1 import OURS, ROWS, display_name
from ftim.data import load_frll
from ftim.data.frll import LICENCE
from ftim.errors import FtimError
from ftim.face import CROP_SIZE
from ftim.outputs import whole_file
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.structures import Face

TEXTURE = "UV texture"
FACE_PART = ((0.06, 0.66), (0.2, 0.8))
"""Rows and columns of the map that are shown, as shares of its side: the face without eyes, teeth and neck."""
MARGIN = 112
"""Pixels left of the pictures, for the names of the rows."""
LINE = 26
"""Height of a line of text."""
GAP = 3
QUALITY = 90


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.figures.figure3``."""

    data: Path | None = None
    """Folder of the Face Research Lab London Set; by default under FTIM_DATA."""
    methods: tuple[str, ...] = (OURS, *ROWS[:-1])
    """A row of overlays each, in this order; see benchmark/methods."""
    photos: tuple[str, ...] = (
        "018_smiling_front",
        "136_neutral_left_3quarter",
        "061_neutral_front",
        "034_smiling_right_3quarter",
        "129_neutral_front",
        "006_smiling_left_3quarter",
    )
    """Photographs of validation people, a column each."""
    side: int = 208
    """Of a picture in pixels."""
    output: Path = Path("results/figures/figure3.jpg")


Column = list[Tensor | None]
"""(3, H, W) in [0, 1]: input, texture, and overlays; None where a method fails."""


@torch.no_grad()
def column(pipeline: Pipeline, methods: list[Method], face: Face) -> Column:
    """What all methods make of one photograph, each from the same fit."""
    view = pipeline.views(face)
    overlays: Column = []
    for method in methods:
        try:
            overlays.append(method.reconstruct(view).main.overlay[0])
        except FtimError:
            overlays.append(None)
    texture = pipeline.complete(view, OURS).texture[0]
    return [face.image[0], face_part(texture), *overlays]


def face_part(texture: Tensor) -> Tensor:
    """(3, T, T) -> what ``FACE_PART`` says of it."""
    side = texture.shape[-1]
    rows, columns = (slice(round(first * side), round(last * side)) for first, last in FACE_PART)
    return texture[:, rows, columns]


def draw(columns: list[Column], rows: list[str], titles: list[str], side: int) -> Image.Image:
    """The sheet: names of rows on the left, titles above, the credit below."""
    width = MARGIN + len(columns) * (side + GAP)
    sheet = Image.new("RGB", (width, LINE * 2 + len(rows) * (side + GAP)), "white")
    pen = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(17), ImageFont.load_default(13)
    for y, name in enumerate(rows):
        middle = LINE + y * (side + GAP) + side // 2
        pen.text((MARGIN - 10, middle), name.replace("_", " ").replace(" ", "\n"), "black", large, "rm", align="right")
    for x, (pictures, title) in enumerate(zip(columns, titles, strict=True)):
        left = MARGIN + x * (side + GAP)
        pen.text((left + side // 2, LINE // 2), title, "black", small, "mm")
        for y, picture in enumerate(pictures):
            top = LINE + y * (side + GAP)
            if picture is None:
                pen.rectangle((left, top, left + side - 1, top + side - 1), outline="grey")
                pen.text((left + side // 2, top + side // 2), "no result", "grey", small, "mm")
                continue
            tile = Image.fromarray(to_uint8(picture)).resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(tile, (left, top))
    pen.text((MARGIN, sheet.height - LINE // 2), LICENCE, "grey", small, "lm")
    return sheet


def run(config: Config) -> Path:
    """Draw and write; returns the file. Raises ``FtimError``, and ``ValueError`` for an unknown name."""
    known = {photo.name: photo.path for photo in load_frll(config.data).photos("validation").photos}
    if unknown := [name for name in config.photos if name not in known]:
        raise ValueError(f"there is no photograph of a validation person called {', '.join(unknown)}")
    names = choose_methods(",".join(config.methods))
    pipeline = Pipeline.build(size=max(CROP_SIZE, config.side))
    methods = [build_method(name, pipeline) for name in names]
    columns = [column(pipeline, methods, pipeline.face(read_photo(known[name]))) for name in config.photos]
    rows = ["Input", TEXTURE, *(display_name(name) for name in names)]
    titles = [name.replace("_3quarter", "").replace("_", " ") for name in config.photos]
    with whole_file(config.output) as temporary:
        draw(columns, rows, titles, config.side).save(temporary, quality=QUALITY, optimize=True)
    return config.output


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(Config, description=__doc__)
    try:
        print(f"Written to {run(config)}")
    except (FtimError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
