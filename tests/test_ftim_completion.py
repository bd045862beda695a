"""FTIM in all its forms on a sphere whose albedo is known, at the network's side and at twice that."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.completion.bands import finest_detail, shrink_seen, split_bands
from ftim.completion.fill import region_atlas, region_groups
from ftim.completion.ftim import (
    CORRECTION_RANGE,
    DARKEST,
    GAIN_OFFSETS,
    TRUST_OFFSET,
    FtimCompletion,
    corrected,
    doubts,
    fit_parameters,
    seen_correction,
)
from ftim.completion.layers import AlbedoLayers, build_layers, layers_one_by_one
from ftim.completion.network import PARAMETERS, Decoded
from ftim.completion.settings import FULL, IMAGE_TO_IMAGE, PAPER, FtimSettings
from ftim.morphable import EXPRESSIONS
from ftim.structures import Fit, PartialTexture
from ftim.uv import UvRenderer
from tests.test_completion import SIZE, fit, head, person, photograph, renderer, template, views
from tests.tiny_training import WIDTHS, tiny_network

SEEN_STAYS = replace(FULL, correct_seen=False)
"""Ours without S30."""
FORMS = {"full": SEEN_STAYS, "corrected": FULL, "paper": PAPER, "image_to_image": IMAGE_TO_IMAGE}
KEEPERS = ("full", "image_to_image")
SCALES = (1, 2)


def form(name: str, scale: int) -> FtimSettings:
    """Small; the network's side is that of the sphere's maps, or half of it."""
    return replace(FORMS[name], size=SIZE // scale, widths=WIDTHS)


@cache
def completion(name: str, scale: int, learnt: float = 0.1) -> FtimCompletion:
    """With ``learnt`` 0, as it is before its first step."""
    settings = form(name, scale)
    return FtimCompletion(name, renderer(), template(), tiny_network(settings, learnt=learnt), settings)


def even_light(of: Fit) -> Fit:
    """From the front and all around, the same from left and right."""
    light = of.light.clone()
    light[:, 1:] = 0
    light[:, 2] = 0.4
    return replace(of, light=light)


def charts() -> Tensor:
    """(T, T) bool, without the gutter around them."""
    atlas = renderer().atlas
    inside = torch.zeros(SIZE * SIZE, dtype=torch.bool)
    inside[atlas.texel] = atlas.inside
    return inside.view(SIZE, SIZE)


@pytest.mark.parametrize(("name", "scale", "view"), list(itertools.product(FORMS, SCALES, views())))
@torch.no_grad()
def test_every_texel_is_filled_whatever_was_seen(name: str, scale: int, view: str) -> None:
    of = fit(2)
    texture = completion(name, scale)(photograph(person(), views()[view], of), of)
    assert texture.texture.shape == texture.albedo.shape == (2, 3, SIZE, SIZE)
    assert torch.isfinite(texture.albedo).all()
    assert float(texture.albedo.min()) > DARKEST - 1e-6
    shading = renderer().shading(of).clamp_min(0.05)
    assert torch.allclose(texture.texture, texture.albedo * shading, atol=1e-6)


@pytest.mark.parametrize(("name", "scale", "view"), list(itertools.product(KEEPERS, SCALES, ("half", "all"))))
@torch.no_grad()
def test_seen_texels_survive(name: str, scale: int, view: str) -> None:
    """Whatever the network paints: pores, and what it would like to change, stay as photographed."""
    of = fit()
    pores = (person() * (1 + 0.05 * torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(1)))).clamp(max=1)
    mask = views()[view]
    albedo = completion(name, scale)(photograph(pores, mask, of), of).albedo[0]
    deep = F.max_pool2d(1 - mask[None], 13, 1, 6)[0] == 0
    kept = charts() & deep
    assert kept.float().mean() > 0.2
    assert float((albedo - pores).abs().amax(0)[kept].max()) < 1e-4
    assert mask.all() or float((albedo - pores).abs().amax(0)[charts() & (mask == 0)].mean()) > 0.01


@torch.no_grad()
def test_papers_form_paints_over_what_was_seen() -> None:
    of = fit()
    albedo = completion("paper", 1)(photograph(person(), views()["all"], of), of).albedo[0]
    assert float((albedo - person()).abs().mean()) > 0.05


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_papers_lighting_removal_is_exact(scale: int) -> None:
    """albedo = network's texture - template x shading + template, the network asked directly (S6)."""
    of = fit(2)
    method = completion("paper", scale)
    partial = photograph(person(), views()["noise"], of)
    color, _ = shrink_seen(partial.color, partial.visibility, scale)
    small_template = F.avg_pool2d(template(), scale).expand(2, -1, -1, -1)
    maps = torch.cat([color, F.avg_pool2d(partial.visibility, scale), small_template], 1)
    painted = torch.sigmoid(method.network(maps, fit_parameters(of)).free)
    if scale > 1:
        painted = F.interpolate(painted, (SIZE, SIZE), mode="bilinear")
    shading = renderer().shading(of).clamp_min(0.05)
    expected = painted - template() * shading + template()
    unclamped = expected > DARKEST
    assert unclamped.float().mean() > 0.8
    albedo = method(partial, of).albedo
    assert torch.allclose(albedo[unclamped], expected[unclamped], atol=1e-5)
    assert torch.allclose(albedo, expected.clamp_min(DARKEST), atol=1e-5)


