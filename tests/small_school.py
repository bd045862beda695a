"""What a baseline needs to learn from, made from the mean head alone: no photograph, no network of others."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.retrained.appearance import HeadPainter, Inputs
from benchmark.retrained.basis import SIDE, AlbedoBasis
from benchmark.retrained.lessons import WarmPictures
from benchmark.retrained.model import Lesson
from benchmark.retrained.training import School
from ftim.losses import LossNetworks
from ftim.losses.vgg19 import Vgg19
from ftim.pipeline import Pipeline
from ftim.structures import Camera, Fit, View
from ftim.training.cache import StoredExample
from ftim.training.config import TrainingConfig
from ftim.training.sampling import Sampler, pose_masks, turn
from tests.tiny_training import view_of

CROP = 224
COMPONENTS = 80


class SmallFacenet(nn.Module):
    """Stands for FaceNet: 512 numbers of unit length from a picture."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(512, 3 * 64, generator=generator), requires_grad=False)

    def forward(self, image: Tensor) -> Tensor:
        return F.normalize(F.adaptive_avg_pool2d(image, 8).flatten(1) @ self.weight.T, dim=1)


@cache
def pipeline() -> Pipeline:
    return Pipeline.build(texture_size=SIDE)


@cache
def painter() -> HeadPainter:
    return HeadPainter(pipeline().uv, pipeline().image)


@cache
def networks() -> LossNetworks:
    torch.manual_seed(0)
    return LossNetworks(SmallFacenet(), Vgg19().eval().requires_grad_(False))  # type: ignore[arg-type]


@cache
def basis() -> AlbedoBasis:
    """Components that are smooth random colours of the face, each half as strong as a tenth of the mean."""
    generator = torch.Generator().manual_seed(1)
    texel = pipeline().uv.atlas.texel[::2]
    coarse = torch.randn(COMPONENTS, 3, 8, 8, generator=generator)
    fields = F.interpolate(coarse, (SIDE, SIDE), mode="bilinear").flatten(2)[:, :, texel]
    flat, _ = torch.linalg.qr(fields.flatten(1).T)
    return AlbedoBasis(pipeline().template, flat.T.unflatten(1, (3, -1)) * 5.0, texel)


def fit_of(yaws: tuple[float, ...]) -> Fit:
    """The mean head, turned, in even light from the front."""
    model, count = pipeline().model, len(yaws)
    light = torch.zeros(count, 9, 3)
    light[:, 0] = 3.0
    light[:, 2] = 0.3
    centre = model.template.mean(0)
    rotation = torch.stack([turn(yaw) for yaw in yaws])
    place = torch.tensor([0.0, 0.0, -0.6]) - rotation @ centre
    camera = Camera(torch.full((count,), 360.0), torch.full((count, 2), CROP / 2), CROP, CROP)
    zeros = torch.zeros(count, len(model.identity_basis)), torch.zeros(count, len(model.expression_basis))
    return Fit(*zeros, rotation, place, light, camera)


@cache
def example() -> View:
    """Three views of a head whose skin is a member of the basis."""
    fit = fit_of((-30.0, 0.0, 30.0))
    generator = torch.Generator().manual_seed(2)
    albedo = basis().albedo(torch.randn(1, COMPONENTS, generator=generator)).clamp(0.05, 1)
    grey = torch.full((3, 3, CROP, CROP), 0.5)
    with torch.no_grad():
        drawn = pipeline().image(albedo.expand(3, -1, -1, -1), fit, grey)
        photo = drawn.overlay.clamp(0, 1)
        return view_of(photo, drawn.mask, fit, pipeline().uv(photo, fit, drawn.mask))


def lesson() -> Lesson:
    """All three views, the front one looked at."""
    return Lesson(example(), inputs(), torch.tensor([1]), painter(), networks())


def inputs() -> Inputs:
    """Of the three views."""
    embedding = torch.zeros(3, 512)
    embedding[:, 0] = 1
    return Inputs(example(), embedding)


@cache
def school() -> School:
    """One triplet; its warm pictures want its albedo."""
    stored = StoredExample.pack(example())
    masks = pose_masks(pipeline().uv, example().fit[1])
    sampler = Sampler([stored], [], masks, pipeline().model, TrainingConfig())
    target = torch.ones(2, 3, COMPONENTS)
    embedding = F.normalize(torch.ones(2, 3, 512), dim=2)
    warm = WarmPictures([stored] * 3, [0, 1, 2], target, embedding, pipeline())
    return School(basis(), painter(), networks(), sampler, warm)
