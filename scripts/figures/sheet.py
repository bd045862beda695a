"""A picture of pictures: titled columns, labelled rows, and the credit that the licence asks for."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw
from torch import Tensor

from benchmark.runner.protocols import to_uint8
from ftim.outputs import whole_file

LABEL = 18
GAP = 12
"""Pixels between rows that lie beside each other."""
QUALITIES = (88, 84, 80, 75, 70)
"""Of JPEG; the first that makes a sheet small enough is taken."""


class Sheet:
    """Rows of square pictures."""

    def __init__(self, columns: tuple[str, ...], side: int, credit: str, across: int = 1) -> None:
        """``side`` of a picture in pixels; so many rows lie ``across``, beside each other."""
        self.columns = columns
        self.side = side
        self.credit = credit
        self.across = across
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
        across = max(1, min(self.across, len(self.rows)))
        step = self.side * len(self.columns) + GAP
        height = LABEL * 2 + (self.side + LABEL) * -(-len(self.rows) // across)
        sheet = Image.new("RGB", (step * across - GAP, height), "white")
        draw = ImageDraw.Draw(sheet)
        for block in range(across):
            for x, title in enumerate(self.columns):
                draw.text((block * step + x * self.side + 4, 3), title, "black")
        for index, (tiles, label) in enumerate(self.rows):
            left, top = index % across * step, LABEL + index // across * (self.side + LABEL)
            for x, tile in enumerate(tiles):
                sheet.paste(tile, (left + x * self.side, top))
            draw.text((left + 4, top + self.side + 3), label, "black")
        draw.text((4, sheet.height - LABEL + 3), self.credit, "grey")
        return sheet

    def write(self, path: Path, largest: int | None = None) -> None:
        """As JPEG, through a temporary name: in the best of ``QUALITIES`` with which it has no more bytes than
        ``largest``, the last where none is; the best by default."""
        picture = self.draw()
        for quality in QUALITIES:
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=quality, optimize=True)
            if largest is None or file.tell() <= largest:
                break
        with whole_file(path) as temporary:
            temporary.write_bytes(file.getvalue())
