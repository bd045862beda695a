"""The symmetry loss, eq. 3."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ftim.losses import one_sided, symmetry_loss


@pytest.fixture
def maps() -> tuple[Tensor, Tensor]:
    """Albedo (2, 3, 4, 6) and what was seen of it, float64; the second is seen on both sides in one place only."""
    generator = torch.Generator().manual_seed(3)
    albedo = torch.rand(2, 3, 4, 6, dtype=torch.float64, generator=generator)
    seen = torch.zeros(2, 1, 4, 6, dtype=torch.float64)
    seen[0, :, 1:, :4] = 1
    seen[1, :, 2, [1, 4]] = 1
    seen[1, :, 3, 5] = 0.5
    return albedo, seen


def test_value(maps: tuple[Tensor, Tensor]) -> None:
    albedo, seen = maps
    expected = []
    for b in range(2):
        total = weight = 0.0
        for row in range(4):
            for column in range(6):
                for c in range(3):
                    difference = abs(float(albedo[b, c, row, column]) - float(albedo[b, c, row, 5 - column]))
                    total += float(seen[b, 0, row, column]) * difference
                    weight += float(seen[b, 0, row, column])
        expected.append(total / weight)
    assert symmetry_loss(albedo, seen).tolist() == pytest.approx(expected, rel=1e-12)


def test_symmetric_albedo(maps: tuple[Tensor, Tensor]) -> None:
    albedo, seen = maps
    assert symmetry_loss((albedo + albedo.flip(3)) / 2, seen).tolist() == [0, 0]
    assert symmetry_loss(albedo, torch.zeros_like(seen)).tolist() == [0, 0]


def test_one_sided(maps: tuple[Tensor, Tensor]) -> None:
    _, seen = maps
    left = one_sided(seen)
    assert torch.equal(left[0, 0, 1], torch.tensor([1.0, 1, 0, 0, 0, 0], dtype=torch.float64))
    assert left[1, 0].nonzero().tolist() == [[3, 5]]
    assert left[1, 0, 3, 5] == 0.5


def test_a_mole_stays(maps: tuple[Tensor, Tensor]) -> None:
    """Seen on both sides: eq. 3 punishes it, one-sided it costs nothing."""
    albedo = torch.full((1, 3, 4, 6), 0.6)
    albedo[..., 2, 1] = 0.1
    seen = torch.ones(1, 1, 4, 6)
    seen[..., 0, 0] = 0
    assert symmetry_loss(albedo, seen) > 0
    assert symmetry_loss(albedo, one_sided(seen)) == 0


def test_only_seen_texels_and_their_mirror_images(maps: tuple[Tensor, Tensor]) -> None:
    albedo, seen = maps
    touched = ((seen > 0) | (seen.flip(3) > 0)).expand_as(albedo)
    other = torch.where(touched, albedo, torch.nan).requires_grad_()
    loss = symmetry_loss(other, seen)
    assert torch.equal(loss, symmetry_loss(albedo, seen))
    loss.sum().backward()
    assert other.grad is not None
    assert torch.equal(other.grad != 0, touched)


def test_gradient(maps: tuple[Tensor, Tensor]) -> None:
    albedo, seen = maps
    assert torch.autograd.gradcheck(symmetry_loss, (albedo.requires_grad_(), seen))


def test_shapes(maps: tuple[Tensor, Tensor]) -> None:
    albedo, seen = maps
    for wrong in ((albedo[0], seen[0]), (albedo, seen[..., :5]), (albedo[:, :2], seen), (albedo, seen[:, 0])):
        with pytest.raises(ValueError, match="expected"):
            symmetry_loss(*wrong)
