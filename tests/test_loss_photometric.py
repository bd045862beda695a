"""The photometric loss, and what every loss of pictures in masks has in common."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ftim.losses import photometric_loss


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor, Tensor]:
    """Two (2, 3, 5, 4) images and a soft mask with empty places, float64."""
    generator = torch.Generator().manual_seed(1)
    image, photo, mask = (
        torch.rand(2, channels, 5, 4, dtype=torch.float64, generator=generator) for channels in (3, 3, 1)
    )
    return image, photo, torch.where(mask < 0.4, 0, mask)


def slow(image: Tensor, photo: Tensor, mask: Tensor) -> list[float]:
    values = []
    for one, other, weights in zip(image, photo, mask, strict=True):
        total = 0.0
        for y in range(one.shape[1]):
            for x in range(one.shape[2]):
                for channel in range(3):
                    total += float(weights[0, y, x]) * abs(float(one[channel, y, x]) - float(other[channel, y, x]))
        values.append(total / (3 * float(weights.sum())))
    return values


def test_value(pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    assert photometric_loss(*pictures).tolist() == pytest.approx(slow(*pictures), rel=1e-12)


def test_known_value() -> None:
    photo = torch.full((1, 3, 4, 4), 0.25)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    assert photometric_loss(photo + 0.5 * mask, photo, mask).item() == pytest.approx(0.5)


def test_equal_images(pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, _, mask = pictures
    assert photometric_loss(image, image.clone(), mask).tolist() == [0, 0]


def test_outside_has_no_influence(pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = pictures
    outside = (mask == 0).expand_as(image)
    spoilt = torch.where(outside, torch.nan, image).requires_grad_()
    loss = photometric_loss(spoilt, torch.where(outside, torch.inf, photo), mask)
    torch.testing.assert_close(loss, photometric_loss(image, photo, mask))
    loss.sum().backward()
    assert spoilt.grad is not None
    assert (spoilt.grad[outside] == 0).all()
    assert (spoilt.grad[~outside] != 0).all()


def test_empty_mask(pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = pictures
    mask[0] = 0
    image.requires_grad_()
    loss = photometric_loss(image, photo, mask)
    assert loss[0] == 0
    assert loss[1] > 0
    loss.sum().backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    assert not image.grad[0].any()


def test_size_does_not_matter(pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    large = [tensor.repeat_interleave(3, 2).repeat_interleave(3, 3) for tensor in pictures]
    torch.testing.assert_close(photometric_loss(*large), photometric_loss(*pictures))


def test_bfloat16_is_summed_in_float32() -> None:
    photo = torch.zeros(1, 3, 64, 64, dtype=torch.bfloat16)
    mask = torch.ones(1, 1, 64, 64, dtype=torch.bfloat16)
    loss = photometric_loss(photo + 0.5, photo, mask)
    assert loss.dtype == torch.float32
    assert loss.item() == 0.5


def test_gradient(pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = pictures
    assert torch.autograd.gradcheck(photometric_loss, (image.requires_grad_(), photo.requires_grad_(), mask))


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3, 5, 4), (2, 3, 4, 5), (2, 1, 5, 4)),
        ((2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4)),
        ((2, 3, 5, 4), (2, 3, 5, 4), (1, 1, 5, 4)),
        ((2, 4, 5, 4), (2, 4, 5, 4), (2, 1, 5, 4)),
        ((3, 5, 4), (3, 5, 4), (1, 5, 4)),
    ],
)
def test_shapes(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        photometric_loss(*(torch.rand(shape) for shape in shapes))


@pytest.fixture
def larger() -> tuple[Tensor, Tensor, Tensor]:
    """Two (2, 3, 13, 14) images that are alike, and a mask of 0 and 1, float64."""
    generator = torch.Generator().manual_seed(2)
    image, noise = (torch.rand(2, 3, 13, 14, dtype=torch.float64, generator=generator) for _ in range(2))
    mask = (torch.rand(2, 1, 13, 14, dtype=torch.float64, generator=generator) > 0.3).double()
    return image, 0.8 * image + 0.2 * noise, mask


def slow_dissimilarity(image: Tensor, photo: Tensor, mask: Tensor) -> list[float]:
    """Wang et al. 2004, window by window: weighted moments of the pixels in the mask."""
    steps = torch.arange(11, dtype=torch.float64) - 5
    window = torch.exp(-(steps[:, None] ** 2 + steps[None] ** 2) / (2 * 1.5**2))
    values = []
    for one, other, chosen in zip(image, photo, mask, strict=True):
        scores = []
        for y in range(5, one.shape[1] - 5):
            for x in range(5, one.shape[2] - 5):
                if not chosen[0, y, x]:
                    continue
                weights = window * chosen[0, y - 5 : y + 6, x - 5 : x + 6]
                weights = weights / weights.sum()
                for channel in range(3):
                    a, b = (picture[channel, y - 5 : y + 6, x - 5 : x + 6] for picture in (one, other))
                    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
                    variances = (weights * (a - mean_a) ** 2).sum() + (weights * (b - mean_b) ** 2).sum()
                    covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
                    light = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
                    scores.append(float((1 - light * (2 * covariance + 0.03**2) / (variances + 0.03**2)) / 2))
        values.append(sum(scores) / len(scores))
    return values


def test_structure_value(larger: tuple[Tensor, Tensor, Tensor]) -> None:
    parts = zip(slow(*larger), slow_dissimilarity(*larger), strict=True)
    expected = [0.7 * difference + 0.3 * structure for difference, structure in parts]
    assert photometric_loss(*larger, structure=0.3).tolist() == pytest.approx(expected, rel=1e-9)


def test_structure_gradient(larger: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = larger

    def loss(rendered: Tensor) -> Tensor:
        return photometric_loss(rendered, photo, mask, structure=1.0)

    assert torch.autograd.gradcheck(loss, (image.requires_grad_(),))


def test_structure_outside_has_no_influence(larger: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = larger
    outside = (mask == 0).expand_as(image)
    spoilt = torch.where(outside, torch.nan, image).requires_grad_()
    loss = photometric_loss(spoilt, photo, mask, structure=0.5)
    torch.testing.assert_close(loss, photometric_loss(image, photo, mask, structure=0.5))
    loss.sum().backward()
    assert spoilt.grad is not None
    assert torch.isfinite(spoilt.grad).all()
    empty = photometric_loss(image, photo, torch.zeros_like(mask), structure=0.5)
    assert empty.tolist() == [0, 0]


def test_structure_is_a_share(larger: tuple[Tensor, Tensor, Tensor]) -> None:
    with pytest.raises(ValueError, match="share"):
        photometric_loss(*larger, structure=1.5)
