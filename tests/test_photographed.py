"""Seen skin as it was photographed, over what was completed under its light: the same for every completion."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.build import network_completion
from ftim.completion import Completion, MirrorCompletion, TeleaCompletion
from ftim.completion.fill import region_atlas, region_groups
from ftim.completion.photographed import BLEND, PhotographedTexture, folded_triangles, light_beyond
from ftim.completion.settings import FULL
from ftim.morphable.model import MorphableModel, Region
from ftim.morphable.open_head import load_open_head
from ftim.render.rasterizer import default_rasterizer
from ftim.structures import Fit, PartialTexture, Texture
from ftim.uv import UvRenderer
from tests.test_completion import SIZE, fit, head, person, photograph, renderer, template, views
from tests.tiny_training import WIDTHS, tiny_network

METHODS = ("mirror", "telea", "ftim", "ftim at half the side")
REACH = max(1, round(BLEND * SIZE))
"""Texels of the feather."""


@cache
def completion(name: str) -> Completion:
    if name == "mirror":
        return MirrorCompletion(head(), renderer(), template())
    if name == "telea":
        return TeleaCompletion(head(), renderer(), template())
    settings = replace(FULL, size=SIZE if name == "ftim" else SIZE // 2, widths=WIDTHS)
    return network_completion(name, renderer(), template(), tiny_network(settings, learnt=1.0), settings)


@cache
def photographed() -> PhotographedTexture:
    return PhotographedTexture(renderer())


def groups() -> Tensor:
    """(3, T, T) skin, eyes and mouth interior."""
    return region_groups(region_atlas(head(), renderer().atlas))


def charts() -> Tensor:
    """(T, T) bool, with their gutter."""
    return groups().sum(0) > 0


def within(mask: Tensor, texels: int) -> Tensor:
    """(T, T) bool: further than ``texels`` inside what is above 0 in the mask (T, T)."""
    outside = (mask <= 0).float()[None]
    return charts() & (F.max_pool2d(outside, 2 * texels + 1, 1, texels)[0] == 0)


def blotches() -> Tensor:
    """(T, T): round patches that were seen."""
    noise = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    return (F.interpolate(noise, (SIZE, SIZE), mode="bicubic", align_corners=False)[0, 0] > 0.5).float()


def pored() -> Tensor:
    """(3, T, T): the person with pores, which differ from left to right."""
    return person() * (0.9 + 0.2 * torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(1)))


def unsure(partial: PartialTexture) -> PartialTexture:
    """The same, seen with any confidence above 0."""
    doubt = torch.rand(partial.confidence.shape, generator=torch.Generator().manual_seed(4))
    return replace(partial, confidence=partial.confidence * (0.01 + 0.99 * doubt))


@pytest.mark.parametrize(("name", "view"), list(itertools.product(METHODS, ("half", "all", "blotches"))))
@torch.no_grad()
def test_seen_skin_has_the_photographs_colours(name: str, view: str) -> None:
    """However unsure it was seen, and whatever the network says of its light; away from the feather, to rounding."""
    of, mask = fit(), blotches() if view == "blotches" else views()[view]
    partial = unsure(photograph(pored(), mask, of))
    texture = completion(name)(partial, of).texture
    kept = within(mask, REACH)
    assert kept.float().mean() > 0.15
    assert float((texture - partial.color)[0, :, kept].abs().max()) < 1e-6


def completed_of(name: str, texture: Texture, partial: PartialTexture, of: Fit) -> Tensor:
    """(3, T, T) what lies under the photograph: albedo x shading x residual, for FTIM in the light around it."""
    product = texture.albedo * renderer().shading(of) * texture.residual
    if name.startswith("ftim"):
        product = product * light_beyond(product, partial.color, photographed().share(partial), groups())
    return product[0]


@pytest.mark.parametrize("name", METHODS)
@torch.no_grad()
def test_unseen_skin_is_completed_under_the_same_light(name: str) -> None:
    """Every texel is filled; what was not seen at all is albedo under the light of the photograph."""
    of, mask = fit(), blotches()
    partial = unsure(photograph(person(), mask, of))
    texture = completion(name)(partial, of)
    assert torch.isfinite(texture.texture).all() and float(texture.texture.min()) > 1e-4
    difference = texture.texture[0] - completed_of(name, texture, partial, of)
    assert float(difference[:, mask == 0].abs().max()) < 1e-5


@torch.no_grad()
def test_a_light_that_no_fit_explains_goes_on_beyond_seen_skin() -> None:
    """Half the face darker by one factor: all of it becomes so, and eyes and mouth, which were not seen, stay."""
    share, lamp = photographed().share(photograph(person(), blotches(), fit())), torch.tensor([0.5, 0.6, 0.8])
    skin = groups()[0] > 0
    share = share * skin
    photo = person()[None] * lamp[:, None, None]
    lit = person()[None] * light_beyond(person()[None], photo, share, groups())
    assert float((lit / photo - 1)[0, :, skin].abs().max()) < 1e-3
    inside = groups()[1:].sum(0) > 0
    assert torch.allclose(lit[0, :, inside], person()[:, inside])
    nothing = person()[None] * light_beyond(person()[None], photo, torch.zeros_like(share), groups())
    assert torch.allclose(nothing[0], person())


@torch.no_grad()
def test_no_step_is_left_where_seen_skin_ends() -> None:
    """A cast shadow beside the end of what was seen: what was completed meets it, and far away is as bright as ever."""
    mask = views()["half"]
    share = photographed().share(photograph(person(), mask, fit()))
    end = SIZE // 2
    shadow = torch.ones(SIZE).index_fill(0, torch.arange(end - SIZE // 8, end), 0.6)
    photo = person()[None] * shadow
    lit = (person()[None] * light_beyond(person()[None], photo, share, groups()))[0]
    ratio = (lit / person())[:, int(0.52 * SIZE)]
    assert bool(((ratio[:, end] - 0.6).abs() < 0.12).all())
    assert bool((ratio[:, end + SIZE // 4] > 0.75).all())


@pytest.mark.parametrize("name", METHODS)
@torch.no_grad()
def test_between_them_colours_are_mixed(name: str) -> None:
    of, mask = fit(), blotches()
    partial = unsure(photograph(pored(), mask, of))
    texture = completion(name)(partial, of)
    completed = completed_of(name, texture, partial, of)
    low, high = torch.minimum(completed, partial.color[0]), torch.maximum(completed, partial.color[0])
    seen = (mask > 0) & charts()
    inside = (texture.texture[0] >= low - 1e-6) & (texture.texture[0] <= high + 1e-6)
    assert bool(inside[:, seen].all())
    rim = seen & ~within(mask, REACH)
    assert float((texture.texture - partial.color)[0, :, rim].abs().mean()) > 1e-3


def test_the_photographs_share_falls_to_nothing_at_the_end_of_what_was_seen() -> None:
    """Against a straight end: 1 from REACH texels on, never less than further out, at most a half beside the end."""
    share = photographed().share(photograph(person(), views()["half"], fit()))[0, 0]
    end = SIZE // 2
    row = share[int(0.52 * SIZE)]
    assert bool((row[end:] == 0).all())
    assert torch.allclose(row[20 : end - REACH], torch.ones(()))
    assert bool((row[20:end].diff() <= 1e-6).all())
    assert 0 < float(row[end - 1]) < 0.5


def test_a_larger_map_fades_over_more_texels() -> None:
    large = PhotographedTexture(UvRenderer(head(), default_rasterizer(), 4 * SIZE))
    assert (photographed().blend, large.blend) == (REACH, round(BLEND * 4 * SIZE))
    visibility = torch.zeros(1, 1, 4 * SIZE, 4 * SIZE)
    visibility[..., : 2 * SIZE] = 1
    row = large.share(PartialTexture(visibility.expand(-1, 3, -1, -1), visibility, visibility))[0, 0, 2 * SIZE + 10]
    between = (row > 1e-4) & (row < 1 - 1e-4)
    assert int(between.sum()) == round(BLEND * 4 * SIZE)


def test_rim_of_a_chart_is_no_end() -> None:
    """Beside the charts lies nothing that was hidden: their rims keep the photograph's colours whole."""
    share = photographed().share(photograph(person(), views()["all"], fit()))[0, 0]
    assert torch.allclose(share[charts()], torch.ones(()))
    assert not share[~charts()].any()


