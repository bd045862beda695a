"""What a step learns from: drawn from seed and step, mirrored, hidden, and drawn into all three views."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from ftim.build import network_completion
from ftim.completion import Completion
from ftim.losses import LossNetworks, LossWeights
from ftim.render.image import ImageRenderer
from ftim.structures import Batched, Fit, PartialTexture, Rendering, Texture, View
from ftim.training.examples import hide, mirror_view
from ftim.training.sampling import MASK_YAWS, VIEWS, Batch, Sampler, turn
from ftim.training.step import training_losses
from tests.synthetic_head import synthetic_fit
from tests.test_completion import head
from tests.tiny_training import (
    FORM,
    SIDE,
    albedo_of,
    example_of,
    image_renderer,
    masks,
    portrait,
    renderer,
    sampler,
    template,
    tiny_config,
    tiny_network,
    triplet,
    triplet_fit,
)


def sample(steps: int, **changes: Any) -> list[Batch]:
    made = sampler(tiny_config(Path(), **changes))
    return [made(step) for step in range(steps)]


def tensors(value: object, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """All tensors of nested dataclasses."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Batched | Batch):
        for field in fields(value):  # type: ignore[arg-type]
            yield from tensors(getattr(value, field.name), f"{name}.{field.name}")


def same(first: object, second: object) -> bool:
    pairs = list(zip(tensors(first), tensors(second), strict=True))
    assert pairs
    return all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in pairs)


def test_a_step_is_drawn_from_seed_and_number_alone() -> None:
    first = sample(12)
    torch.manual_seed(7)  # neither used nor changed
    expected = torch.rand(2)
    torch.manual_seed(7)
    backwards = sampler(tiny_config(Path()))
    assert all(same(backwards(step), first[step]) for step in reversed(range(12)))
    assert torch.equal(torch.rand(2), expected)
    assert not any(same(a, b) for a, b in zip(first, first[1:], strict=False))
    assert not any(same(a, b) for a, b in zip(first, sample(12, seed=1), strict=True))


def test_hidden_views_show_a_part_of_what_was_seen_and_never_more() -> None:
    less = 0
    for batch in sample(60):
        known, given = batch.example.partial, batch.partial
        assert bool((given.visibility <= known.visibility).all())
        assert bool((given.confidence <= known.confidence).all())
        assert torch.equal(given.color, known.color * given.visibility)
        assert not given.confidence[given.visibility == 0].any()
        less += int((given.visibility.sum((1, 2, 3)) < known.visibility.sum((1, 2, 3))).sum())
    assert less > 20


def test_of_triplets_the_front_alone_is_hidden_and_of_portraits_every_picture() -> None:
    for share in (0.0, 1.0):
        for batch in sample(8, triplet_share=1.0, hidden_front_share=share):
            known, given = batch.example.partial, batch.partial
            assert same(known[0], given[0]) and same(known[2], given[2])
            assert same(known[1], given[1]) == (share == 0)
    for batch in sample(8, triplet_share=0.0):
        assert not any(same(batch.example.partial[i], batch.partial[i]) for i in range(VIEWS))


def test_one_albedo_is_chosen_for_a_triplet_and_its_own_for_a_portrait() -> None:
    triplets = [batch.chosen.tolist() for batch in sample(40, triplet_share=1.0)]
    assert all(len(set(chosen)) == 1 for chosen in triplets)
    counts = [sum(chosen[0] == index for chosen in triplets) for index in range(VIEWS)]
    assert min(counts) >= 5
    assert all(batch.chosen.tolist() == [0, 1, 2] for batch in sample(10, triplet_share=0.0))


