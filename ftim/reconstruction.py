"""What one face of a photograph gave, and the files that are written of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ftim.errors import SettingsError
from ftim.head import Head, to_uint8
from ftim.io import png_bytes, save_glb, save_obj
from ftim.outputs import whole_file
from ftim.overlay import Cover, draw_overlay
from ftim.render.image import paste_back
from ftim.render.surface import RasterizedHead
from ftim.structures import Face, PartialTexture, Rendering, View
from ftim.tone_network import Tone

Format = Literal["png", "glb", "obj", "json"]
__all__ = ["FORMATS", "Format", "Reconstruction", "check_formats", "to_uint8"]
FORMATS: tuple[Format, ...] = ("png", "glb", "obj", "json")
"""Pictures; the head with its expressions; the head for tools without them; the parameters."""
SHOWN_SIDE = 640
"""Pixels: the longer side of what a notebook shows."""


def check_formats(formats: Sequence[str]) -> None:
    """Raise ``SettingsError`` unless each is one of ``FORMATS``."""
    if isinstance(formats, str):
        raise SettingsError(f"formats is a sequence such as ({formats!r},), not a text")
    if unknown := [str(name) for name in formats if name not in FORMATS]:
        raise SettingsError(f"there is no format {', '.join(unknown)}; there are {', '.join(FORMATS)}")


@dataclass(frozen=True)
class Reconstruction(Head):
    """Everything that one face gave; each field is a batch of one, at the photograph's own resolution."""

    photo: np.ndarray
    """(H, W, 3) uint8 RGB, upright for this face."""
    face: Face
    skin: Tensor
    """(1, 1, S, S) where the crop shows the face itself."""
    partial: PartialTexture
    """What this photograph showed; with several photographs, what all of them showed."""
    views: Face
    """Of all photographs that it was made from, this one first, in crops of the fit's size: a batch of one to three."""
    cover: Cover = "skin"
    """What the overlay is drawn over."""
    identity_distances: tuple[float, ...] = ()
    """Of each further photograph's head, fitted by itself, from the first's (``ftim.identity``)."""
    confidence: float = 1.0
    """In [0, 1], that it is a human face; of several photographs the least (``ftim.face_check``)."""
    turn: int = 0
    """Quarter turns counter-clockwise that ``photo`` was turned by, so that the face is upright."""
    reduction: int = 1
    """Pixels of the file along one of ``photo``: large photographs are reduced (``ftim.photo.open_photo``)."""
    complete: bool = True
    """Whether the file does not break off before its end."""
    tone: Tone | None = None
    """What the photographs tell of the skin's tone, and how sure they are."""
    rasterized: RasterizedHead | None = None
    """The head as the crop's camera sees it, where it was found out already."""

    @property
    def view(self) -> View:
        """Face, fit, skin and partial texture together."""
        return View(self.face, self.fit, self.skin, self.partial, self.rasterized)

    @cached_property
    def rendering(self) -> Rendering:
        """The head drawn into the crop from its texture; drawn when it is first asked for."""
        return draw_overlay(self.renderer, self.texture, self.view, self.cover)

    @property
    def overlay(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB: the photograph with the rendered head laid over the face."""
        return paste_back(self.photo, self.face, self.rendering)

    def parameters(self) -> dict[str, Any]:
        """As ``Head.parameters``, and where the crop lies in the photograph."""
        scale, left, top = self.face.crop_to_photo[0].tolist()
        told: dict[str, Any] = {"crop": {"scale": scale, "left": left, "top": top}}
        if self.tone is not None:
            mean, deviation = (value[0].tolist() for value in (self.tone.mean.exp(), self.tone.deviation))
            told["skin tone"] = {"albedo": mean, "deviation of its logarithm": deviation}
        return super().parameters() | told

    def save(self, folder: str | Path, formats: tuple[Format, ...] = FORMATS) -> None:
        """Write overlay.png (full photo), texture.png, albedo.png, partial.png, visibility.png; head.glb; head.obj with
        head.mtl, whose texture is albedo.png; params.json.

        Each goes to a temporary name first; with several PyTorch threads some are written at once. Raises
        ``OutputError`` when the folder cannot be written, ``SettingsError`` before anything is written when a format is
        not one of ``FORMATS``.

        >>> result.save(folder, ("glb", "json"))
        """
        check_formats(formats)
        folder = Path(folder)
        albedo = png_bytes(to_uint8(self.texture.albedo)) if {"png", "obj", "glb"} & set(formats) else b""

        def picture(name: str, pixels: Callable[[], np.ndarray]) -> Callable[[], None]:
            return lambda: _write(folder / f"{name}.png", png_bytes(pixels()))

        tasks: list[Callable[[], object]] = []
        if "png" in formats:
            tasks += [
                picture("overlay", lambda: self.overlay),
                picture("texture", lambda: to_uint8(self.texture.texture)),
                picture("partial", lambda: to_uint8(self.partial.color)),
                picture("visibility", lambda: to_uint8(self.partial.confidence.expand(-1, 3, -1, -1))),
            ]
        if "png" in formats or "obj" in formats:
            tasks.append(lambda: _write(folder / "albedo.png", albedo))
        if "glb" in formats or "obj" in formats:
            import trimesh  # noqa: F401 - here, for its modules import each other in a circle: not in two threads at once

            mesh = self.mesh()
            if "obj" in formats:
                tasks.insert(1, lambda: save_obj(mesh, folder / "head.obj", texture="albedo.png"))
            if "glb" in formats:
                tasks.insert(1, lambda: save_glb(mesh, folder / "head.glb", png=albedo))
        if "json" in formats:
            text = json.dumps(self.parameters(), indent=1) + "\n"
            tasks.append(lambda: _write(folder / "params.json", text.encode()))
        _run(tasks)

    def _repr_png_(self) -> bytes:
        """The overlay, for notebooks."""
        image = Image.fromarray(self.overlay)
        image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        content = io.BytesIO()
        image.save(content, "png")
        return content.getvalue()


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def _run(tasks: list[Callable[[], object]]) -> None:
    """All of them, or up to the first that fails; at once where PyTorch has threads to spare."""
    workers = min(torch.get_num_threads(), len(tasks))
    if workers <= 1:
        for task in tasks:
            task()
        return
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(task) for task in tasks]
        try:
            for future in running:
                future.result()
        finally:
            for future in running:
                future.cancel()
