"""Eq. 1: weights, and the sum over a triplet."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from ftim.losses import (
    LossNetworks,
    LossTerms,
    LossWeights,
    Vgg19,
    id_mrf_loss,
    identity_loss,
    load_loss_networks,
    one_sided,
    photometric_loss,
    regularisation_loss,
    symmetry_loss,
    total,
    total_loss,
    uv_albedo_loss,
    vgg19,
)
from ftim.structures import PartialTexture, Rendering, Texture

NAMES = [field.name for field in dataclasses.fields(LossWeights)]


@dataclasses.dataclass(frozen=True)
class Example:
    photo: Tensor
    rendering: Rendering
    texture: Texture
    partial: PartialTexture
    template: Tensor

    def loss(
        self, weights: LossWeights, networks: LossNetworks, *, pictures: slice = slice(None), one_sided: bool = False
    ) -> LossTerms:
        return total_loss(
            self.photo[pictures],
            self.rendering[pictures],
            self.texture[pictures],
            self.partial[pictures],
            self.template,
            weights,
            networks,
            one_sided_symmetry=one_sided,
        )


@pytest.fixture
def example() -> Example:
    """Two triplets of 16 x 16 views and 8 x 8 textures, float64."""
    generator = torch.Generator().manual_seed(14)

    def random(channels: int, side: int) -> Tensor:
        return torch.rand(6, channels, side, side, dtype=torch.float64, generator=generator)

    def part(side: int) -> Tensor:
        return (random(1, side) > 0.3).double()

    seen = part(8)
    return Example(
        photo=random(3, 16),
        rendering=Rendering(random(3, 16), part(16), random(3, 16)),
        texture=Texture(random(3, 8), random(3, 8), random(3, 8)),
        partial=PartialTexture(random(3, 8) * seen, seen, seen * random(1, 8)),
        template=random(3, 8)[0],
    )


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> LossNetworks:
    """Small ones of random weights."""
    monkeypatch.setattr(vgg19, "_BLOCKS", ((4, 2), (4, 2), (6, 4), (8, 4), (8, 4)))
    with torch.random.fork_rng():
        torch.manual_seed(15)
        face = nn.Sequential(nn.Conv2d(3, 4, 40, 40), nn.Tanh(), nn.Flatten())
        small_vgg19 = Vgg19()
    return LossNetworks(face.double().requires_grad_(False), small_vgg19.double().requires_grad_(False))


def only(name: str) -> LossWeights:
    return LossWeights(**{other: 0.5 if other == name else 0 for other in NAMES})


def test_the_papers_weights() -> None:
    weights = LossWeights()
    assert (weights.photometric, weights.uv_albedo, weights.identity) == (1.0, 0.2, 0.2)
    assert (weights.id_mrf, weights.symmetry, weights.regularisation) == (0.02, 0.25, 0.01)
    assert [field.name for field in dataclasses.fields(LossTerms)][:-1] == NAMES
    with pytest.raises(dataclasses.FrozenInstanceError):
        weights.identity = 1  # type: ignore[misc]


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_bad_weights(value: float) -> None:
    with pytest.raises(ValueError, match="symmetry"):
        LossWeights(symmetry=value)


def test_all_weights_zero() -> None:
    with pytest.raises(ValueError, match="all loss weights"):
        LossWeights(0, 0, 0, 0, 0, 0)


def test_eq_1(example: Example, networks: LossNetworks) -> None:
    terms = example.loss(LossWeights(), networks)
    assert networks.facenet is not None and networks.vgg19 is not None
    rendered, mask, seen = example.rendering.image, example.rendering.mask, example.partial.visibility
    pictures = {
        "photometric": photometric_loss(rendered, example.photo, mask),
        "uv_albedo": uv_albedo_loss(example.texture.texture, example.partial.color, example.partial.confidence),
        "identity": identity_loss(networks.facenet, rendered, example.photo, mask),
        "id_mrf": id_mrf_loss(networks.vgg19, rendered, example.photo, mask),
        "symmetry": symmetry_loss(example.texture.albedo, seen),
        "regularisation": regularisation_loss(example.texture.albedo, example.template, 1 - seen),
    }
    expected = 0.0
    for name, values in pictures.items():
        of_triplets = (values[0] + values[1] + values[2], values[3] + values[4] + values[5])
        term = getattr(terms, name)
        assert float(term) == pytest.approx(float(of_triplets[0] + of_triplets[1]) / 2), name
        assert term > 0, name
        expected += getattr(LossWeights(), name) * float(term)
    assert float(terms.total) == pytest.approx(expected)


def test_one_triplet_is_the_sum_of_its_views(example: Example, networks: LossNetworks) -> None:
    loss = float(example.loss(LossWeights(), networks, pictures=slice(0, 3)).total)
    views = [float(example.loss(LossWeights(), networks, pictures=slice(i, i + 1)).total) for i in range(3)]
    assert loss == pytest.approx(sum(views) / 3)


@pytest.mark.parametrize("name", NAMES)
def test_weight_zero_is_not_computed(
    example: Example, networks: LossNetworks, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Tensor:
        raise AssertionError("computed")

    for other in NAMES:
        if other != name:
            monkeypatch.setattr(total, f"{other}_loss", fail)
    terms = example.loss(only(name), networks)
    assert [other for other in NAMES if getattr(terms, other) is not None] == [name]
    assert float(terms.total) == pytest.approx(0.5 * float(getattr(terms, name)))


def test_networks_are_loaded_only_when_needed(example: Example) -> None:
    weights = LossWeights(identity=0, id_mrf=0)
    networks = load_loss_networks(weights)
    assert networks == LossNetworks(None, None)
    assert torch.isfinite(example.loss(weights, networks).total)
    for name in ("identity", "id_mrf"):
        with pytest.raises(ValueError, match="load_loss_networks"):
            example.loss(only(name), networks)


def test_one_sided_symmetry(example: Example, networks: LossNetworks) -> None:
    term = example.loss(only("symmetry"), networks, one_sided=True).symmetry
    expected = 3 * symmetry_loss(example.texture.albedo, one_sided(example.partial.visibility)).mean()
    assert term is not None
    torch.testing.assert_close(term, expected)
    assert term != example.loss(only("symmetry"), networks).symmetry


def test_perceptual_losses_of_drawn_pictures(example: Example, networks: LossNetworks) -> None:
    """They look at the chosen pictures alone, at the same scale; over all draws their mean is that of all pictures."""
    assert networks.facenet is not None and networks.vgg19 is not None
    image, photo, mask = example.rendering.image, example.photo, example.rendering.mask

    def loss(perceptual: Tensor | None) -> LossTerms:
        return total_loss(
            photo, example.rendering, example.texture, example.partial, example.template, LossWeights(), networks,
            perceptual=perceptual,
        )  # fmt: skip

    every = loss(None)
    drawn = [loss(torch.tensor([index])) for index in range(6)]
    pair = loss(torch.tensor([4, 1]))
    for name, values in (
        ("identity", identity_loss(networks.facenet, image, photo, mask)),
        ("id_mrf", id_mrf_loss(networks.vgg19, image, photo, mask)),
    ):
        assert [float(getattr(one, name)) for one in drawn] == pytest.approx((3 * values).tolist())
        assert float(getattr(pair, name)) == pytest.approx(3 * float(values[[1, 4]].mean()))
        mean = sum(float(getattr(one, name)) for one in drawn) / 6
        assert mean == pytest.approx(float(getattr(every, name)))
    assert len({float(one.identity) for one in drawn if one.identity is not None}) == 6
    for name in ("photometric", "uv_albedo", "symmetry", "regularisation"):
        assert all(torch.equal(getattr(one, name), getattr(every, name)) for one in [*drawn, pair]), name


def test_gradients_reach_what_is_learnt(example: Example, networks: LossNetworks) -> None:
    leaves = [example.rendering.image, example.texture.texture, example.texture.albedo]
    for leaf in leaves:
        leaf.requires_grad_()
    example.loss(LossWeights(), networks).total.backward()
    for leaf in leaves:
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()
        assert all(picture.any() for picture in leaf.grad)


def test_batches_must_agree(example: Example, networks: LossNetworks) -> None:
    broken = dataclasses.replace(example, photo=example.photo[:5])
    with pytest.raises(ValueError, match="one batch"):
        broken.loss(LossWeights(), networks)
    with pytest.raises(ValueError, match="one batch"):
        example.loss(LossWeights(), networks, pictures=slice(0, 0))