def test_shares_are_kept() -> None:
    batches = sample(200, triplet_share=0.65, mirror_share=0.0)
    photos = [triplet(index).unpack().photo for index in range(2)]
    of_triplets = [any(torch.equal(batch.example.photo, photo) for photo in photos) for batch in batches]
    assert sum(of_triplets) / 200 == pytest.approx(0.65, abs=0.1)
    assert all((len(set(b.chosen.tolist())) == 1) == is_one for b, is_one in zip(batches, of_triplets, strict=True))
    mirrored = [
        any(torch.equal(batch.example.photo.flip(-1), photo) for photo in photos)
        for batch in sample(100, triplet_share=1.0, mirror_share=0.5)
    ]
    assert sum(mirrored) / 100 == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_pictures_of_the_perceptual_losses(views: int) -> None:
    drawn = [batch.perceptual.tolist() for batch in sample(60, perceptual_views=views)]
    assert all(len(set(pictures)) == len(pictures) == views for pictures in drawn)
    counts = [sum(index in pictures for pictures in drawn) for index in range(VIEWS)]
    assert min(counts) >= 10 * views


def test_without_portraits_every_step_is_a_triplet() -> None:
    config = tiny_config(Path(), triplet_share=0.0)
    made = Sampler([triplet(0)], [], masks(), head(), config)
    assert all(len(set(made(step).chosen.tolist())) == 1 for step in range(5))


def test_mirrored_twice_is_the_example() -> None:
    for stored in (triplet(0), portrait(3)):
        example = stored.unpack()
        once = mirror_view(example, head())
        assert not torch.equal(once.photo, example.photo)
        for (name, a), (_, b) in zip(
            tensors(mirror_view(once, head())), tensors(example), strict=True
        ):  # fmt: skip
            assert torch.allclose(a, b, atol=1e-6), name


def test_mirrored_example_is_what_the_mirrored_photograph_gives() -> None:
    """Against UV Render of the flipped photograph under the flipped fit."""
    example = example_of(triplet_fit(0), albedo_of(0))
    mirrored = mirror_view(example, head())
    again = renderer()(example.photo.flip(-1), mirrored.fit, example.skin.flip(-1))
    assert float((again.visibility - mirrored.partial.visibility).abs().mean()) < 2e-3
    both = again.visibility * mirrored.partial.visibility
    assert float(((again.color - mirrored.partial.color).abs() * both).mean()) < 1e-3
    assert float((again.visibility - example.partial.visibility).abs().mean()) > 0.05


