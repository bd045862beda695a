"""Training on a sphere: a network of a few thousand numbers, maps and pictures of 64, no network in the losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ftim.completion.network import TextureNetwork
from ftim.completion.settings import FULL, Settings
from ftim.losses import LossNetworks, LossWeights
from ftim.render.image import ImageRenderer
from ftim.render.rasterizer import default_rasterizer
from ftim.structures import Face, Fit, PartialTexture, View
from ftim.training import preview
from ftim.training.cache import StoredExample
from ftim.training.config import TrainingConfig
from ftim.training.log import TrainingLog
from ftim.training.sampling import Batch, Sampler, pose_masks
from ftim.training.trainer import Stage
from ftim.uv import UvRenderer
from tests.synthetic_head import synthetic_fit
from tests.test_completion import head

SIDE = 64
WIDTHS = (8, 8, 16)
FORM = replace(FULL, size=SIDE, widths=WIDTHS)
TURN = math.radians(35)
"""Of the head in the first and the last picture of a triplet, to either side."""

Alter = Callable[[int, Batch], Batch]


@dataclass(frozen=True)
class TinyConfig(TrainingConfig):
    """The preset's form made small, and losses that look through no network."""

    @property
    def form(self) -> Settings:
        return replace(super().form, size=SIDE, widths=WIDTHS)

    @property
    def losses(self) -> LossWeights:
        return LossWeights(identity=0, id_mrf=0)


def tiny_config(folder: Path, **changes: Any) -> TinyConfig:
    """Forty steps; one checkpoint, at the end."""
    values: dict[str, Any] = {
        "steps": 40,
        "warmup": 5,
        "ema": 0.9,
        "learning_rate": 2e-3,
        "without_hair": False,  # the sphere has no hairline
        "bfloat16": False,
        "output": folder,
        "cache": folder / "cache",
        "device": "cpu",
    }
    return TinyConfig(**values | changes)


def plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Previews as small as the pictures; no plots, which have their own test."""
    monkeypatch.setattr(preview, "SIDE", SIDE)
    monkeypatch.setattr(TrainingLog, "draw", lambda _: None)


def tiny_network(settings: Settings, seed: int = 0, learnt: float = 0.1) -> TextureNetwork:
    """Of known random weights; those that begin at 0 have this standard deviation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = TextureNetwork(settings.network)
        awaken(network, learnt)
    return network


def awaken(network: TextureNetwork, deviation: float) -> None:
    """Give the layers that begin at 0 weights, as if something had been learnt."""
    for layer in (
        network.to_free,
        network.to_gains,
        network.to_smooth,
        network.to_quarter,
        network.parameters_to_latent,
    ):
        if layer is not None:
            nn.init.normal_(layer.weight, std=deviation)


@cache
def renderer() -> UvRenderer:
    return UvRenderer(head(), default_rasterizer(), SIDE)


@cache
def image_renderer() -> ImageRenderer:
    return ImageRenderer(head(), default_rasterizer())


@cache
def template() -> Tensor:
    """(3, T, T) plain skin, redder downwards; symmetric."""
    down = torch.linspace(0, 1, SIDE)[:, None].expand(SIDE, SIDE)
    return torch.stack([0.8 - 0.1 * down, 0.62 - 0.15 * down, 0.5 - 0.1 * down])


def albedo_of(seed: int) -> Tensor:
    """(1, 3, T, T) somebody's skin: the template in another tone, with smooth spots, not symmetric."""
    generator = torch.Generator().manual_seed(seed)
    tone = 0.6 + 0.4 * torch.rand(3, 1, 1, generator=generator)
    spots = nn.functional.interpolate(torch.rand(1, 1, 8, 8, generator=generator), (SIDE, SIDE), mode="bicubic")
    return (template() * tone)[None] * (0.8 + 0.3 * spots)


def triplet_fit(seed: int = 0) -> Fit:
    """Turned to the picture's left, straight, to its right, each in its own light."""
    turned = [synthetic_fit(head(), SIDE, turn=turn, seed=3 * seed + i) for i, turn in enumerate((-TURN, 0, TURN))]
    return Fit.concatenate(turned)


def view_of(photo: Tensor, skin: Tensor, fit: Fit, partial: PartialTexture) -> View:
    """A view whose landmarks nobody asks for."""
    count = len(photo)
    nowhere = Face(
        photo, torch.ones_like(skin), torch.zeros(count, 478, 2), torch.zeros(count, 52), torch.ones(count, 3)
    )
    return View(nowhere, fit, skin, partial)


def example_of(fit: Fit, albedo: Tensor) -> View:
    """The pictures that a camera would take of this skin, before grey, and what they show of it."""
    with torch.no_grad():
        grey = torch.full((len(fit), 3, SIDE, SIDE), 0.5)
        drawn = image_renderer()(albedo.expand(len(fit), -1, -1, -1), fit, grey)
        photo = torch.where(drawn.mask > 0, drawn.image, grey)
        return view_of(photo, drawn.mask, fit, renderer()(photo, fit, drawn.mask))


@cache
def triplet(seed: int = 0) -> StoredExample:
    return StoredExample.pack(example_of(triplet_fit(seed), albedo_of(seed)))


@cache
def portrait(seed: int = 0) -> StoredExample:
    return StoredExample.pack(example_of(synthetic_fit(head(), SIDE, seed=seed), albedo_of(seed)))


@cache
def masks() -> PartialTexture:
    return pose_masks(renderer(), synthetic_fit(head(), SIDE))


class AlteredSampler(Sampler):
    """A sampler whose batches pass through a function that knows the step."""

    alter: Alter

    def __call__(self, step: int) -> Batch:
        return self.alter(step, super().__call__(step))


def sampler(config: TrainingConfig, alter: Alter | None = None) -> Sampler:
    """Two triplets and four portraits."""
    portraits = [portrait(seed) for seed in range(2, 6)]
    made = AlteredSampler([triplet(0), triplet(1)], portraits, masks(), head(), config)
    made.alter = alter or (lambda _step, batch: batch)
    return made


def stage(config: TrainingConfig, alter: Alter | None = None) -> Stage:
    return Stage(renderer(), image_renderer(), template(), LossNetworks(None, None), sampler(config, alter))