def with_pouch() -> MorphableModel:
    """The sphere, with three triangles of the face in the middle of its front moved inside."""
    model = head()
    middle = model.template[model.triangles].mean(1)
    inside = (middle - torch.tensor([0.0, 0.02, 0.1])).norm(dim=1).topk(3, largest=False).indices
    count = len(model.template)
    moved = 0.5 * model.template[model.triangles[inside]].flatten(0, 1)
    triangles = model.triangles.clone()
    triangles[inside] = torch.arange(count, count + 9).view(3, 3)
    regions = model.regions.clone()
    regions[inside] = int(Region.FACE)
    cover = model.triangles[inside]  # the skin before the pouch, which has texels of its own no longer
    return replace(
        model,
        template=torch.cat([model.template, moved]),
        triangles=torch.cat([triangles, cover]),
        uv_triangles=torch.cat([model.uv_triangles, torch.zeros_like(cover)]),
        regions=torch.cat([regions, torch.full((3,), int(Region.FACE))]),
    )


def test_skin_that_no_view_shows_is_folded_away() -> None:
    assert not folded_triangles(head(), default_rasterizer()).any(), "all of a sphere's front is in sight"
    model = with_pouch()
    folded = folded_triangles(model, default_rasterizer())
    inner = model.template[model.triangles].norm(dim=-1).amax(1) < 0.06
    assert int(inner.sum()) == 3 and torch.equal(folded, inner)
    elsewhere = replace(model, regions=torch.full_like(model.regions, int(Region.SCALP)))
    assert not folded_triangles(elsewhere, default_rasterizer()).any(), "of the face alone"


