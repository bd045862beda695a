"""The whole path: photo -> Face -> Fit -> PartialTexture -> Texture -> Rendering."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ftim.build import (
    DEFAULT_COMPLETION,
    Regressor,
    RegressorName,
    SkinMaskName,
    build_completion,
    build_regressor,
    build_skin_mask,
)
from ftim.completion.base import Completion
from ftim.completion.own_view import OwnView
from ftim.face import CROP_SIZE, FaceDetector, align, detect_face
from ftim.morphable import MorphableModel, load_open_head
from ftim.morphable.template import load_template_albedo
from ftim.outputs import whole_file
from ftim.photo import read_photo
from ftim.regressors.landmarks import LandmarkRegressor
from ftim.render.image import ImageRenderer, paste_back
from ftim.render.rasterizer import Rasterizer, default_rasterizer
from ftim.skin import SkinMask, skin_mask
from ftim.structures import Face, Fit, PartialTexture, Rendering, Texture
from ftim.uv import UvRenderer

TEXTURE_SIZE = 512


@dataclass(frozen=True)
class Reconstruction:
    """Everything that one photograph gave; each field is a batch of one."""

    photo: np.ndarray
    """(H, W, 3) uint8 RGB."""
    face: Face
    fit: Fit
    skin: Tensor
    """(1, 1, S, S) where the crop shows the face itself."""
    partial: PartialTexture
    texture: Texture
    rendering: Rendering

    def save(self, folder: str | Path) -> None:
        """Write overlay.png (full photo), texture.png, albedo.png, partial.png and visibility.png.

        Each goes to a temporary name first. Raises ``OutputError`` when the folder cannot be written.
        """
        folder = Path(folder)
        images = {
            "overlay": paste_back(self.photo, self.face, self.rendering),
            "texture": to_uint8(self.texture.texture),
            "albedo": to_uint8(self.texture.albedo),
            "partial": to_uint8(self.partial.color),
            "visibility": to_uint8(self.partial.confidence.expand(-1, 3, -1, -1)),
        }
        for name, image in images.items():
            with whole_file(folder / f"{name}.png") as temporary:
                Image.fromarray(image).save(temporary)


class Pipeline:
    """The stages with their models. Batches go through ``fit``, ``skin``, ``partial`` and ``render``."""

    def __init__(
        self,
        model: MorphableModel,
        template: Tensor,
        rasterizer: Rasterizer,
        size: int,
        texture_size: int,
        skin_mask: SkinMask = skin_mask,
        regressor: Regressor | None = None,
    ) -> None:
        """model and template (3, texture_size, texture_size) must be on one device; size is the crop's side.

        ``regressor`` fits this model; by default it is the landmark fit.
        """
        self.model = model
        self.template = template
        self.rasterizer = rasterizer
        self.size = size
        self.skin_mask = skin_mask
        self.detector = FaceDetector()
        self.regressor = regressor or LandmarkRegressor(model, rasterizer, template)
        self.uv = UvRenderer(model, rasterizer, texture_size)
        self.image = ImageRenderer(model, rasterizer)
        self.own_view = OwnView(self.uv)

    @classmethod
    def build(
        cls,
        device: str = "cpu",
        size: int = CROP_SIZE,
        texture_size: int = TEXTURE_SIZE,
        skin: SkinMaskName = "embedded",
        regressor: RegressorName = "landmarks",
    ) -> Self:
        """The embedded default: open head, landmark fit, our template, the default rasteriser, skin by colour.

        ``skin="bisenet"`` finds skin with a network instead. Its weights are for non-commercial use; raises
        ``AssetError`` when you have not fetched them. ``regressor="deca"`` fits by DECA on FLAME, whose files are
        licensed to you (docs/official.md); raises ``OfficialFileError`` when they are missing or wrong.
        """
        model, template = load_open_head().to(device), load_template_albedo(texture_size).to(device)
        rasterizer = default_rasterizer()
        return cls(
            model,
            template,
            rasterizer,
            size,
            texture_size,
            build_skin_mask(skin, device),
            build_regressor(regressor, model, rasterizer, template),
        )

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.template.device

    def face(self, photo: np.ndarray, index: int = 0) -> Face:
        """The crop of one face of a photo (H, W, 3) uint8; 0 is the largest. Raises ``FaceError``."""
        return align(photo, detect_face(photo, index, self.detector), self.size).to(self.device)

    @torch.no_grad()
    def fit(self, face: Face) -> tuple[Fit, Tensor]:
        """Fit each face by itself; returns the fit, its light measured on visible skin, and the skin (B, 1, S, S)."""
        return self._with_skin(face, self.regressor(face))

    @torch.no_grad()
    def fit_together(self, face: Face) -> tuple[Fit, Tensor]:
        """As ``fit`` for several photos of one person, who keeps one identity."""
        return self._with_skin(face, self.regressor.fit_together(face))

    def _with_skin(self, face: Face, fit: Fit) -> tuple[Fit, Tensor]:
        skin = self.skin_mask(face, fit, self.model, self.rasterizer) * face.valid
        return self.regressor.relight(face, fit, skin), skin

    @torch.no_grad()
    def partial(self, face: Face, fit: Fit, skin: Tensor) -> PartialTexture:
        """UV Render: what the camera saw of the skin."""
        return self.uv(face.image, fit, skin)

    @torch.no_grad()
    def render(self, texture: Texture, fit: Fit, face: Face, skin: Tensor | None = None) -> Rendering:
        """Image Render: the albedo under the fit's light, laid over the crop inside the photograph.

        With skin (B, 1, S, S) the rendering leaves hair, glasses and hands of the photo uncovered.
        """
        inside = face.valid if skin is None else face.valid * skin
        return self.image(texture.albedo, fit, face.image, inside)

    @torch.no_grad()
    def render_own(self, texture: Texture, partial: PartialTexture, fit: Fit, face: Face) -> Rendering:
        """As ``render`` into the photograph that ``partial`` was taken from: all that was seen is drawn as seen."""
        return self.image.draw_lit(self.own_view(texture, partial), fit, face.image, face.valid)

    def completion(self, name: str) -> Completion:
        """A completion by its name, one of ``ftim.build.COMPLETIONS``. Raises ValueError for another."""
        return build_completion(name, self.uv, self.template)

    def reconstruct(
        self, photo: str | Path | np.ndarray, completion: str = DEFAULT_COMPLETION, index: int = 0
    ) -> Reconstruction:
        """One photograph (a file, or (H, W, 3) uint8 RGB) through the whole path.

        Raises ``PhotoError`` for a file that is no photograph, ``FaceError`` for one without a usable face.
        """
        pixels = photo if isinstance(photo, np.ndarray) else read_photo(photo)
        face = self.face(pixels, index)
        fit, skin = self.fit(face)
        partial = self.partial(face, fit, skin)
        with torch.no_grad():
            complete = self.completion(completion)
            texture = complete(partial, fit)
        own = complete.own_view
        rendering = self.render_own(texture, partial, fit, face) if own else self.render(texture, fit, face)
        return Reconstruction(pixels, face, fit, skin, partial, texture, rendering)


def to_uint8(image: Tensor) -> np.ndarray:
    """(1, 3, H, W) in [0, 1] -> (H, W, 3) uint8, rounded."""
    return (image[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