@torch.no_grad()
def test_papers_network_does_not_see_the_light() -> None:
    """With the same picture under two lights, albedo + template x shading stays: it is the painted texture."""
    first = fit()
    second = replace(first, light=first.light * 1.2)
    partial = photograph(person(), views()["half"], first)
    sums, albedos = [], []
    for of in (first, second):
        albedo = completion("paper", 1)(partial, of).albedo
        sums.append(albedo + template() * renderer().shading(of).clamp_min(0.05))
        albedos.append(albedo)
    free = (albedos[0] > DARKEST) & (albedos[1] > DARKEST)
    assert torch.allclose(sums[0][free], sums[1][free], atol=1e-5)
    assert not torch.allclose(albedos[0], albedos[1], atol=0.02)


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_division_gives_the_painted_texture_back(scale: int) -> None:
    """Where nothing was seen the simple network's texture is its picture, whatever the light."""
    first = fit()
    second = replace(first, light=first.light * 0.8)
    partial = photograph(person(), views()["none"], first)
    textures = [completion("image_to_image", scale)(partial, of).texture for of in (first, second)]
    assert torch.allclose(textures[0], textures[1], atol=1e-5)


@pytest.mark.parametrize(("scale", "view"), list(itertools.product(SCALES, ("half", "noise", "speck"))))
@torch.no_grad()
def test_untrained_full_form_commutes_with_the_mirror(scale: int, view: str) -> None:
    of = even_light(fit())
    method = completion("full", scale, 0.0)
    partial = photograph(person(), views()[view], of)
    flipped = PartialTexture(partial.color.flip(-1), partial.visibility.flip(-1), partial.confidence.flip(-1))
    one, other = method(partial, of).albedo, method(flipped, of).albedo.flip(-1)
    difference = (one - other).abs().amax(1)[0]
    assert float(difference.mean()) < 2e-3
    if scale == 1:  # larger maps take every second texel of the atlas: rims of regions are half a texel off
        assert float(difference[charts()].max()) < 5e-4


@torch.no_grad()
def test_untrained_full_form_mirrors_the_mark() -> None:
    """The dark mark of the seen cheek appears on the other; the template has none."""
    of = fit()
    column = SIZE - int(0.3 * SIZE) - 3
    for scale in SCALES:
        albedo = completion("full", scale, 0.0)(photograph(person(), views()["half"], of), of).albedo[0]
        mark, beside = albedo[:, 67, column], albedo[:, 67, column - 12]
        assert float((mark / beside).max()) < 0.7
        assert torch.allclose(beside, person()[:, 67, column - 12], atol=0.03)


