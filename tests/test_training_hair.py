"""What training takes for hair on the open head: dark texels around the face, never brows or beards."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from ftim.morphable import Region, load_open_head
from ftim.render.rasterizer import default_rasterizer
from ftim.training.hair import HairFinder, around_the_face, without_hair
from ftim.uv import UvRenderer

SIZE = 128
SKIN = torch.tensor([0.6, 0.45, 0.4])
HAIR = torch.tensor([0.15, 0.1, 0.08])


@cache
def finder() -> HairFinder:
    return HairFinder(UvRenderer(load_open_head(), default_rasterizer(), SIZE))


def skin() -> Tensor:
    """(3, T, T) one colour with a little noise."""
    noise = torch.randn(1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return SKIN[:, None, None] * (1 + 0.03 * noise)


def head() -> Tensor:
    """(1, T, T) all that is skin was seen."""
    return torch.isin(finder().regions, torch.tensor([int(Region.FACE), int(Region.SCALP)])).float()[None]


def left(albedo: Tensor, weight: Tensor) -> Tensor:
    """(T, T) share of the weight that is left."""
    kept = without_hair(albedo, weight, finder().regions, finder().place)
    return kept[0] / weight[0].clamp_min(1e-6)


def test_even_skin_stays() -> None:
    around = around_the_face(finder().regions, finder().place)
    inner = (head()[0] > 0) & ~around
    assert bool((left(skin(), head())[inner] == 1).all())
    assert float(left(skin(), head())[(head()[0] > 0) & around].mean()) > 0.6


def test_hair_around_the_face_goes_and_so_does_its_edge() -> None:
    x, y, _ = finder().place.unbind(0)
    hair = (y > 0.75) & (head()[0] > 0)
    edge = (y > 0.72) & (y <= 0.75) & (head()[0] > 0)
    albedo = torch.where(hair, HAIR[:, None, None], skin())
    assert float(left(albedo, head())[hair].max()) == 0
    assert float(left(albedo, head())[edge].mean()) < 0.5


def test_beards_and_brows_stay() -> None:
    x, y, _ = finder().place.unbind(0)
    face = head()[0] > 0
    beard = face & (y < -0.8) & (x.abs() < 0.3)
    brows = face & (y > 0.12) & (y < 0.25) & (x.abs() > 0.2) & (x.abs() < 0.6)
    albedo = torch.where(beard | brows, HAIR[:, None, None], skin())
    assert bool((left(albedo, head())[beard | brows] == 1).all())
