"""Examples kept during a run, and the sheet made of them. Only for photographs whose licence lets them be shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmark.runner.protocols import Pairs, to_uint8
from ftim.outputs import whole_file
from ftim.structures import Rendering

EXAMPLES = 6
_LABEL = 18


@dataclass(frozen=True)
class PictureFolder:
    """``<example>/<column>.png`` for some rows; columns are ``input``, ``photograph`` and the methods."""

    folder: Path
    examples: tuple[str, ...]
    """Names of rows."""
    credit: str

    @classmethod
    def choose(cls, folder: Path, rows: list[str], credit: str) -> PictureFolder:
        """Rows spread evenly over the table; the step is odd so that cross-view pairs vary."""
        step = max(1, len(rows) // EXAMPLES) | 1
        return cls(folder, tuple(rows[::step][:EXAMPLES]), credit)

    def keep(self, method: str, pairs: Pairs, rendering: Rendering) -> None:
        """Save those of a batch that are examples."""
        image = pairs.views.face.image
        for index, name in enumerate(pairs.names):
            if name in self.examples:
                self._save(name, "input", to_uint8(image[pairs.inputs[index]]))
                if pairs.inputs[index] != pairs.outputs[index]:
                    self._save(name, "photograph", to_uint8(image[pairs.outputs[index]]))
                self._save(name, method, to_uint8(rendering.overlay[index]))

    def _save(self, name: str, column: str, pixels: np.ndarray) -> None:
        save_png(Image.fromarray(pixels), self._path(name, column))

    def _path(self, name: str, column: str) -> Path:
        return self.folder / str(self.examples.index(name)) / f"{column}.png"

    def sheet(self, methods: list[str], path: Path) -> bool:
        """One line an example, one column a picture; False, and nothing written, when no example was kept."""
        columns = [
            column
            for column in ("input", "photograph", *methods)
            if any(self._path(name, column).is_file() for name in self.examples)
        ]
        rows = [name for name in self.examples if self._path(name, "input").is_file()]
        if not rows:
            return False
        side = Image.open(self._path(rows[0], "input")).width
        sheet = Image.new("RGB", (side * len(columns), _LABEL * 2 + (side + _LABEL) * len(rows)), "white")
        draw = ImageDraw.Draw(sheet)
        for x, column in enumerate(columns):
            draw.text((x * side + 4, 3), column, "black")
        for y, name in enumerate(rows):
            top = _LABEL + y * (side + _LABEL)
            for x, column in enumerate(columns):
                if (picture := self._path(name, column)).is_file():
                    with Image.open(picture) as tile:
                        sheet.paste(tile, (x * side, top))
            draw.text((4, top + side + 3), name, "black")
        draw.text((4, sheet.height - _LABEL + 3), self.credit, "grey")
        save_png(sheet, path)
        return True


def save_png(image: Image.Image, path: Path) -> None:
    """Write under a temporary name, then rename."""
    with whole_file(path) as temporary:
        image.save(temporary, optimize=True)