def test_of_the_open_head_little_is_folded_and_as_much_on_both_sides() -> None:
    model = load_open_head()
    folded = folded_triangles(model, default_rasterizer())
    face = model.regions == int(Region.FACE)
    assert not folded[~face].any() and 0.005 < float(folded[face].float().mean()) < 0.2
    side = model.template[model.triangles].mean(1)[:, 0]
    left, right = (int((folded & where).sum()) for where in (side > 1e-4, side < -1e-4))
    assert left == pytest.approx(right, rel=0.1)
    lips = model.landmarks(model.template[None])[0, [0, 17, 61, 291]]
    reach = (model.template[model.triangles].mean(1)[:, None] - lips.mean(0)).norm(dim=-1)
    assert int((folded & (reach.squeeze(1) < 0.04)).sum()) > 0, "the inside of the lips"


def test_the_step_to_folded_skin_is_no_end_of_what_was_seen() -> None:
    """Around the pouch all is seen: the photograph's colours hold up to it. Seen for once, it takes part itself."""
    uv = UvRenderer(with_pouch(), default_rasterizer(), SIZE)
    made = PhotographedTexture(uv)
    chart = region_groups(region_atlas(uv.model, uv.atlas)).sum(0) > 0
    folded = folded_triangles(uv.model, uv.rasterizer)
    pouch = uv.atlas.image(folded[uv.atlas.face].float()[None, :, None])[0, 0] > 0
    assert 10 < int(pouch.sum()) < 500
    for hidden, expected in ((pouch, chart & ~pouch), (torch.zeros_like(pouch), chart)):
        visibility = (chart & ~hidden).float()[None, None].expand(2, -1, -1, -1)
        share = made.share(PartialTexture(visibility.expand(-1, 3, -1, -1), visibility, visibility))
        assert torch.allclose(share[:, 0], expected.float().expand(2, -1, -1))


@torch.no_grad()
def test_parts_of_the_answer() -> None:
    """Albedo and residual come out as they went in; dark shading is the floor's."""
    partial = photograph(person(), views()["half"], fit())
    albedo, shading, residual = (low + torch.rand(1, 3, SIZE, SIZE) for low in (0.1, 0.0, 0.5))
    shading[..., SIZE // 2 + 4 :] = 0.01
    texture = photographed()(partial, albedo, shading, residual)
    assert torch.equal(texture.albedo, albedo) and torch.equal(texture.residual, residual)
    dark = (..., slice(SIZE // 2 + 4, None))
    assert torch.allclose(texture.texture[dark], (albedo * 0.05 * residual)[dark])
    plain = photographed()(partial, albedo, shading)
    assert torch.equal(plain.residual, torch.ones_like(albedo))
    assert torch.allclose(plain.texture[dark], (albedo * 0.05)[dark])


def test_gradient_reaches_albedo_and_residual_where_nothing_was_seen() -> None:
    partial = photograph(person(), views()["half"], fit())
    albedo, residual = (torch.full((1, 3, SIZE, SIZE), value, requires_grad=True) for value in (0.5, 1.0))
    shading = renderer().shading(fit())
    photographed()(partial, albedo, shading, residual).texture.sum().backward()
    for leaf, slope in ((albedo, shading), (residual, 0.5 * shading)):
        assert leaf.grad is not None
        assert torch.allclose(leaf.grad[..., SIZE // 2 :], slope[..., SIZE // 2 :])
        kept = within(views()["half"], REACH)
        assert float(leaf.grad[0, :, kept].abs().max()) < 1e-6, "seen skin is the photograph's"


def test_gradients_pass_the_light_that_goes_on() -> None:
    """L_UV teaches through the texture: the factor is a constant, what it multiplies is not."""
    partial = photograph(person(), views()["half"], fit())
    albedo = person()[None].clone().requires_grad_()
    last_step = PhotographedTexture(renderer(), light_goes_on=True)
    last_step(partial, albedo, renderer().shading(fit())).texture.sum().backward()
    share = last_step.share(partial)[0, 0]
    assert albedo.grad is not None
    assert float(albedo.grad[0, :, share == 1].abs().max()) == 0 < float(albedo.grad[0, :, share == 0].abs().max())