def test_hide_takes_what_both_show_and_the_lower_confidence() -> None:
    example = portrait(2).unpack()
    visibility = torch.zeros(1, 1, SIDE, SIDE)
    visibility[..., : SIDE // 2] = 1
    confidence = 0.4 * visibility
    known, given = example.partial, hide(example, visibility, confidence)
    assert not given.visibility[..., SIDE // 2 :].any() and not given.color[..., SIDE // 2 :].any()
    assert torch.equal(given.visibility[..., : SIDE // 2], known.visibility[..., : SIDE // 2])
    assert torch.equal(given.confidence[..., : SIDE // 2], known.confidence[..., : SIDE // 2].clamp(max=0.4))
    everything = torch.ones_like(visibility)
    assert same(hide(example, everything, everything), known)


def test_turn_looks_where_it_says() -> None:
    nose = torch.tensor([0.0, 0.0, 1.0])
    assert torch.allclose(turn(90) @ nose, torch.tensor([1.0, 0, 0]), atol=1e-6)
    assert torch.allclose(turn(0, 90) @ nose, torch.tensor([0.0, -1, 0]), atol=1e-6)
    both = turn(30, 10)
    assert torch.allclose(both @ both.T, torch.eye(3), atol=1e-6) and float(torch.det(both)) == pytest.approx(1)
    assert torch.allclose(both, turn(30) @ turn(0, 10), atol=1e-6)


def test_pose_masks_see_the_half_that_faces_the_camera() -> None:
    """On the sphere the middle of what is seen wanders against the head's turn; each yaw has its opposite."""
    seen = masks().visibility
    assert len(seen) == len(MASK_YAWS) and set(seen.unique().tolist()) == {0.0, 1.0}
    assert not masks().color[seen.expand(-1, 3, -1, -1) == 0].any()
    u = (torch.arange(SIDE) + 0.5) / SIDE
    middle = (seen * u).sum((1, 2, 3)) / seen.sum((1, 2, 3))
    # The map's middle 0.9 goes once around the head.
    expected = 0.5 - 0.9 * torch.tensor(MASK_YAWS) / 360
    assert torch.allclose(middle, expected, atol=0.02)
    level = [index for index in range(len(MASK_YAWS)) if index % 3 == 1]
    v = ((torch.arange(SIDE) + 0.5) / SIDE)[:, None]
    heights = (seen * v).sum((1, 2, 3)) / seen.sum((1, 2, 3))
    assert torch.allclose(heights[level], torch.tensor(0.5), atol=0.01)
    assert all(abs(float(heights[i]) - 0.5) > 0.01 for i in range(len(MASK_YAWS)) if i not in level)


# ---- the step


class Fixed:
    """A completion that gives these albedos, whatever was seen; texture as well."""

    name = "fixed"

    def __init__(self, albedo: Tensor, texture: Tensor | None = None) -> None:
        self.albedo = albedo
        self.texture = texture
        self.given: PartialTexture | None = None

    def __call__(self, partial: PartialTexture, fit: Fit) -> Texture:
        self.given = partial
        texture = self.albedo if self.texture is None else self.texture
        return Texture(texture, self.albedo, torch.ones_like(self.albedo))


def batch_of(example: View, chosen: int, partial: PartialTexture | None = None) -> Batch:
    return Batch(example, partial or example.partial, torch.tensor([chosen] * VIEWS), torch.tensor([0]))


def losses(batch: Batch, completion: Completion, weights: LossWeights, **options: Any) -> Any:
    nothing = LossNetworks(None, None)
    return training_losses(batch, completion, image_renderer(), template(), weights, nothing, **options)


ONLY_PHOTOMETRIC = LossWeights(uv_albedo=0, identity=0, id_mrf=0, symmetry=0, regularisation=0)
ONLY_TEXTURE = LossWeights(photometric=0, identity=0, id_mrf=0, symmetry=0, regularisation=0)


@pytest.mark.parametrize("chosen", range(VIEWS))
def test_the_chosen_albedo_is_drawn_into_all_three_views(chosen: int) -> None:
    """The true albedo of the photographs is at place 1: chosen, the pictures are the photographs."""
    example = example_of(triplet_fit(0), albedo_of(0))
    albedos = torch.cat([albedo_of(5), albedo_of(0), albedo_of(6)])
    loss = float(losses(batch_of(example, chosen), Fixed(albedos), ONLY_PHOTOMETRIC).photometric)
    assert loss < 1e-6 if chosen == 1 else loss > 0.05


def test_completions_are_compared_with_all_that_is_known_also_of_hidden_views() -> None:
    """A completion that is right where it was shown something, and wrong where it was not, has a loss."""
    example = example_of(triplet_fit(0), albedo_of(0))
    visibility = torch.zeros(VIEWS, 1, SIDE, SIDE)
    visibility[..., : SIDE // 2] = 1
    given = hide(example, visibility, visibility)
    right = example.partial.color
    half_right = torch.where(visibility > 0, right, 0.0)
    for texture, low, high in ((right, 0.0, 1e-6), (half_right, 0.1, math.inf)):
        completion = Fixed(albedo_of(0).expand(VIEWS, -1, -1, -1), texture)
        loss = float(losses(batch_of(example, 0, given), completion, ONLY_TEXTURE).uv_albedo)
        assert low <= loss <= high
        assert completion.given is given


def test_one_sided_symmetry_and_structure_are_passed_on() -> None:
    example = example_of(triplet_fit(0), albedo_of(0))
    batch, completion = batch_of(example, 0), Fixed(albedo_of(5).expand(VIEWS, -1, -1, -1))
    weights = LossWeights(identity=0, id_mrf=0)
    plain = losses(batch, completion, weights)
    other = losses(batch, completion, weights, one_sided_symmetry=True, structure=1.0)
    assert float(plain.symmetry) != float(other.symmetry)
    assert float(plain.photometric) != float(other.photometric)
    assert torch.equal(plain.uv_albedo, other.uv_albedo) and torch.equal(plain.regularisation, other.regularisation)
    doubtful = replace(example, partial=replace(example.partial, confidence=0.0 * example.partial.confidence))
    assert float(losses(batch_of(doubtful, 0), completion, ONLY_TEXTURE).uv_albedo) == 0


@pytest.mark.parametrize("what", ["photometric", "uv_albedo"])
def test_a_step_teaches_every_output_of_the_network(what: str) -> None:
    """Also the residual's three channels and the gains, from the pictures alone and from the textures alone.

    The distrust in seen skin is learnt from textures only at the rim of that skin, which the texture keeps.
    """
    example = example_of(triplet_fit(0), albedo_of(0))
    visibility = torch.ones(VIEWS, 1, SIDE, SIDE)
    visibility[:, :, : SIDE // 2] = 0
    given = hide(example, visibility, 0.7 * visibility)
    network = tiny_network(FORM)
    completion = network_completion("ftim", renderer(), template(), network, FORM)
    weights = ONLY_PHOTOMETRIC if what == "photometric" else ONLY_TEXTURE
    losses(batch_of(example, 1, given), completion, weights).total.backward()
    for layer, count in ((network.to_free, 12), (network.to_gains, 3), (network.to_smooth, 6)):
        assert layer is not None and layer.weight.grad is not None
        assert layer.weight.grad.flatten(1).any(1).tolist() == [True] * count


def test_gradient_of_a_step_reaches_the_chosen_albedo_in_hidden_corners() -> None:
    """The front's albedo learns from the side views: texels that the front view does not see have a gradient."""
    example = example_of(triplet_fit(0), albedo_of(0))
    albedos = albedo_of(5).repeat(VIEWS, 1, 1, 1).requires_grad_()
    losses(batch_of(example, 1), Fixed(albedos), ONLY_PHOTOMETRIC).total.backward()
    assert albedos.grad is not None
    assert not albedos.grad[0].any() and not albedos.grad[2].any()
    unseen = example.partial.visibility[1, 0] == 0
    seen_aside = example.partial.visibility[0, 0] > 0
    assert albedos.grad[1][:, unseen & seen_aside].any()


class Unwrapped:
    """An Image Render that shows the map itself."""

    def __call__(self, albedo: Tensor, fit: Fit, photo: Tensor, skin: Tensor) -> Rendering:
        return Rendering(albedo, torch.ones_like(skin), albedo)


def test_gradient_of_an_albedo_drawn_three_times_is_summed_in_one_order() -> None:
    """The same for all texels, not the one in which threads meet: or a resumed run would leave the way of the first."""
    example, render = triplet(0).unpack(), cast(ImageRenderer, Unwrapped())

    def gradient(chosen: list[int]) -> Tensor:
        batch = Batch(example, example.partial, torch.tensor(chosen), torch.tensor([0]))
        albedos = albedo_of(5).repeat(VIEWS, 1, 1, 1).requires_grad_()
        nothing = LossNetworks(None, None)
        terms = training_losses(
            batch, Fixed(albedos), render, template(), ONLY_PHOTOMETRIC, nothing, structure=1.0
        )  # fmt: skip
        terms.total.backward()  # type: ignore[no-untyped-call]
        assert albedos.grad is not None
        return albedos.grad

    a, b, c = gradient([0, 1, 2])
    orders = [(a + b) + c, (a + c) + b, (b + c) + a]
    assert not torch.equal(orders[0], orders[1])
    for _ in range(5):
        together = gradient([1, 1, 1])
        assert not together[0].any() and not together[2].any()
        assert any(torch.equal(together[1], order) for order in orders)


def test_synthetic_light_is_not_even() -> None:
    """Or the tests above would not see whether shading takes part."""
    shading = renderer().shading(synthetic_fit(head(), SIDE))
    assert float(shading.std()) > 0.02
