"""FTIM and the painting forms on a sphere whose albedo is known, at the network's side and at twice that."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.build import network_completion
from ftim.completion import FtimCompletion, PaintingCompletion
from ftim.completion.bands import finest_detail, split_bands
from ftim.completion.fill import region_atlas, region_groups
from ftim.completion.ftim import (
    BLEND,
    CORRECTION_RANGE,
    DARKEST,
    corrected,
    fit_parameters,
    light_of,
    smooth_factor,
    uncertainty_of,
)
from ftim.completion.layers import build_layers, layers_one_by_one
from ftim.completion.network import PARAMETERS, Decoded
from ftim.completion.settings import FULL, IMAGE_TO_IMAGE, PAPER, Settings
from ftim.morphable import EXPRESSIONS
from ftim.structures import Fit, PartialTexture
from ftim.uv import UvRenderer
from tests.test_completion import SIZE, fit, head, person, photograph, renderer, template, views
from tests.tiny_training import WIDTHS, tiny_network

FORMS: dict[str, Settings] = {
    "full": FULL,
    "uncertain": replace(FULL, visibility=False),
    "paper": PAPER,
    "divide": replace(PAPER, lighting="divide"),
    "image_to_image": IMAGE_TO_IMAGE,
}
SCALES = (1, 2)


def bare() -> Tensor:
    """(1, T, T): the sphere has no hairline, all its skin is the network's."""
    return region_groups(region_atlas(renderer().model, renderer().atlas))[:1]


@pytest.fixture(autouse=True)
def skin_is_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftim.completion.ftim.bare_skin", lambda uv_renderer: bare())


def form(name: str, scale: int) -> Settings:
    """Small; the network's side is that of the sphere's maps, or half of it."""
    return replace(FORMS[name], size=SIZE // scale, widths=WIDTHS)


@cache
def completion(name: str, scale: int, learnt: float = 0.1) -> FtimCompletion | PaintingCompletion:
    """With ``learnt`` 0, as it is before its first step."""
    settings = form(name, scale)
    network = tiny_network(settings, learnt=learnt)
    return network_completion(name, renderer(), template(), network, settings)


def ours(scale: int, last_gain: float = 0.0, learnt: float = 1.0, name: str = "full") -> FtimCompletion:
    """FTIM that says much about the light, and adds to its last gain: its trust in what was seen, or its distrust."""
    settings = form(name, scale)
    network = tiny_network(settings, learnt=learnt)
    assert network.to_gains is not None and network.to_gains.bias is not None
    with torch.no_grad():
        network.to_gains.bias[-1] = last_gain
    method = network_completion("ftim", renderer(), template(), network, settings)
    assert isinstance(method, FtimCompletion)
    return method


def pored() -> Tensor:
    """(3, T, T): the person with pores of a texel."""
    noise = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(1)) - 0.5
    return person() * (1 + 0.1 * noise)


def deep(mask: Tensor, texels: int) -> Tensor:
    """(T, T) bool: inside the charts, and further than ``texels`` from where the mask (T, T) is not 1."""
    other = (mask < 1).float()[None]
    return charts() & (F.max_pool2d(other, 2 * texels + 1, 1, texels)[0] == 0)


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
    for field in (texture.texture, texture.albedo, texture.residual):
        assert field.shape == (2, 3, SIZE, SIZE)
        assert torch.isfinite(field).all()
    assert float(texture.albedo.min()) > DARKEST - 1e-6
    assert float(texture.texture.min()) > 0.5 * DARKEST * 0.05
    assert torch.equal(texture.residual, torch.ones_like(texture.residual)) == (name not in ("full", "uncertain"))


