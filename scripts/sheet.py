"""A picture of pictures: titled columns, labelled rows, and the credit that the licence asks for."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw
from torch import Tensor

from benchmark.protocols import to_uint8
from ftim.outputs import whole_file

LABEL = 18


class Sheet:
    """Rows of square pictures."""

    def __init__(self, columns: tuple[str, ...], side: int, credit: str) -> None:
        """``side`` of a picture in pixels."""
        self.columns = columns
        self.side = side
        self.credit = credit
        self.rows: list[tuple[list[Image.Image], str]] = []

    def add(self, pictures: list[Tensor], label: str) -> None:
        """(3, H, W) each, in [0, 1], one a column; resized to the side. Raises ``ValueError`` for another count."""
        if len(pictures) != len(self.columns):
            raise ValueError(f"{len(pictures)} pictures for {len(self.columns)} columns")
        tiles = [Image.fromarray(to_uint8(picture)) for picture in pictures]
        size = (self.side, self.side)
        self.rows.append(([tile.resize(size, Image.Resampling.LANCZOS) for tile in tiles], label))

    def draw(self) -> Image.Image:
        """The whole sheet."""
        height = LABEL * 2 + (self.side + LABEL) * len(self.rows)
        sheet = Image.new("RGB", (self.side * len(self.columns), height), "white")
        draw = ImageDraw.Draw(sheet)
        for x, title in enumerate(self.columns):
            draw.text((x * self.side + 4, 3), title, "black")
        for y, (tiles, label) in enumerate(self.rows):
            top = LABEL + y * (self.side + LABEL)
            for x, tile in enumerate(tiles):
                sheet.paste(tile, (x * self.side, top))
            draw.text((4, top + self.side + 3), label, "black")
        draw.text((4, sheet.height - LABEL + 3), self.credit, "grey")
        return sheet

    def write(self, path: Path, quality: int = 88) -> None:
        """As JPEG, through a temporary name."""
        with whole_file(path) as temporary:
            self.draw().save(temporary, quality=quality, optimize=True)
