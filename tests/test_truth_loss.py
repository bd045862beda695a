"""The losses of heads whose albedo is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ftim.losses.truth import RARE, TruthTerms, TruthWeights, truth_loss

SIDE = 32


def loss(albedo: Tensor, truth: Tensor, **changes: Any) -> TruthTerms:
    ones = torch.ones(len(albedo), 1, SIDE, SIDE)
    values: dict[str, Any] = {
        "skin": ones, "true_skin": ones, "seen": ones, "where": ones[:1], "weights": TruthWeights(perceptual=0),
    }  # fmt: skip
    return truth_loss(albedo, truth, **values | changes)


def random_albedo(batch: int = 2) -> Tensor:
    return 0.2 + 0.6 * torch.rand(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def test_the_truth_costs_nothing_in_any_tone() -> None:
    truth = random_albedo()
    tone = torch.tensor([[0.5, 0.7, 0.9], [1.2, 1.0, 0.8]])[:, :, None, None]
    terms = loss(truth * tone, truth)
    assert float(terms.albedo) < 1e-6 and float(terms.detail) < 1e-5
    assert float(terms.total) < 1e-3


def test_half_the_face_brighter_is_half_the_difference_each() -> None:
    """After the mean is taken out, one half lies log(1.2) / 2 above and the other as much below."""
    truth = torch.full((1, 3, SIDE, SIDE), 0.4)
    albedo = truth.clone()
    albedo[..., : SIDE // 2] *= 1.2
    assert float(loss(albedo, truth).albedo) == pytest.approx(math.log(1.2) / 2, rel=1e-4)


def test_only_texels_that_count_count() -> None:
    truth, where = random_albedo(1), torch.zeros(1, 1, SIDE, SIDE)
    where[..., : SIDE // 2] = 1
    albedo = truth.clone()
    albedo[..., SIDE // 2 :] = 0.9
    assert float(loss(albedo, truth, where=where).albedo) < 1e-6


def test_what_is_no_skin_weighs_more() -> None:
    truth = random_albedo(1)
    skin, true_skin = torch.full((1, 1, SIDE, SIDE), 0.5), torch.ones(1, 1, SIDE, SIDE)
    skin[..., : SIDE // 2, :], true_skin[..., : SIDE // 2, :] = 0.8, 0.0
    expected = (RARE * -math.log(0.2) - math.log(0.5)) / (RARE + 1)
    assert float(loss(truth, truth, skin=skin, true_skin=true_skin).skin) == pytest.approx(expected, rel=1e-4)


def test_gradient_points_to_the_truth() -> None:
    truth = random_albedo(1)
    albedo = (truth * 1.0).requires_grad_()
    with torch.no_grad():
        albedo[..., 4, 4] += 0.1
    loss(albedo, truth).total.backward()  # type: ignore[no-untyped-call]
    assert albedo.grad is not None and bool((albedo.grad[..., 4, 4] > 0).all())
