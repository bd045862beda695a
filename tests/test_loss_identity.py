"""The identity loss: on a small network of random weights, and on FaceNet where its file is present."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ftim.assets import ASSETS, AssetStore
from ftim.losses import identity_loss
from ftim.metrics import facenet_cosine, load_facenet, on_grey
from ftim.metrics.facenet import ASSET


class SmallNetwork(nn.Module):
    """(B, 3, 160, 160) -> (B, 512) of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 6, 20, 20)
        self.linear = nn.Linear(6 * 64, 512)

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.normalize(self.linear(self.convolution(image).tanh().flatten(1)), dim=1)


@pytest.fixture
def network() -> SmallNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return SmallNetwork().double().eval().requires_grad_(False)


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor, Tensor]:
    """Two (2, 3, 8, 8) images and a mask, float64."""
    generator = torch.Generator().manual_seed(6)
    image, photo = (torch.rand(2, 3, 8, 8, dtype=torch.float64, generator=generator) for _ in range(2))
    mask = torch.zeros(2, 1, 8, 8, dtype=torch.float64)
    mask[0, :, 2:7, 1:6] = 1
    mask[1, :, 1:, 3:] = 0.8
    return image, photo, mask


def test_value(network: SmallNetwork, pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = pictures
    expected = []
    for one, other, chosen in zip(image, photo, mask, strict=True):
        embeddings = []
        for picture in (one, other):
            grey = torch.where(chosen > 0.5, picture, 0.5)[None]
            large = nn.functional.interpolate(grey, (160, 160), mode="bilinear", align_corners=False)
            embeddings.append(network((255 * large - 127.5) / 128)[0])
        dot = sum(float(a) * float(b) for a, b in zip(*embeddings, strict=True))
        expected.append(1 - dot)
    assert identity_loss(network, image, photo, mask).tolist() == pytest.approx(expected, rel=1e-9)
    assert min(expected) > 1e-3


def test_equal_images(network: SmallNetwork, pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, _, mask = pictures
    for some_mask in (mask, None):
        assert identity_loss(network, image, image.clone(), some_mask).tolist() == pytest.approx([0, 0], abs=1e-12)
    assert identity_loss(network, image, 1 - image, mask * 0).tolist() == pytest.approx([0, 0], abs=1e-12)


def test_outside_has_no_influence(network: SmallNetwork, pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = pictures
    inside = (mask > 0.5).expand_as(image)
    spoilt = torch.where(inside, image, torch.nan).requires_grad_()
    loss = identity_loss(network, spoilt, torch.where(inside, photo, torch.nan), mask)
    torch.testing.assert_close(loss, identity_loss(network, image, photo, mask))
    loss.sum().backward()
    assert spoilt.grad is not None
    assert torch.equal(spoilt.grad != 0, inside)


def test_gradient(network: SmallNetwork, pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = (tensor[:1] for tensor in pictures)
    image.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: identity_loss(network, x, photo, mask), image, fast_mode=True)
    photo.requires_grad_()
    identity_loss(network, image, photo, mask).sum().backward()
    assert photo.grad is None, "the photograph is a constant"


def test_shapes(network: SmallNetwork, pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    image, photo, mask = pictures
    for wrong in ((image, photo[:1], mask), (image, photo, mask[:, 0]), (image[0], photo[0], None)):
        with pytest.raises(ValueError, match="expected"):
            identity_loss(network, *wrong)


def test_facenet() -> None:
    """Agrees with the metric, and a step against the gradient lowers it."""
    path = AssetStore.from_environment().find(ASSETS[ASSET])
    if path is None:
        pytest.skip(f"{ASSET} is not present, and 94 MB are not fetched for this test")
    facenet = load_facenet(path)
    generator = torch.Generator().manual_seed(7)
    photo = nn.functional.interpolate(torch.rand(1, 3, 12, 12, generator=generator), (160, 160), mode="bicubic")
    photo = photo.clamp(0, 1)
    mask = torch.zeros(1, 1, 160, 160)
    mask[:, :, 20:140, 30:130] = 1
    image = (0.8 * photo.flip(3)).requires_grad_()
    loss = identity_loss(facenet, image, photo, mask)
    torch.testing.assert_close(loss, 1 - facenet_cosine(facenet, on_grey(image, mask), on_grey(photo, mask)))
    loss.sum().backward()
    assert image.grad is not None
    step = 2e-3 * image.grad / image.grad.abs().max()
    with torch.no_grad():
        rise = identity_loss(facenet, image + step, photo, mask) - identity_loss(facenet, image - step, photo, mask)
    assert float(rise) == pytest.approx(2 * float((image.grad * step).sum()), rel=0.1)
