"""A pipeline of milliseconds for tests of the benchmark: the crop is the photograph, the texture is the crop.

The left half of the head is seen by the camera. Colours steer it: an almost black photograph holds no face, and a
photograph whose first pixel is pure red cannot be fitted.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from benchmark.methods import CompletionMethod, Method
from benchmark.runner.scoring import Scorer
from ftim.errors import FaceError, FtimError, NoFaceError
from ftim.pipeline import Pipeline
from ftim.structures import Camera, Face, Fit, PartialTexture, Rendering, Texture, View

SIDE = 32


class FakeImageRenderer:
    """The texture, seen straight, inside a disc."""

    def draw_lit(self, texture: Tensor, fit: Fit, photo: Tensor) -> Rendering:
        steps = torch.arange(SIDE) - SIDE / 2 + 0.5
        disc = (steps[:, None] ** 2 + steps[None] ** 2 < (0.4 * SIDE) ** 2).float()
        mask = disc.expand(len(photo), 1, -1, -1)
        image = F.interpolate(texture, (SIDE, SIDE)) * mask
        return Rendering(image, mask, torch.lerp(photo, image, mask))


class FakePipeline:
    """The methods of ``Pipeline`` that the benchmark uses."""

    def __init__(self) -> None:
        self.image = FakeImageRenderer()
        self.detected = 0
        self.fitted = 0

    def face(self, photo: np.ndarray) -> Face:
        self.detected += 1
        if photo.mean() < 5:
            raise NoFaceError("no face was found")
        image = torch.from_numpy(np.array(Image.fromarray(photo).resize((SIDE, SIDE), Image.Resampling.BILINEAR)))
        return Face(
            image=image.permute(2, 0, 1)[None].float() / 255,
            valid=torch.ones(1, 1, SIDE, SIDE),
            landmarks=torch.zeros(1, 478, 2),
            blendshapes=torch.zeros(1, 52),
            crop_to_photo=torch.tensor([[1.0, 0, 0]]),
        )

    def views(self, face: Face, together: bool = False) -> View:
        count = len(face)
        if ((face.image[:, :, 0, 0] - torch.tensor([1.0, 0, 0])).abs().sum(1) < 0.01).any():
            raise FaceError("cannot be fitted")
        self.fitted += count
        camera = Camera(torch.full((count,), 50.0), torch.full((count, 2), SIDE / 2), SIDE, SIDE)
        light = torch.zeros(count, 9, 3)
        fit = Fit(
            torch.zeros(count, 1), torch.zeros(count, 52), torch.eye(3).expand(count, 3, 3), torch.zeros(count, 3),
            light, camera,
        )  # fmt: skip
        visibility = torch.zeros(count, 1, SIDE, SIDE)
        visibility[..., : SIDE // 2] = 1
        partial = PartialTexture(face.image * visibility, visibility, visibility)
        return View(face, fit, torch.ones_like(visibility), partial)

    def draw(self, texture: Texture, view: View, cover: Tensor | None = None) -> Rendering:
        return self.image.draw_lit(texture.texture, view.fit, view.photo)

    def draw_albedo(self, texture: Texture, view: View) -> Rendering:
        return self.image.draw_lit(texture.albedo, view.fit, view.photo)

    def toned(self, texture: Texture, view: View) -> tuple[Texture, Fit, None]:
        return texture, view.fit, None


class Shift:
    """A completion: the partial texture made lighter, and grey where nothing was seen."""

    def __init__(self, name: str, amount: float, fails_on: float | None = None, albedo: float = 0.0) -> None:
        self.name = name
        self.amount = amount
        self.albedo = albedo
        """How much lighter the albedo is than the texture."""
        self.fails_on = fails_on
        """A mean colour of the seen half at which it raises; NaN colours are returned for amount NaN."""
        self.seen = 0

    def __call__(self, partial: PartialTexture, fit: Fit) -> Texture:
        self.seen += len(fit)
        if self.fails_on is not None:
            means = partial.color.sum((1, 2, 3)) / partial.visibility.sum((1, 2, 3)) / 3
            if ((means - self.fails_on).abs() < 0.02).any():
                raise FtimError("this colour is too hard")
        texture = torch.where(partial.visibility > 0, partial.color + self.amount, 0.5)
        return Texture(texture, texture + self.albedo, torch.ones_like(texture))


class FakeLpips(nn.Module):
    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        return (image - reference).square().mean((1, 2, 3), keepdim=True)


class FakeFacenet(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return F.normalize(F.adaptive_avg_pool2d(image, 4).flatten(1) + 2, dim=1)


def fake_scorer() -> Scorer:
    return Scorer(FakeLpips(), FakeFacenet())


def fake_method(
    pipeline: FakePipeline, name: str, amount: float, fails_on: float | None = None, albedo: float = 0.0
) -> Method:
    return CompletionMethod(name, "reference", Shift(name, amount, fails_on, albedo), as_pipeline(pipeline))


def as_pipeline(pipeline: FakePipeline) -> Pipeline:
    return cast(Pipeline, pipeline)


def write_photo(path: Path, brightness: int, seed: int = 0) -> None:
    """A smooth picture around a brightness (0 to 255), stored without loss."""
    rng = np.random.default_rng(seed)
    small = rng.integers(-20, 21, (4, 4, 3))
    pixels = np.clip(brightness + small.repeat(10, 0).repeat(10, 1), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
