"""What the page asks of ftim: faces, heads, views, files. Knows nothing of Gradio."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from demo.presets import PRESETS
from ftim.errors import PhotoError
from ftim.finder import FoundFace
from ftim.io import head_mesh, save_glb
from ftim.outputs import whole_file
from ftim.photo import Photograph, open_photo
from ftim.pipeline import Pipeline
from ftim.quality import Quality
from ftim.reconstruction import Reconstruction
from ftim.render.views import with_expression
from ftim.render.wireframe import draw_wireframe
from ftim.structures import Fit

SHOWN_SIDE = 1600
"""Pixels: the longer side of what the page shows; the files have all of them."""
VIEW_SIDE = 640
"""Pixels: side of the turned head."""
THUMBNAIL = 144
ZIP = "ftim-head.zip"
FILES = (
    "overlay.png", "texture.png", "albedo.png", "partial.png", "visibility.png", "head.glb", "head.obj", "head.mtl",
    "params.json", "report.json",
)  # fmt: skip
"""What the zip holds."""


@dataclass(frozen=True)
class Look:
    """How the head is looked at; angles in degrees."""

    yaw: float = 0.0
    azimuth: float = 35.0
    elevation: float = 25.0
    expression: str = next(iter(PRESETS))
    own_light: bool = True
    """The light of the photograph instead of that of azimuth and elevation."""


class Studio:
    """The models, made once; each method serves one photograph."""

    def __init__(self, build: Callable[[int], Pipeline]) -> None:
        """``build`` makes a pipeline of a texture size."""
        self._build = build
        self._pipelines: dict[int, Pipeline] = {}

    @classmethod
    def build(cls, device: str = "auto") -> Studio:
        """With the models that ship. Raises ``AssetError``."""
        return cls(lambda size: Pipeline.build(device, texture_size=size))

    def pipeline(self, size: int) -> Pipeline:
        """Of a texture size."""
        if size not in self._pipelines:
            self._pipelines[size] = self._build(size)
        return self._pipelines[size]

    def faces(self, photo: Photograph, size: int) -> list[FoundFace]:
        """The largest first. Raises ``FaceError``."""
        return list(self.pipeline(size).finder.every(photo))

    def face(self, photo: Photograph, size: int, index: int) -> FoundFace:
        """One of them. Raises ``FaceError``."""
        return self.pipeline(size).finder.one(photo, index)

    def reconstruct(self, face: FoundFace, size: int, tell: Callable[[str], None]) -> Reconstruction:
        """Raises ``FaceError``."""
        return self.pipeline(size).reconstruct_together([face.photo], tell=tell, found=[face])

    def view(self, result: Reconstruction, look: Look) -> np.ndarray:
        """(S, S, 4) uint8: the whole head, transparent around it."""
        light = None if look.own_light else (look.azimuth, look.elevation)
        return result.render(look.yaw, light=light, expression=PRESETS[look.expression], size=VIEW_SIDE)


def read_upload(path: str | Path) -> Photograph:
    """Raises ``PhotoError``, whose text says nothing of where the server keeps the file."""
    path = Path(path)
    try:
        return open_photo(path)
    except PhotoError as error:
        raise PhotoError(str(error).replace(str(path), "The file")) from error


def expressive(result: Reconstruction, preset: str) -> Fit:
    """The fit with a preset's expression."""
    weights = PRESETS[preset]
    return result.fit if weights is None else with_expression(result.fit, weights)


def save_head(result: Reconstruction, preset: str, path: Path) -> Path:
    """GLB for the page's viewer, whose own lights have a colour: under the photograph's light, as it is; with a
    preset's expression to begin with."""
    save_glb(head_mesh(result.model, expressive(result, preset), result.texture.texture), path, unlit=True)
    return path


def save_all(result: Reconstruction, quality: Quality, folder: Path) -> Path:
    """Write every file and ``ZIP`` with all of them; its path."""
    result.save(folder)
    report = {"quality": asdict(quality)}
    with whole_file(folder / "report.json") as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return pack(folder, ZIP, FILES)


def pack(folder: Path, name: str, files: tuple[str, ...]) -> Path:
    """A zip of files of the folder, in it."""
    with whole_file(folder / name) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for file in files:
            archive.write(folder / file, file, zipfile.ZIP_STORED if file.endswith("png") else zipfile.ZIP_DEFLATED)
    return folder / name


def wireframe(result: Reconstruction) -> np.ndarray:
    """The fit over the crop."""
    return draw_wireframe(result.model, result.face, result.fit)


def shown(pixels: np.ndarray) -> Image.Image:
    """Not larger than a page needs."""
    image = Image.fromarray(pixels)
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    return image


def thumbnail(found: FoundFace) -> np.ndarray:
    """(S, S, 3): a square around a face, with a margin; parts outside the photograph are grey."""
    left, top, right, bottom = found.box
    half = 0.75 * max(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2
    square = Image.fromarray(found.photo.pixels).crop(
        (round(x - half), round(y - half), round(x + half), round(y + half))
    )
    return np.asarray(square.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS))
