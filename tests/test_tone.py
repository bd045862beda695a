"""The tone of the skin is the albedo's; what is drawn stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ftim.morphable import Region
from ftim.morphable.model import OPENINGS
from ftim.pipeline import Pipeline
from ftim.render.shading import luminance
from ftim.structures import Fit, PartialTexture, Texture
from ftim.tone import BRIGHTEST, TONE_STEP, part_mask, skin_tone, with_tone
from tests.small_school import fit_of
from tests.small_school import pipeline as small_pipeline

NOWHERE = torch.zeros(1, 1, 4, 4)


@pytest.fixture(scope="module")
def head_fit() -> Fit:
    return fit_of((20.0,))


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return small_pipeline()


def partial_of(confidence: Tensor) -> PartialTexture:
    return PartialTexture(confidence.expand(-1, 3, -1, -1), (confidence > 0).float(), confidence)


def texture_of(albedo: Tensor) -> Texture:
    return Texture(texture=albedo * 0.5, albedo=albedo, residual=torch.rand_like(albedo) + 0.5)


def test_the_tone_is_the_mean_shading_of_what_was_seen() -> None:
    shading = torch.tensor([[0.3, 0.6, 0.9], [0.6, 0.6, 0.6], [7.0, 7.0, 7.0]])
    tone = skin_tone(shading, torch.tensor([1.0, 0.5, 0.0]))
    torch.testing.assert_close(tone, torch.tensor([0.4, 0.6, 0.8]))
    assert skin_tone(shading, torch.zeros(3)).tolist() == [1, 1, 1], "nothing was seen"


def test_albedo_times_light_stays(head_fit: Fit) -> None:
    texture, tone = texture_of(torch.rand(1, 3, 4, 4)), torch.tensor([[0.3, 0.5, 1.2]])
    toned, fit = with_tone(texture, head_fit, tone, NOWHERE, NOWHERE)
    before = texture.albedo[..., None, None] * head_fit.light.permute(0, 2, 1)[:, :, None, None, None]
    after = toned.albedo[..., None, None] * fit.light.permute(0, 2, 1)[:, :, None, None, None]
    torch.testing.assert_close(after, before)
    assert torch.equal(toned.texture, texture.texture), "the texture under the photograph's light is what it was"
    assert torch.equal(toned.residual, texture.residual)


@pytest.mark.parametrize(("albedo", "expected"), [(0.5, 0.5), (1.0, BRIGHTEST), (4.0, 1.2)])
def test_teeth_darken_only_as_far_as_they_would_shine(head_fit: Fit, albedo: float, expected: float) -> None:
    teeth = torch.ones(1, 1, 4, 4)
    texture = texture_of(torch.full((1, 3, 4, 4), albedo))
    toned, _ = with_tone(texture, head_fit, torch.full((1, 3), 0.3), teeth, teeth)
    torch.testing.assert_close(toned.albedo, torch.full((1, 3, 4, 4), expected))


def test_what_is_no_skin_gets_a_grey_tone_and_its_product_with_the_shading_stays(
    pipeline: Pipeline, head_fit: Fit
) -> None:
    """Brown skin in coloured light: eyes keep the colours that the photograph's grey light left them."""
    light = torch.zeros_like(head_fit.light)
    light[:, 0], light[:, 3] = torch.tensor([2.0, 1.4, 1.0]), torch.tensor([0.3, 0.3, 0.0])
    fit = replace(head_fit, light=light)
    albedo = pipeline.template[None]
    before = albedo * pipeline.uv.shading(fit)
    seen = pipeline.uv.atlas.image(torch.ones(1, len(pipeline.uv.atlas.texel), 1))
    toned, lit = pipeline.toned(Texture(before, albedo, torch.ones_like(albedo)), partial_of(seen), fit)
    after = toned.albedo * pipeline.uv.shading(lit)
    teeth, openings = (part_mask(pipeline.model, pipeline.uv.atlas, part) for part in ((Region.TEETH,), OPENINGS))
    eyes = (openings > teeth)[0, 0]
    torch.testing.assert_close(after[..., eyes], before[..., eyes])
    skin = torch.nonzero(openings.flatten()[pipeline.uv.atlas.texel] == 0)[::TONE_STEP, 0]
    tone = skin_tone(pipeline.uv.shading_at(fit, skin), torch.ones(len(skin)))[None]
    factor = (toned.albedo / albedo)[..., eyes]
    torch.testing.assert_close(factor, luminance(tone)[..., None].expand_as(factor))


def test_the_mask_of_teeth_is_theirs(pipeline: Pipeline) -> None:
    atlas, regions = pipeline.uv.atlas, pipeline.model.regions
    mask = part_mask(pipeline.model, atlas, (Region.TEETH,))
    assert mask.sum() == (regions[atlas.face] == int(Region.TEETH)).sum() > 0


def test_half_the_light_is_half_the_albedo_in_the_same_light(pipeline: Pipeline, head_fit: Fit) -> None:
    """The photograph alone cannot say whether skin is dark or the light little: by convention it is the skin."""
    bright, dark = (_toned(pipeline, head_fit, exposure) for exposure in (1.0, 0.5))
    skin = pipeline.model.regions[pipeline.uv.atlas.face] == int(Region.FACE)
    texels = pipeline.uv.atlas.texel[skin]
    ratio = dark[0].albedo.flatten(2)[..., texels] / bright[0].albedo.flatten(2)[..., texels]
    torch.testing.assert_close(ratio, torch.full_like(ratio, 0.5), atol=1e-4, rtol=0)
    torch.testing.assert_close(dark[1].light, bright[1].light, atol=1e-4, rtol=1e-4)


def _toned(pipeline: Pipeline, fit: Fit, exposure: float) -> tuple[Texture, Fit]:
    light = torch.zeros_like(fit.light)
    light[:, 0], light[:, 3] = 2.8 * exposure, 0.4 * exposure  # from all around, and from a side
    fit = replace(fit, light=light)
    albedo = pipeline.template[None]
    texture = Texture(albedo * pipeline.uv.shading(fit), albedo, torch.ones_like(albedo))
    atlas = pipeline.uv.atlas
    return pipeline.toned(texture, partial_of(atlas.image(torch.ones(1, len(atlas.texel), 1))), fit)
