"""The ID-MRF loss: on random features, on a small network in VGG19's form, and on VGG19 where its file is present."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.assets import ASSETS, AssetStore
from ftim.losses import Vgg19, id_mrf, id_mrf_loss, load_vgg19, vgg19
from ftim.losses.id_mrf import markov_loss


@pytest.fixture
def features() -> tuple[Tensor, Tensor, Tensor]:
    """Two (2, 5, 4, 5) feature maps, the first near the second, and a mask; float64."""
    generator = torch.Generator().manual_seed(10)
    target, noise = (torch.rand(2, 5, 4, 5, dtype=torch.float64, generator=generator) for _ in range(2))
    mask = torch.ones(2, 1, 4, 5, dtype=torch.float64)
    mask[0, :, :2, 1:] = 0.4
    mask[1, :, :, 3] = 0
    return 0.6 * target + 0.4 * noise, target, mask


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Vgg19:
    """Of VGG19's form with a few channels and random weights, float64."""
    monkeypatch.setattr(vgg19, "_BLOCKS", ((4, 2), (4, 2), (6, 4), (8, 4), (8, 4)))
    with torch.random.fork_rng():
        torch.manual_seed(11)
        network = Vgg19().double().eval().requires_grad_(False)
        for name, value in network.named_parameters():
            value.copy_(torch.randn_like(value) * (0.4 if name.endswith("weight") else 0.1))
    return network


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor, Tensor]:
    """Two (2, 3, 24, 32) images and a mask, float64."""
    generator = torch.Generator().manual_seed(12)
    image, photo = (torch.rand(2, 3, 24, 32, dtype=torch.float64, generator=generator) for _ in range(2))
    mask = torch.zeros(2, 1, 24, 32, dtype=torch.float64)
    mask[0, :, 3:22, 5:30] = 1
    mask[1, :, :, 9:] = 0.9
    return image, photo, mask


def slow(generated: Tensor, target: Tensor, mask: Tensor) -> list[float]:
    """The four lines of the module's description, number by number."""

    def unit(vector: list[float]) -> list[float]:
        length = math.sqrt(sum(x * x for x in vector))
        return [x / length for x in vector]

    losses = []
    for b in range(len(target)):
        places = [(y, x) for y in range(4) for x in range(5) if mask[b, 0, y, x] >= 0.5]
        all_v = [generated[b, :, y, x].tolist() for y, x in places]
        all_s = [target[b, :, y, x].tolist() for y, x in places]
        mean = [sum(s[c] for s in all_s) / len(all_s) for c in range(5)]
        all_v = [unit([a - m for a, m in zip(v, mean, strict=True)]) for v in all_v]
        all_s = [unit([a - m for a, m in zip(s, mean, strict=True)]) for s in all_s]
        similarity = []
        for v in all_v:
            distances = [(1 - sum(a * b for a, b in zip(v, s, strict=True))) / 2 for s in all_s]
            relative = [math.exp(-d / (min(distances) + 1e-5) / 0.5) for d in distances]
            similarity.append([r / sum(relative) for r in relative])
        best = [max(row[i] for row in similarity) for i in range(len(all_s))]
        losses.append(-math.log(sum(best) / len(best)))
    return losses


def test_value(features: tuple[Tensor, Tensor, Tensor]) -> None:
    expected = slow(*features)
    assert markov_loss(*features).tolist() == pytest.approx(expected, rel=1e-9)
    generated, target, mask = features
    assert markov_loss(generated.requires_grad_(), target, mask).tolist() == pytest.approx(expected, rel=1e-9)
    assert min(expected) > 0.1


@pytest.mark.parametrize("chunk", [1, 37, 60])
def test_chunks_change_nothing(
    features: tuple[Tensor, Tensor, Tensor], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated, target, mask = features
    whole = generated.clone().requires_grad_()
    markov_loss(whole, target, mask).sum().backward()
    monkeypatch.setattr(id_mrf, "_CPU_CHUNK", chunk)
    parts = generated.clone().requires_grad_()
    loss = markov_loss(parts, target, mask)
    loss.sum().backward()
    assert loss.tolist() == pytest.approx(slow(*features), rel=1e-9)
    assert whole.grad is not None and parts.grad is not None
    torch.testing.assert_close(parts.grad, whole.grad)
    assert parts.grad.any()


def test_equal_features_are_the_minimum(features: tuple[Tensor, Tensor, Tensor]) -> None:
    generated, target, mask = features
    assert markov_loss(target.clone(), target, mask).tolist() == pytest.approx([0, 0], abs=1e-9)
    # Where a patch lies does not matter, only that each is there.
    assert markov_loss(target.flip(3), target, torch.ones_like(mask)).tolist() == pytest.approx([0, 0], abs=1e-9)
    assert markov_loss(target.float(), target.float(), mask).tolist() == pytest.approx([0, 0], abs=1e-3)


def test_one_patch_everywhere_scores_worst(features: tuple[Tensor, Tensor, Tensor]) -> None:
    """Diversity: a copy of one patch finds one s, so the loss is nearly the logarithm of their number."""
    generated, target, mask = features
    mask = torch.ones_like(mask)
    same = target[:, :, 2:3, 2:3].expand_as(target)
    assert markov_loss(same, target, mask).tolist() == pytest.approx([math.log(20)] * 2, rel=1e-3)
    assert (markov_loss(generated, target, mask) < 2).all()


def test_places_outside_have_no_influence(features: tuple[Tensor, Tensor, Tensor]) -> None:
    generated, target, mask = features
    inside = (mask >= 0.5).expand_as(generated)
    spoilt = torch.where(inside, generated, torch.nan).requires_grad_()
    loss = markov_loss(spoilt, torch.where(inside, target, torch.nan), mask)
    torch.testing.assert_close(loss, markov_loss(generated, target, mask))
    loss.sum().backward()
    assert spoilt.grad is not None
    assert not spoilt.grad[~inside].any()
    assert torch.isfinite(spoilt.grad).all()


def test_empty_mask(features: tuple[Tensor, Tensor, Tensor]) -> None:
    generated, target, mask = features
    mask[0] = 0
    loss = markov_loss(generated.requires_grad_(), target, mask)
    assert loss[0] == 0
    assert loss[1] > 0
    loss.sum().backward()
    assert generated.grad is not None
    assert torch.isfinite(generated.grad).all()
    assert not generated.grad[0].any()


def test_feature_gradient(features: tuple[Tensor, Tensor, Tensor]) -> None:
    generated, target, mask = features
    generated.requires_grad_()
    target.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: markov_loss(x, target, mask), generated)
    markov_loss(generated, target, mask).sum().backward()
    assert target.grad is None, "the photograph is a constant"


