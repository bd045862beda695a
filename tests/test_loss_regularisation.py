"""The regularisation loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ftim.losses import regularisation_loss


@pytest.fixture
def maps() -> tuple[Tensor, Tensor, Tensor]:
    """Albedo (2, 3, 5, 5), template (3, 5, 5) and a soft map of what was not seen, float64."""
    generator = torch.Generator().manual_seed(4)
    albedo = torch.rand(2, 3, 5, 5, dtype=torch.float64, generator=generator)
    template = torch.rand(3, 5, 5, dtype=torch.float64, generator=generator)
    unseen = torch.rand(2, 1, 5, 5, dtype=torch.float64, generator=generator)
    return albedo, template, torch.where(unseen < 0.3, 0, unseen)


def slow(albedo: Tensor, template: Tensor, unseen: Tensor) -> list[float]:
    values = []
    for one, mask in zip(albedo - template, unseen[:, 0], strict=True):
        distance = weight = variation = steps = 0.0
        for row in range(5):
            for column in range(5):
                here = float(mask[row, column])
                weight += here
                distance += here * float(one[:, row, column].abs().mean())
                for down, right in ((0, 1), (1, 0)):
                    if row + down < 5 and column + right < 5:
                        both = here * float(mask[row + down, column + right])
                        steps += both
                        step = one[:, row + down, column + right] - one[:, row, column]
                        variation += both * float(step.abs().mean())
        values.append(distance / weight + variation / steps)
    return values


def test_value(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    assert regularisation_loss(*maps).tolist() == pytest.approx(slow(*maps), rel=1e-12)


def test_the_template_is_the_minimum(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    albedo, template, unseen = maps
    assert regularisation_loss(template.expand_as(albedo), template, unseen).tolist() == [0, 0]
    # A constant tint costs its distance and no variation; noise of the same size costs both.
    tint = regularisation_loss(template + torch.full_like(albedo, 0.1), template, unseen)
    assert tint.tolist() == pytest.approx([0.1, 0.1])
    signs = torch.where(torch.arange(25).view(5, 5) % 2 == 0, 0.1, -0.1).double()
    assert regularisation_loss(template + signs.expand_as(albedo), template, unseen).tolist() == pytest.approx(
        [0.3] * 2
    )


def test_seen_texels_are_free(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    albedo, template, unseen = maps
    free = (unseen == 0).expand_as(albedo)
    other = torch.where(free, torch.nan, albedo).requires_grad_()
    loss = regularisation_loss(other, template, unseen)
    torch.testing.assert_close(loss, regularisation_loss(albedo, template, unseen))
    loss.sum().backward()
    assert other.grad is not None
    assert torch.equal(other.grad != 0, ~free)


def test_nothing_unseen(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    albedo, template, unseen = maps
    alone = torch.zeros_like(unseen)
    alone[1, 0, 2, 2] = 1  # no neighbour: no variation
    values = regularisation_loss(albedo, template, alone)
    assert values[0] == 0
    assert values[1].item() == pytest.approx((albedo - template)[1, :, 2, 2].abs().mean().item())


def test_gradient(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    albedo, template, unseen = maps
    assert torch.autograd.gradcheck(regularisation_loss, (albedo.requires_grad_(), template, unseen))


def test_shapes(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    albedo, template, unseen = maps
    for wrong in (
        (albedo, template[:, :4], unseen),
        (albedo, template[None], unseen),
        (albedo, template, unseen[:1]),
        (albedo[0], template, unseen[0]),
    ):
        with pytest.raises(ValueError, match="expected"):
            regularisation_loss(*wrong)
