"""What is measured of a texture's detail."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from ftim.pipeline import Pipeline
from ftim.reconstruction import Reconstruction
from ftim.structures import Rendering
from scripts.measure.detail import detail_kept, gradient_energy

SIDE = 48


def noise() -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def measured(photo: Tensor, drawn: Tensor, mask: Tensor, visibility: Tensor) -> float:
    """``detail_kept`` of a texture that looks like ``drawn``."""

    def draw_lit(texture: Tensor, fit: Any, below: Tensor, skin: Tensor) -> Rendering:
        return Rendering(texture, skin, texture)

    pipeline = SimpleNamespace(
        draw=lambda texture, view: Rendering(drawn, mask, torch.lerp(photo, drawn, mask)),
        image=SimpleNamespace(draw_lit=draw_lit),
    )
    everywhere = torch.ones(1, 1, SIDE, SIDE)
    result = SimpleNamespace(
        face=SimpleNamespace(image=photo, valid=everywhere),
        fit=None,
        view=None,
        texture=None,
        partial=SimpleNamespace(visibility=visibility),
        skin=everywhere,
    )
    return detail_kept(cast(Pipeline, pipeline), cast(Reconstruction, result))


def test_gradient_energy_of_a_ramp() -> None:
    steps = torch.arange(SIDE) / SIDE
    ramp = (0.5 * steps[None] + 0.25 * steps[:, None]).expand(1, 3, -1, -1)
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 5:20, 5:20] = 1
    expected = 3 * (0.5**2 + 0.25**2) / SIDE**2
    assert gradient_energy(ramp, mask) == pytest.approx(expected, rel=1e-4)
    edge = ramp.clone()
    edge[..., 20:] = 9.0  # outside of the mask
    assert gradient_energy(edge, mask) == pytest.approx(expected, rel=1e-4)


def test_what_looks_like_the_photograph_keeps_all_of_it() -> None:
    everywhere = torch.ones(1, 1, SIDE, SIDE)
    assert measured(noise(), noise(), everywhere, everywhere) == pytest.approx(1)
    assert measured(noise(), 0.5 * noise(), everywhere, everywhere) == pytest.approx(0.25)


@pytest.mark.parametrize("hidden", ["drawn", "seen"])
def test_only_seen_and_drawn_skin_counts(hidden: str) -> None:
    everywhere, half = torch.ones(1, 1, SIDE, SIDE), torch.ones(1, 1, SIDE, SIDE)
    half[..., SIDE // 2 :] = 0
    drawn = torch.where(half > 0, noise(), 0.5)
    maps = {"drawn": (half, everywhere), "seen": (everywhere, half)}[hidden]
    assert measured(noise(), drawn, *maps) == pytest.approx(1)
    assert measured(noise(), drawn, everywhere, everywhere) < 0.6