@pytest.mark.parametrize(("scale", "view"), list(itertools.product(SCALES, ("half", "all", "none"))))
@torch.no_grad()
def test_texture_is_albedo_times_shading_times_residual(scale: int, view: str) -> None:
    """Where confidence is full, two widths of the feather from where it is not; everywhere, when nothing was seen.

    What was completed beside seen skin takes its light: tests/test_photographed.py.
    """
    of = fit()
    mask = views()[view]
    partial = photograph(pored(), mask, of)
    # What was seen at the top is uncertain: there the texture keeps what the albedo may give up.
    confidence = partial.confidence.clone()
    confidence[:, :, : SIZE // 3] *= 0.5
    texture = ours(scale, 30.0, name="uncertain")(replace(partial, confidence=confidence), of)
    product = texture.albedo * renderer().shading(of).clamp_min(0.05) * texture.residual
    difference = (texture.texture - product)[0].abs().amax(0)
    sure = deep(confidence[0, 0], round(2 * BLEND * SIZE))
    unseen = charts() & bool((mask == 0).all())
    assert bool(sure.any()) == (view != "none")
    assert float(difference[sure | unseen].max()) < 1e-5
    assert float(texture.residual.log().std()) > 0.1, "or it would hold without a residual"
    uncertain = charts() & (mask > 0)
    uncertain[SIZE // 3 :] = False
    assert view == "none" or float(difference[uncertain].mean()) > 0.01


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_ftim_cannot_change_the_detail_of_well_seen_skin(scale: int) -> None:
    """All that it says of such skin is light with little detail: pores and mark are those of the photograph."""
    of = fit()
    partial = photograph(pored(), views()["all"], of)
    albedo = ours(scale, 40.0)(partial, of).albedo
    lit = partial.color / renderer().shading(of).clamp_min(0.05)
    inner = (..., slice(SIZE // 4, -SIZE // 4), slice(SIZE // 6, -SIZE // 6))
    said, seen = (albedo[inner] / lit[inner]).log(), lit[inner].log()
    assert float(said.std()) > 0.1, "it says something"
    skin = deep(bare()[0], 10)[inner[1:]][8:-8, 8:-8]
    assert skin.any()
    for index in range(2):
        bands = [split_bands(field)[0][index][..., 8:-8, 8:-8][..., skin] for field in (said, seen)]
        assert float(bands[0].std()) < 0.1 * float(bands[1].std())


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_residual_is_the_last_three_channels_of_the_smooth_field(scale: int) -> None:
    """The first three are of what is made up, and leave seen skin and the light alone. Mirrored skin lost its light."""
    of, mask = fit(), views()["half"]
    partial = photograph(person(), mask, of)
    silent = ours(scale, 40.0, learnt=0.0)
    field = torch.tensor([0.2, -0.1, 0.3, 0.1, -0.2, 2.0])
    assert silent.network.to_smooth is not None and silent.network.to_smooth.bias is not None
    before = silent(partial, of)
    silent.network.to_smooth.bias.copy_(field)
    after = silent(partial, of)
    factor = smooth_factor(field).view(2, 3, 1, 1)
    skin = deep(bare()[0], 4)
    expected = factor[1:].expand_as(after.residual)
    assert torch.allclose(after.residual[..., skin], expected[..., skin], atol=1e-5)
    if scale == 1:
        assert bool((after.residual[..., bare()[0] == 0] == 1).all()), "eyes, mouth and gaps are not the network's"
    seen, unseen = deep(mask, round(2 * BLEND * SIZE)) & skin, skin & (mask == 0)
    assert torch.allclose(after.albedo[0, :, seen], (before.albedo / factor[1])[0, :, seen], atol=1e-5)
    smooth = (after.albedo / before.albedo)[0, :, unseen].median(1).values
    assert torch.allclose(smooth, (factor[0] / factor[1])[:, 0, 0], rtol=0.05)


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_albedo_gives_up_uncertain_skin_and_texture_keeps_it(scale: int) -> None:
    """Stripes on one cheek where confidence is a half: a network that distrusts takes them out of the albedo alone."""
    of, place = fit(), (0, slice(None), slice(72, 96), slice(20, 44))
    stripes = torch.tensor([0.7, 0.7, 1.3, 1.3]).repeat(6)
    striped = template().clone()
    striped[place[1:]] *= stripes
    partial = photograph(striped, views()["all"], of)
    confidence = partial.confidence.clone()
    confidence[..., 68:100, 16:48] = 0.5
    partial = replace(partial, confidence=confidence)
    given_up, kept = (ours(scale, gain, 0.0, "uncertain")(partial, of) for gain in (30.0, -30.0))

    def share(albedo: Tensor) -> float:
        """Of the stripes."""
        plain = albedo[place] / template()[place[1:]]
        return float(((plain - plain.mean()) * (stripes - 1)).sum() / (stripes - 1).square().expand_as(plain).sum())

    assert share(given_up.albedo) < 0.1
    # Behind skin of confidence 0.5, smoothstep(0.5) of what lies behind it shows.
    assert share(kept.albedo) == pytest.approx(0.5, abs=0.1)
    for texture in (given_up, kept):
        assert torch.allclose(texture.texture[place], partial.color[place], atol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_what_is_no_skin_is_neither_kept_nor_mirrored(scale: int) -> None:
    """A network that takes nothing for skin leaves the template, in albedo and texture; one that takes all keeps it."""
    of, partial = fit(), photograph(person(), views()["half"], fit())
    nothing, everything = (ours(scale, gain, learnt=0.0)(partial, of) for gain in (-40.0, 40.0))
    assert nothing.skin is not None and everything.skin is not None
    seen = deep(views()["half"] * bare()[0], 4)
    assert float(nothing.skin[0, 0, seen].max()) < 1e-3 < 0.999 < float(everything.skin[0, 0, seen].min())
    unseen = partial.visibility[0, 0] == 0
    assert bool((nothing.skin[0, 0, unseen] == 1).all()), "what was not seen cannot be given up"
    inner = deep(views()["half"] * bare()[0], round(2 * BLEND * SIZE))
    assert float((nothing.albedo[0] - template())[:, inner].abs().mean()) < 3e-3
    torch.testing.assert_close(everything.texture[0, :, inner], partial.color[0, :, inner])
    assert float((nothing.texture - partial.color)[0, :, inner].abs().mean()) > 0.02
    assert float((nothing.albedo[0] - template())[:, inner.flip(-1)].abs().mean()) < 3e-3


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
    """Detail that the network's side cannot hold arrives whole."""
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
    assert share == pytest.approx(1, abs=0.05)
    assert float(torch.corrcoef(torch.stack([got.flatten(), wanted.flatten()]))[0, 1]) > 0.95


def test_correction_of_a_plain_albedo_is_the_formula() -> None:
    """Without detail: colour times exp of the bounded field, plus the free picture."""
    plain = torch.tensor([0.5, 0.4, 0.3])[None, :, None, None].expand(2, 3, 32, 32)
    field, gains, free = torch.randn(2, 6, 32, 32), torch.randn(2, 3, 32, 32), 0.05 * torch.randn(2, 3, 32, 32)
    picture = corrected(plain, Decoded(free, gains, field, field[:, :0]))
    factor = (CORRECTION_RANGE * (field[:, :3] / CORRECTION_RANGE).tanh()).exp()
    assert float(factor.log().abs().max()) <= CORRECTION_RANGE
    assert torch.allclose(picture, (plain * factor + free).clamp_min(DARKEST), atol=1e-5)


def test_residual_light_is_the_product_of_both_fields() -> None:
    smooth, quarter = torch.randn(1, 6, 8, 8), torch.randn(1, 3, 8, 8)
    nothing = torch.zeros(1, 3, 8, 8)
    both = light_of(Decoded(nothing, nothing, smooth, quarter))
    torch.testing.assert_close(both, smooth_factor(smooth[:, 3:]) * smooth_factor(quarter))
    alone = light_of(Decoded(nothing, nothing, smooth, quarter[:, :0]))
    torch.testing.assert_close(alone, smooth_factor(smooth[:, 3:]))


def test_smooth_factor_is_bounded_and_begins_at_its_slope() -> None:
    field = torch.tensor([-1e3, -0.1, 0.0, 1e-3, 0.1, 1e3])
    factor = smooth_factor(field).log()
    assert factor[2] == 0 and float(factor[3]) == pytest.approx(1e-3, rel=1e-3)
    assert factor[[0, -1]].tolist() == pytest.approx([-CORRECTION_RANGE, CORRECTION_RANGE])
    assert torch.allclose(factor, -factor.flip(0), atol=0.002)


def test_uncertain_is_unsure_skin_and_of_skin_much_steeper_than_its_mirror_image() -> None:
    ones, flat = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.9)
    weight = torch.tensor([[1.0, 0.75], [0.5, 0.0]]).view(1, 1, 2, 2)
    assert uncertainty_of(weight, torch.zeros_like(ones), flat).flatten().tolist() == [0, 0.5, 1, 1]
    turned = torch.tensor([0.5, 0.9]).expand(1, 1, 2, 2)
    assert uncertainty_of(0.9 * ones, ones, turned)[0, 0, 0].tolist() == pytest.approx([1.0, 0.2])
    no_mirror_image = torch.zeros_like(ones)
    assert uncertainty_of(0.9 * ones, no_mirror_image, turned)[0, 0, 0].tolist() == pytest.approx([0.2, 0.2])


def test_nothing_is_uncertain_where_confidence_is_full() -> None:
    """However steep, and whatever its mirror image: such skin is the photograph's."""
    generator = torch.Generator().manual_seed(0)
    mirrored, cosine = torch.rand(2, 1, 2, 16, 16, generator=generator)
    assert not uncertainty_of(torch.ones(1, 1, 16, 16), mirrored[None], cosine[None]).any()
    almost = uncertainty_of(torch.full((1, 1, 16, 16), 0.99), mirrored[None], cosine[None])
    assert 0 < float(almost.max()) <= 0.1 + 1e-6, "it grows from there without a step"


def test_gains_decide_how_much_detail_stays_but_for_the_finest() -> None:
    albedo = 0.3 + 0.4 * torch.rand(1, 3, 32, 32)
    nothing = torch.zeros(1, 3, 32, 32)
    high = torch.full((1, 3, 32, 32), 30.0)
    assert torch.allclose(corrected(albedo, Decoded(nothing, high, nothing, nothing)), albedo, atol=1e-5)
    none = corrected(albedo, Decoded(nothing, -high, nothing, nothing))
    finest = split_bands(albedo)[0][0]
    assert float((none - finest)[..., 8:-8, 8:-8].std()) < 0.2 * float(albedo.std())
    assert float(finest.std()) > 0.3 * float(albedo.std())


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
    method = network_completion(name, renderer(), template(), network, settings)
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
    """Seen skin of the texture is the same to the last bit; what was made up, nearly."""
    of = fit()
    partial = photograph(person(), views()["half"], of)
    settings = form("full", 1)
    network = tiny_network(settings)
    exact, rounded = (
        network_completion("full", renderer(), template(), network, settings, precision)(partial, of).texture
        for precision in (torch.float32, torch.bfloat16)
    )
    assert rounded.dtype == torch.float32 and not torch.equal(exact, rounded)
    assert float((exact - rounded).abs().mean()) < 0.01
    seen = deep(views()["half"], round(2 * BLEND * SIZE))
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
    small = UvRenderer(head(), renderer().rasterizer, 64)
    for name, other in (("full", "paper"), ("paper", "full")):
        settings = form(name, 1)
        with pytest.raises(ValueError, match="not the one"):
            network_completion("ftim", renderer(), template(), tiny_network(form(other, 1)), settings)
        large = replace(settings, size=2 * SIZE)
        with pytest.raises(ValueError, match="multiple of 256"):
            network_completion("ftim", renderer(), template(), tiny_network(large), large)
        with pytest.raises(ValueError, match="multiple of 128"):
            network_completion("ftim", small, template()[:, ::2, ::2], tiny_network(settings), settings)