def test_eq_2(network: Vgg19, pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = pictures
    generated, target = network(image * mask), network(photo * mask)
    small, smaller = mask[..., ::4, ::4] * 0, mask[..., ::8, ::8] * 0
    for row in range(24):
        for column in range(32):
            small[:, :, row // 4, column // 4] += mask[:, :, row, column] / 16
            smaller[:, :, row // 8, column // 8] += mask[:, :, row, column] / 64
    expected = 2 * markov_loss(generated.relu4_2, target.relu4_2, smaller)
    expected = expected + markov_loss(generated.relu3_2, target.relu3_2, small)
    torch.testing.assert_close(id_mrf_loss(network, image, photo, mask), expected)
    assert id_mrf_loss(network, photo.clone(), photo, mask).tolist() == pytest.approx([0, 0], abs=1e-6)


def test_outside_the_face_has_no_influence(network: Vgg19, pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = pictures
    inside = (mask > 0).expand_as(image)
    spoilt = torch.where(inside, image, torch.nan).requires_grad_()
    loss = id_mrf_loss(network, spoilt, torch.where(inside, photo, torch.inf), mask)
    torch.testing.assert_close(loss, id_mrf_loss(network, image, photo, mask))
    loss.sum().backward()
    assert spoilt.grad is not None
    assert not spoilt.grad[~inside].any()
    assert (spoilt.grad[inside] != 0).double().mean() > 0.5


def test_picture_gradient(network: Vgg19, pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = pictures
    image.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: id_mrf_loss(network, x, photo, mask), image, fast_mode=True)


def test_shapes(network: Vgg19, pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = pictures
    for wrong in ((image, photo[:1], mask), (image, photo, mask[..., :8]), (image[0], photo[0], mask[0])):
        with pytest.raises(ValueError, match="expected"):
            id_mrf_loss(network, *wrong)
    with pytest.raises(ValueError, match="16 pixels"):
        id_mrf_loss(network, image[:, :, :8], photo[:, :, :8], mask[:, :, :8])
    maps = torch.rand(2, 5, 4, 4)
    for a, b, places in (
        (maps, maps[:, :4], torch.ones(2, 1, 4, 4)),
        (maps, maps, torch.ones(2, 1, 4, 5)),
        (maps[0], maps[0], torch.ones(1, 4, 4)),
    ):
        with pytest.raises(ValueError, match="expected"):
            markov_loss(a, b, places)


def test_vgg19_grows_with_blur() -> None:
    """With the published weights: 0 for the picture itself, more the more it is blurred; a step downhill lowers it."""
    path = AssetStore.from_environment().find(ASSETS[vgg19.ASSET])
    if path is None:
        pytest.skip(f"{vgg19.ASSET} is not present, and 80 MB are not fetched for this test")
    network = load_vgg19(path)
    generator = torch.Generator().manual_seed(13)
    photo = sum(
        F.interpolate(torch.rand(1, 3, side, side, generator=generator), (64, 64), mode="bicubic") * weight
        for side, weight in ((4, 0.5), (16, 0.3), (64, 0.2))
    )
    assert isinstance(photo, Tensor)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 8:56, 12:52] = 1
    losses = [
        id_mrf_loss(network, F.avg_pool2d(photo, size, 1, size // 2, count_include_pad=False), photo, mask).item()
        for size in (1, 3, 5, 9)
    ]
    assert losses[0] == pytest.approx(0, abs=0.01)
    assert losses == sorted(losses)
    assert losses[1] > 0.1

    image = (0.8 * photo + 0.1).requires_grad_()
    loss = id_mrf_loss(network, image, photo, mask)
    loss.sum().backward()
    assert image.grad is not None
    step = 1e-3 * image.grad / image.grad.norm()
    with torch.no_grad():
        rise = id_mrf_loss(network, image + step, photo, mask) - id_mrf_loss(network, image - step, photo, mask)
    assert float(rise) == pytest.approx(2 * float((image.grad * step).sum()), rel=0.2)
