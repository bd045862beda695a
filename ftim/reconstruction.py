"""What one face of a photograph gave, and the files that are written of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ftim.errors import SettingsError
from ftim.io import HeadMesh, head_mesh, save_glb, save_obj
from ftim.morphable import EXPRESSIONS, MorphableModel
from ftim.outputs import whole_file
from ftim.render.image import paste_back
from ftim.structures import Face, Fit, PartialTexture, Rendering, Texture

Format = Literal["png", "glb", "obj", "json"]
FORMATS: tuple[Format, ...] = ("png", "glb", "obj", "json")
"""Pictures; the head with its expressions; the head for tools without them; the parameters."""


def check_formats(formats: Sequence[str]) -> None:
    """Raise ``SettingsError`` unless each is one of ``FORMATS``."""
    if isinstance(formats, str):
        raise SettingsError(f"formats is a sequence such as ({formats!r},), not a text")
    if unknown := [str(name) for name in formats if name not in FORMATS]:
        raise SettingsError(f"there is no format {', '.join(unknown)}; there are {', '.join(FORMATS)}")


@dataclass(frozen=True)
class Reconstruction:
    """Everything that one face gave; each field is a batch of one, at the photograph's own resolution."""

    photo: np.ndarray
    """(H, W, 3) uint8 RGB, upright for this face."""
    face: Face
    fit: Fit
    """Its light is one on average on the skin that was seen; the skin's tone is the albedo's (``ftim.tone``)."""
    skin: Tensor
    """(1, 1, S, S) where the crop shows the face itself."""
    partial: PartialTexture
    """What this photograph showed; with several photographs, what all of them showed."""
    texture: Texture
    rendering: Rendering
    model: MorphableModel
    views: Face
    """Of all photographs that it was made from, this one first, in crops of the fit's size: a batch of one to three."""
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

    @property
    def overlay(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB: the photograph with the rendered head laid over the face."""
        return paste_back(self.photo, self.face, self.rendering)

    def mesh(self) -> HeadMesh:
        """The head with its albedo, for files and viewers."""
        return head_mesh(self.model, self.fit, self.texture.albedo)

    def parameters(self) -> dict[str, Any]:
        """The fit as JSON values; conventions are those of CONVENTIONS.md."""
        fit, camera = self.fit, self.fit.camera
        scale, left, top = self.face.crop_to_photo[0].tolist()
        return {
            "model": {"name": self.model.name, "version": self.model.version},
            "identity": _numbers(fit.identity[0]),
            "expression": dict(zip(EXPRESSIONS, _numbers(fit.expression[0]), strict=True)),
            "rotation": [_numbers(row) for row in fit.rotation[0]],
            "translation": _numbers(fit.translation[0]),
            "light": [_numbers(row) for row in fit.light[0]],
            "camera": {
                "focal": round(float(camera.focal[0]), 6),
                "principal": _numbers(camera.principal[0]),
                "height": camera.height,
                "width": camera.width,
            },
            "crop": {"scale": scale, "left": left, "top": top},
        }

    def save(self, folder: str | Path, formats: tuple[Format, ...] = FORMATS) -> None:
        """Write overlay.png (full photo), texture.png, albedo.png, partial.png, visibility.png; head.glb; head.obj with
        head.mtl, whose texture is albedo.png; params.json.

        Each goes to a temporary name first. Raises ``OutputError`` when the folder cannot be written, ``SettingsError``
        before anything is written when a format is not one of ``FORMATS``.
        """
        check_formats(formats)
        folder = Path(folder)
        albedo = to_uint8(self.texture.albedo)
        pictures = {}
        if "png" in formats:
            pictures = {
                "overlay": self.overlay,
                "texture": to_uint8(self.texture.texture),
                "partial": to_uint8(self.partial.color),
                "visibility": to_uint8(self.partial.confidence.expand(-1, 3, -1, -1)),
            }
        if "png" in formats or "obj" in formats:
            pictures["albedo"] = albedo
        for name, pixels in pictures.items():
            with whole_file(folder / f"{name}.png") as temporary:
                Image.fromarray(pixels).save(temporary)
        mesh = self.mesh()
        if "glb" in formats:
            save_glb(mesh, folder / "head.glb")
        if "obj" in formats:
            save_obj(mesh, folder / "head.obj", texture="albedo.png")
        if "json" in formats:
            with whole_file(folder / "params.json") as temporary:
                temporary.write_text(json.dumps(self.parameters(), indent=1) + "\n", encoding="utf-8")


def to_uint8(image: Tensor) -> np.ndarray:
    """(1, 3, H, W) in [0, 1] -> (H, W, 3) uint8, rounded."""
    return (image[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def _numbers(values: Tensor) -> list[float]:
    """To the sixth decimal."""
    return [round(value, 6) for value in values.tolist()]