@torch.no_grad()
def test_larger_maps_carry_the_seen_sides_pores_to_the_other_side() -> None:
    """Detail that the network's side cannot hold arrives with the share of the finest band."""
    of = even_light(fit())
    noise = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(2)) - 0.5
    pores = template() * (1 + 0.2 * noise)
    albedo = completion("full", 2, 0.0)(photograph(pores, views()["half"], of), of).albedo
    inner = region_groups(region_atlas(head(), renderer().atlas))[0].bool()
    inner = F.avg_pool2d(inner[None].float(), 9, 1, 4)[0] == 1
    inner[:, : SIZE // 2 + 8] = False
    got = finest_detail(albedo, 2)[0][:, inner]
    wanted = finest_detail(pores[None].flip(-1), 2)[0][:, inner]
    share = float((got * wanted).sum() / wanted.square().sum())
    assert share == pytest.approx(float(torch.sigmoid(torch.tensor(GAIN_OFFSETS[0]))), abs=0.05)
    assert float(torch.corrcoef(torch.stack([got.flatten(), wanted.flatten()]))[0, 1]) > 0.95


def layers_of(albedo: Tensor, alpha: Tensor) -> AlbedoLayers:
    return AlbedoLayers(alpha, alpha.flip(-1), torch.ones_like(albedo), albedo, albedo)


def test_correction_of_a_plain_albedo_is_the_formula() -> None:
    """Without detail: colour times exp of the bounded field, plus the free picture; doubt alone gives up skin."""
    plain = torch.tensor([0.5, 0.4, 0.3])[None, :, None, None].expand(2, 3, 32, 32)
    alpha, doubt = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    field, gains, free = torch.randn(2, 3, 32, 32), torch.randn(2, 4, 32, 32), 0.05 * torch.randn(2, 3, 32, 32)
    fill = corrected(layers_of(plain, alpha), doubt, Decoded(free, gains, field))
    factor = (CORRECTION_RANGE * (field / CORRECTION_RANGE).tanh()).exp()
    assert float(factor.log().abs().max()) <= CORRECTION_RANGE
    assert torch.allclose(fill.picture, (plain * factor + free).clamp_min(DARKEST), atol=1e-5)
    distrust = 1 / (1 + (-(gains[:, 3:] + TRUST_OFFSET)).exp())
    assert torch.allclose(fill.keep, alpha * (1 - distrust * doubt))
    assert torch.equal(
        corrected(layers_of(plain, alpha), torch.zeros_like(doubt), Decoded(free, gains, field)).keep, alpha
    )


def test_correction_of_seen_skin_is_the_formula() -> None:
    """Plain skin changes by the bounded field alone; a network that says nothing keeps 95 % of each band."""
    plain = torch.tensor([0.5, 0.4, 0.3])[None, :, None, None].expand(2, 3, 32, 32)
    field, gains, free = torch.randn(2, 6, 32, 32), torch.randn(2, 7, 32, 32), torch.zeros(2, 3, 32, 32)
    change, finest = seen_correction(plain, Decoded(free, gains, field))
    factor = (CORRECTION_RANGE * (field[:, 3:] / CORRECTION_RANGE).tanh()).exp()
    assert torch.allclose(change, plain * (factor - 1), atol=1e-5)
    assert torch.allclose(finest, 1 / (1 + (-(gains[:, 4:5] + 3)).exp()))
    rough = 0.3 + 0.4 * torch.rand(1, 3, 32, 32)
    silent = Decoded(free[:1], torch.zeros(1, 7, 32, 32), torch.zeros(1, 6, 32, 32))
    change, _ = seen_correction(rough, silent)
    bands, _ = split_bands(rough)
    assert torch.allclose(change, (torch.sigmoid(torch.tensor(3.0)) - 1) * sum(bands), atol=1e-5)
    everything = Decoded(free[:1], torch.full((1, 7, 32, 32), 30.0), torch.zeros(1, 6, 32, 32))
    assert seen_correction(rough, everything)[0].abs().max() < 1e-5


@torch.no_grad()
def test_correction_of_seen_skin_is_all_that_the_switch_changes() -> None:
    """With gains that keep everything and no field, the corrected form is the form that leaves seen skin alone."""
    of = fit()
    for scale in SCALES:
        method = completion("corrected", scale, 0.0)
        assert method.network.to_gains is not None and method.network.to_gains.bias is not None
        method.network.to_gains.bias[-3:] = 30
        partial = photograph(person(), views()["half"], of)
        found, expected = method(partial, of).albedo, completion("full", scale, 0.0)(partial, of).albedo
        assert torch.allclose(found, expected, atol=1e-5)


def test_doubt_is_of_unsure_skin_and_of_skin_much_steeper_than_its_mirror_image() -> None:
    sure, steep, flat = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 2, 2), 0.9)
    assert not doubts(sure, sure, flat).any(), "seen from the front: nothing may be given up"
    weight = torch.tensor([[1.0, 0.75], [0.5, 0.0]]).view(1, 1, 2, 2)
    assert doubts(weight, torch.zeros_like(sure), flat).flatten().tolist() == [0, 0.5, 1, 1]
    turned = torch.cat([steep[..., :1], flat[..., :1]], -1)
    assert torch.equal(doubts(sure, sure, turned)[0, 0, 0], torch.tensor([1.0, 0.0]))
    assert not doubts(sure, torch.zeros_like(sure), turned).any(), "no mirror image was seen: keep what there is"


def test_gains_decide_how_much_detail_stays() -> None:
    albedo, alpha = 0.3 + 0.4 * torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    nothing = torch.zeros(1, 3, 32, 32)
    all_of_it = corrected(layers_of(albedo, alpha), alpha, Decoded(nothing, torch.full((1, 4, 32, 32), 30.0), nothing))
    assert torch.allclose(all_of_it.picture, albedo, atol=1e-5)
    none = corrected(layers_of(albedo, alpha), alpha, Decoded(nothing, torch.full((1, 4, 32, 32), -30.0), nothing))
    assert float(none.picture[..., 8:-8, 8:-8].std()) < 0.2 * float(albedo.std())
    assert torch.allclose(all_of_it.finest, torch.ones(())) and not none.finest.round(decimals=6).any()


