"""The UV albedo loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ftim.losses import uv_albedo_loss


@pytest.fixture
def maps() -> tuple[Tensor, Tensor, Tensor]:
    """Complete and partial texture (2, 3, 6, 6), float64, half of it seen with some confidence."""
    generator = torch.Generator().manual_seed(2)
    complete, color, seen = (torch.rand(2, n, 6, 6, dtype=torch.float64, generator=generator) for n in (3, 3, 1))
    seen = torch.where(seen < 0.5, 0, seen)
    return complete, color * (seen > 0), seen


def test_value(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    complete, partial, seen = maps
    expected = []
    for b in range(2):
        total = weight = 0.0
        for row in range(6):
            for column in range(6):
                share = float(seen[b, 0, row, column])
                weight += 3 * share
                for c in range(3):
                    total += share * abs(float(complete[b, c, row, column]) - float(partial[b, c, row, column]))
        expected.append(total / weight)
    assert uv_albedo_loss(*maps).tolist() == pytest.approx(expected, rel=1e-12)


def test_what_was_seen_and_kept_costs_nothing(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    complete, partial, seen = maps
    kept = torch.where(seen > 0, partial, complete)
    assert uv_albedo_loss(kept, partial, seen).tolist() == [0, 0]
    assert uv_albedo_loss(complete, partial, torch.zeros_like(seen)).tolist() == [0, 0]


def test_the_hole_is_free(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    complete, partial, seen = maps
    other = torch.where(seen > 0, complete, 1 - complete).requires_grad_()
    loss = uv_albedo_loss(other, partial, seen)
    assert torch.equal(loss, uv_albedo_loss(complete, partial, seen))
    loss.sum().backward()
    assert other.grad is not None
    assert torch.equal(other.grad != 0, (seen > 0).expand_as(other))


def test_gradient(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    complete, partial, seen = maps
    assert torch.autograd.gradcheck(uv_albedo_loss, (complete.requires_grad_(), partial, seen))


def test_shapes(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    complete, partial, seen = maps
    for wrong in (
        (complete, partial[..., :5], seen),
        (complete, partial, seen[:1]),
        (complete[0], partial[0], seen[0]),
    ):
        with pytest.raises(ValueError, match="expected"):
            uv_albedo_loss(*wrong)
