"""A textured head: what can be drawn, measured and written of it once it is reconstructed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ftim.errors import PhotoError, ResultFileError, SettingsError
from ftim.io import HeadMesh, head_mesh
from ftim.morphable import EXPRESSIONS, MorphableModel, Region, load_open_head
from ftim.photo import read_photo
from ftim.render.image import ImageRenderer, soften
from ftim.render.rasterizer import default_rasterizer
from ftim.render.views import lit_from, turned, with_expression
from ftim.structures import Camera, Fit, Texture

if TYPE_CHECKING:
    import trimesh

FARTHER = 1.25
"""Than in the photograph: crown and neck are in the picture too."""
LARGEST_PICTURE = 4096
Color = tuple[float, float, float]
"""Red, green and blue in [0, 1], sRGB."""


@dataclass(frozen=True)
class Head:
    """One head with its texture; each field is a batch of one."""

    fit: Fit
    """Its light is one on average on the skin that was seen; the skin's tone is the albedo's (``ftim.tone``)."""
    texture: Texture
    renderer: ImageRenderer
    """Of the head's model, on the device of its tensors."""

    @property
    def model(self) -> MorphableModel:
        """The head's shape and its atlas."""
        return self.renderer.model

    @property
    def texture_image(self) -> Image.Image:
        """(T, T) RGB: the skin as the photograph shows it, complete."""
        return Image.fromarray(to_uint8(self.texture.texture))

    @property
    def albedo_image(self) -> Image.Image:
        """(T, T) RGB: the skin without the light of the photograph."""
        return Image.fromarray(to_uint8(self.texture.albedo))

    def mesh(self) -> HeadMesh:
        """The head with its albedo, for files and viewers."""
        return head_mesh(self.model, self.fit, self.texture.albedo)

    def to_trimesh(self, expression: bool = True) -> trimesh.Trimesh:
        """The head with its albedo as a ``trimesh.Trimesh`` in metres, y up, looking along +z.

        With ``expression`` it has the photograph's, else none.

        >>> result.to_trimesh().faces.shape[1]
        3
        """
        return self.mesh().to_trimesh(pbr=True, expression=expression)

    @torch.no_grad()
    def render(
        self,
        yaw: float = 0.0,
        pitch: float = 0.0,
        light: tuple[float, float] | None = None,
        expression: Mapping[str, float] | None = None,
        size: int = 512,
        background: Color | None = None,
    ) -> np.ndarray:
        """The whole head from any side, in any light, with any expression.

        Args:
            yaw: degrees; positive turns the head to the viewer's right.
            pitch: degrees; positive lowers the chin.
            light: azimuth and elevation, in degrees, of a white lamp; the photograph's own light when None.
            expression: weights in [0, 1] by ARKit name (``ftim.morphable.EXPRESSIONS``), 0 for the others; the
                photograph's when None.
            size: side of the picture in pixels.
            background: red, green and blue in [0, 1]; when None the picture has an alpha channel instead.

        Returns:
            (size, size, 3) uint8 RGB, or (size, size, 4) RGBA without a background.

        Raises:
            SettingsError: an expression that there is not, a weight outside [0, 1], or a size below 1 or too large.

        >>> result.render(yaw=-40, light=(60, 20), expression={"jawOpen": 0.7}, size=64, background=(1, 1, 1)).shape
        (64, 64, 3)
        """
        if not 1 <= size <= LARGEST_PICTURE:
            raise SettingsError(f"size is 1 to {LARGEST_PICTURE} pixels, not {size}")
        fit = self.fit if expression is None else with_expression(self.fit, expression)
        fit = turned(fit, yaw, pitch, farther=FARTHER)
        if light is not None:
            fit = lit_from(fit, *light)
        fit = replace(fit, camera=fit.camera.resized(size, size))
        whole = ImageRenderer(self.model, self.renderer.rasterizer, tuple(Region))
        paper = fit.light.new_tensor(background or (0.0, 0.0, 0.0))[None, :, None, None].expand(1, 3, size, size)
        drawn = whole(self.texture.albedo, fit, paper)
        if background is not None:
            return to_uint8(drawn.overlay)
        return np.concatenate([to_uint8(drawn.image), to_uint8(soften(drawn.mask))], axis=2)

    def parameters(self) -> dict[str, Any]:
        """The fit as JSON values; conventions are those of CONVENTIONS.md."""
        fit, camera = self.fit, self.fit.camera
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
        }

    @classmethod
    def load(cls, folder: str | Path) -> Head:
        """The head of a folder that ``Reconstruction.save`` wrote, from params.json, texture.png and albedo.png.

        Maps have 8 bits a channel there, and the light that nine harmonics do not hold is not kept. Raises
        ``ResultFileError`` when one of the three is missing, damaged, or of another head.

        >>> import ftim
        >>> result.save(folder)
        >>> ftim.Reconstruction.load(folder).render(size=64).shape
        (64, 64, 4)
        """
        folder = Path(folder)
        remedy = "Reconstruct the photograph again, with the formats png and json"
        try:
            values = json.loads((folder / "params.json").read_text(encoding="utf-8"))
            texture, albedo = (_from_uint8(read_photo(folder / name)) for name in ("texture.png", "albedo.png"))
            model = load_open_head()
            if values["model"] != {"name": model.name, "version": model.version}:
                raise ResultFileError(f"{folder} holds a head of {values['model']}, not of {model.name}. {remedy}")
            fit = _fit_from(values)
            if fit.identity.shape[1] != len(model.identity_basis) or texture.shape != albedo.shape:
                raise ValueError("its parts do not fit each other")
        except (OSError, PhotoError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ResultFileError(f"{folder} cannot be read as a result: {error}. {remedy}") from error
        renderer = ImageRenderer(model, default_rasterizer())
        return Head(fit, Texture(texture, albedo, torch.ones_like(albedo)), renderer)


def to_uint8(image: Tensor) -> np.ndarray:
    """(1, C, H, W) in [0, 1] -> (H, W, C) uint8, rounded."""
    return (image[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def _from_uint8(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()


def _numbers(values: Tensor) -> list[float]:
    """To the sixth decimal."""
    return [round(value, 6) for value in values.tolist()]


def _fit_from(values: dict[str, Any]) -> Fit:
    """The inverse of ``Head.parameters``."""
    numbers = {name: torch.tensor([values[name]]).float() for name in ("identity", "rotation", "translation", "light")}
    shapes = {name: tuple(value.shape[1:]) for name, value in numbers.items() if name != "identity"}
    if shapes != {"rotation": (3, 3), "translation": (3,), "light": (9, 3)}:
        raise ValueError("params.json holds numbers of other shapes")
    camera = values["camera"]
    return Fit(
        expression=torch.tensor([[values["expression"][name] for name in EXPRESSIONS]]).float(),
        camera=Camera(
            torch.tensor([camera["focal"]]).float(),
            torch.tensor([camera["principal"]]).float(),
            int(camera["height"]),
            int(camera["width"]),
        ),
        **numbers,
    )