def test_parameters_are_expression_and_two_columns_of_the_rotation() -> None:
    of = fit(2)
    expression = torch.rand(2, len(EXPRESSIONS))
    rotation = torch.arange(18.0).view(2, 3, 3)
    parameters = fit_parameters(replace(of, expression=expression, rotation=rotation))
    assert parameters.shape == (2, PARAMETERS) and torch.equal(parameters[:, :52], expression)
    assert parameters[0, 52:].tolist() == [0, 1, 3, 4, 6, 7]


@pytest.mark.parametrize(("name", "matters"), [("full", True), ("paper", True), ("image_to_image", False)])
@torch.no_grad()
def test_expression_matters_to_forms_that_are_given_it(name: str, matters: bool) -> None:
    """An expression that moves no vertex of this head, so that all else is the same."""
    of = fit()
    expression = of.expression.clone()
    expression[:, EXPRESSIONS.index("jawOpen")] = 1
    partial = photograph(person(), views()["half"], of)
    method = completion(name, 1)
    neutral, open_mouth = method(partial, of).albedo, method(partial, replace(of, expression=expression)).albedo
    assert (float((neutral - open_mouth).abs().max()) > 1e-4) == matters


@pytest.mark.parametrize(("name", "scale"), list(itertools.product(FORMS, SCALES)))
def test_gradient_reaches_all_of_the_network(name: str, scale: int) -> None:
    of = fit()
    settings = form(name, scale)
    network = tiny_network(settings)
    method = FtimCompletion(name, renderer(), template(), network, settings)
    uncertain = photograph(person(), views()["half"], of)
    uncertain = replace(uncertain, confidence=0.7 * uncertain.confidence)
    method(uncertain, replace(of, expression=of.expression + 0.1)).albedo.square().sum().backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.any(), parameter_name


@pytest.mark.parametrize("name", FORMS)
@torch.no_grad()
def test_batch_gives_what_single_textures_give(name: str) -> None:
    of, method = fit(2), completion(name, 2)
    first, second = (photograph(person(), views()[view], of[i]) for i, view in enumerate(("half", "noise")))
    both = method(PartialTexture.concatenate([first, second]), of).albedo
    assert torch.allclose(both[:1], method(first, of[0]).albedo, atol=1e-5)
    assert torch.allclose(both[1:], method(second, of[1]).albedo, atol=1e-5)


def test_layers_of_a_batch_are_those_of_its_pictures() -> None:
    of = fit(2)
    partial = photograph(person(), views()["half"], of)
    atlas = region_atlas(head(), renderer().atlas)
    arguments = (partial.color, partial.confidence, template(), atlas, region_groups(atlas), 2, 2)
    fast, slow = layers_one_by_one(*arguments), build_layers(*arguments)
    for name in ("alpha", "mirrored_alpha", "ratio", "albedo"):
        assert torch.allclose(getattr(fast, name), getattr(slow, name), atol=1e-5), name


@torch.no_grad()
def test_half_precision_is_for_the_network_alone() -> None:
    """Seen skin is the same to the last bit; what was made up, nearly."""
    of = fit()
    partial = photograph(person(), views()["half"], of)
    settings = form("full", 1)
    network = tiny_network(settings)
    exact, rounded = (
        FtimCompletion("full", renderer(), template(), network, settings, precision)(partial, of).albedo
        for precision in (torch.float32, torch.bfloat16)
    )
    assert rounded.dtype == torch.float32 and not torch.equal(exact, rounded)
    assert float((exact - rounded).abs().mean()) < 0.01
    seen = charts() & (views()["half"] > 0)
    seen[:, SIZE // 2 - 6 :] = False
    assert torch.allclose(exact[0, :, seen], rounded[0, :, seen], atol=1e-6)


@pytest.mark.parametrize("name", FORMS)
def test_wrong_sizes_are_refused(name: str) -> None:
    of = fit()
    zeros = torch.zeros(1, 1, 64, 64)
    with pytest.raises(ValueError, match="64"):
        completion(name, 2)(PartialTexture(torch.zeros(1, 3, 64, 64), zeros, zeros), of)
    good = photograph(person(), views()["all"], of)
    with pytest.raises(ValueError, match="finite"):
        completion(name, 1)(replace(good, color=good.color * float("nan")), of)


def test_network_and_maps_must_be_those_of_the_settings() -> None:
    full, paper = form("full", 1), form("paper", 1)
    with pytest.raises(ValueError, match="not the one"):
        FtimCompletion("ftim", renderer(), template(), tiny_network(paper), full)
    large = replace(full, size=2 * SIZE)
    with pytest.raises(ValueError, match="multiple of 256"):
        FtimCompletion("ftim", renderer(), template(), tiny_network(large), large)
    small = UvRenderer(head(), renderer().rasterizer, 64)
    with pytest.raises(ValueError, match="multiple of 128"):
        FtimCompletion("ftim", small, template()[:, ::2, ::2], tiny_network(full), full)
