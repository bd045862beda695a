"""Teeth, tongue and eyes are not skin: light has no colour there, wherever it is put on or taken out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.retrained.detail import DetailShading
from ftim.merge import merge_views
from ftim.morphable.model import OPENINGS, Region
from ftim.pipeline import Pipeline
from ftim.render.pose import pose_head
from ftim.render.shading import SHADING_FLOOR, luminance, shade
from ftim.structures import Fit, PartialTexture
from ftim.tone import ToneMover, part_mask, photographed_tone, with_tone
from tests.small_school import CROP, fit_of
from tests.small_school import pipeline as small_pipeline

BROWN = (1.6, 1.0, 0.6)
"""The first harmonic of a light that a fit finds on brown skin under a warm lamp."""


@cache
def pipeline() -> Pipeline:
    return small_pipeline()


@cache
def openings() -> Tensor:
    """(T, T) bool."""
    return part_mask(pipeline().model, pipeline().uv.atlas, OPENINGS)[0, 0] > 0


@cache
def brown_fit() -> Fit:
    """The mean head with its mouth open, under a brown light from a side."""
    fit = fit_of((10.0,))
    light = torch.zeros_like(fit.light)
    light[:, 0] = torch.tensor(BROWN)
    light[:, 3] = 0.2 * torch.tensor(BROWN)
    expression = fit.expression.clone()
    expression[:, 24:26] = 0.5
    return replace(fit, light=light, expression=expression)


@cache
def photographed() -> PartialTexture:
    """All of the head: the template's skin under brown light, and teeth that are a little yellow."""
    shading = coloured(brown_fit())
    teeth = part_mask(pipeline().model, pipeline().uv.atlas, (Region.TEETH,))
    color = torch.lerp(pipeline().template[None] * shading, torch.tensor([0.6, 0.57, 0.5])[None, :, None, None], teeth)
    seen = pipeline().uv.atlas.image(torch.ones(1, len(pipeline().uv.atlas.texel), 1))
    return PartialTexture(color * seen, seen, seen)


def coloured(fit: Fit) -> Tensor:
    """(B, 3, T, T): shading with its colour everywhere."""
    atlas = pipeline().uv.atlas
    normals = F.normalize(atlas.spread(pose_head(pipeline().model, fit).normals), dim=-1)
    return atlas.image(shade(normals, fit.light), empty=1.0)


def test_shading_of_skin_is_what_it_was_and_of_the_openings_is_its_luminance() -> None:
    shading, expected = pipeline().uv.shading(brown_fit()), coloured(brown_fit())
    assert torch.equal(shading[..., ~openings()], expected[..., ~openings()]), "a network was trained on these"
    grey = shading[..., openings()]
    assert torch.equal(grey[:, 0], grey[:, 1]) and torch.equal(grey[:, 0], grey[:, 2])
    torch.testing.assert_close(grey[:, 0], luminance(expected[..., openings()].mT)[..., 0])
    assert float((expected[:, 0] - expected[:, 2])[..., openings()].mean()) > 0.2, "the light has a colour"


def test_gradients_reach_the_light_through_grey_shading() -> None:
    light = brown_fit().light.clone().requires_grad_()
    shading = pipeline().uv.shading(replace(brown_fit(), light=light))
    shading[..., openings()].sum().backward()
    assert light.grad is not None and bool((light.grad[:, 0] > 0).all())


def test_the_picture_has_the_maps_shading() -> None:
    """Drawn from the albedo under the light, and from albedo x shading: the same head, teeth and eyes included."""
    fit, photo = brown_fit(), torch.zeros(1, 3, CROP, CROP)
    albedo = torch.full_like(pipeline().template, 0.5)[None]
    relit = pipeline().image(albedo, fit, photo).image
    lit = pipeline().image.draw_lit(albedo * pipeline().uv.shading(fit), fit, photo).image
    inside = pipeline().image.shows(fit, OPENINGS) > 0
    assert inside.sum() > 200
    assert float(((relit - lit).abs() * inside).sum() / (3 * inside.sum())) < 0.01
    colour = (relit[:, :1] - relit[:, 2:])[inside]
    assert float(colour.abs().max()) < 1e-6, "grey albedo stays grey there"


def test_a_displaced_head_has_grey_openings_too() -> None:
    detail = DetailShading(pipeline().model, pipeline().uv.atlas)
    flat = detail(brown_fit(), torch.zeros(1, 1, *openings().shape))
    torch.testing.assert_close(flat, pipeline().uv.shading(brown_fit()), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["ftim", "mirror", "telea"])
def test_teeth_of_a_brown_face_are_not_blue(name: str) -> None:
    pipe, fit = pipeline(), brown_fit()
    completed = pipe.completion(name)(photographed(), fit)
    texel = pipe.uv.atlas.texel
    tone = photographed_tone(pipe.uv.shading_at(fit, torch.arange(len(texel))), torch.ones(len(texel)))
    mover = ToneMover(pipe.uv)
    texture, _ = with_tone(completed, fit, tone[None], mover.teeth, mover.openings)
    teeth = part_mask(pipe.model, pipe.uv.atlas, (Region.TEETH,))[0, 0] > 0
    red, _, blue = texture.albedo[0, :, teeth].mean(1).tolist()
    assert blue < red
    assert blue / red == pytest.approx(0.5 / 0.6, rel=0.05), "the photograph's yellow, no other"
    was = (photographed().color / coloured(fit).clamp_min(SHADING_FLOOR))[0, :, teeth].mean(1)
    assert was[2] > was[0] + 0.2, "by the coloured light they were blue"


@pytest.mark.parametrize("name", ["ftim", "mirror", "telea", "mean"])
def test_texture_is_albedo_times_shading_times_residual_in_the_openings_too(name: str) -> None:
    texture = pipeline().completion(name)(photographed(), brown_fit())
    product = texture.albedo * pipeline().uv.shading(brown_fit()) * texture.residual
    torch.testing.assert_close(texture.texture[..., openings()], product[..., openings()], atol=2e-3, rtol=0)


def test_views_merge_in_the_openings_without_a_colour_of_their_lights() -> None:
    """Two photographs of the same teeth, one under a brown light: the merged colour is theirs."""
    white = replace(brown_fit(), light=brown_fit().light.mean(-1, keepdim=True).expand(-1, -1, 3))
    fits = Fit.concatenate([brown_fit(), white])
    albedo = pipeline().template[None].expand(2, -1, -1, -1)
    seen = photographed().visibility.expand(2, -1, -1, -1)
    shading = pipeline().uv.shading(fits)
    merged = merge_views(PartialTexture(albedo * shading * seen, seen, seen), shading, 0)
    expected = albedo[0] * shading[0]
    torch.testing.assert_close(merged.color[0][:, openings()], expected[:, openings()], atol=1e-5, rtol=1e-4)
