"""The tone of the skin is the albedo's; what is drawn stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ftim.morphable import Region
from ftim.morphable.model import OPENINGS
from ftim.pipeline import Pipeline
from ftim.render.shading import luminance
from ftim.structures import Fit, Texture
from ftim.tone import (
    BRIGHTEST,
    CALIBRATION,
    OWN_DEVIATION,
    ToneMover,
    combined,
    part_mask,
    photographed_tone,
    with_tone,
)
from ftim.tone_network import Tone
from tests.small_school import example, fit_of
from tests.small_school import pipeline as small_pipeline

NOWHERE = torch.zeros(1, 1, 4, 4)


@pytest.fixture(scope="module")
def head_fit() -> Fit:
    return fit_of((20.0,))


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return small_pipeline()


def texture_of(albedo: torch.Tensor) -> Texture:
    return Texture(texture=albedo * 0.5, albedo=albedo, residual=torch.rand_like(albedo) + 0.5)


def test_the_tone_is_the_mean_shading_of_what_was_seen() -> None:
    shading = torch.tensor([[0.3, 0.6, 0.9], [0.6, 0.6, 0.6], [7.0, 7.0, 7.0]])
    tone = photographed_tone(shading, torch.tensor([1.0, 0.5, 0.0]))
    torch.testing.assert_close(tone, torch.tensor([0.4, 0.6, 0.8]))
    assert photographed_tone(shading, torch.zeros(3)).tolist() == [1, 1, 1], "nothing was seen"


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


def test_what_is_no_skin_gets_a_grey_factor_and_its_product_with_the_shading_stays(
    pipeline: Pipeline, head_fit: Fit
) -> None:
    """Brown skin in coloured light: eyes keep the colours that the photograph's grey light left them."""
    light = torch.zeros_like(head_fit.light)
    light[:, 0], light[:, 3] = torch.tensor([2.0, 1.4, 1.0]), torch.tensor([0.3, 0.3, 0.0])
    fit = replace(head_fit, light=light)
    albedo = pipeline.template[None]
    before = albedo * pipeline.uv.shading(fit)
    mover = ToneMover(pipeline.uv)
    tone = Tone(mover.present(albedo) + torch.tensor([[-0.2, -0.5, -0.7]]), torch.ones(1, 3))
    toned, lit = mover(Texture(before, albedo, torch.ones_like(albedo)), fit, tone)
    after = toned.albedo * pipeline.uv.shading(lit)
    teeth, openings = (part_mask(pipeline.model, pipeline.uv.atlas, part) for part in ((Region.TEETH,), OPENINGS))
    eyes = (openings > teeth)[0, 0]
    torch.testing.assert_close(after[..., eyes], before[..., eyes])
    factor = (toned.albedo / albedo)[..., eyes]
    expected = luminance(torch.tensor([[-0.2, -0.5, -0.7]]).exp())[..., None]
    torch.testing.assert_close(factor, expected.expand_as(factor), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("exposure", [1.0, 0.5])
def test_the_face_gets_the_tone_that_was_told(pipeline: Pipeline, head_fit: Fit, exposure: float) -> None:
    """Whatever the albedo was before; twice is as once."""
    mover, albedo = ToneMover(pipeline.uv), exposure * pipeline.template[None]
    tone = Tone(torch.tensor([[0.5, 0.3, 0.2]]).log(), torch.ones(1, 3))
    toned, fit = mover(Texture(albedo, albedo, torch.ones_like(albedo)), head_fit, tone)
    torch.testing.assert_close(mover.present(toned.albedo), tone.mean, atol=2e-3, rtol=0)
    again, _ = mover(toned, fit, tone)
    torch.testing.assert_close(again.albedo, toned.albedo, atol=2e-3, rtol=0)


def test_several_photographs_count_by_how_sure_they_are() -> None:
    sure, unsure = Tone(torch.zeros(1, 3), torch.full((1, 3), 0.1)), Tone(torch.ones(1, 3), torch.full((1, 3), 0.3))
    both = combined([sure, unsure])
    torch.testing.assert_close(both.mean, torch.full((1, 3), 0.1))
    torch.testing.assert_close(both.deviation, torch.full((1, 3), 0.1))
    assert torch.equal(combined([unsure]).mean, unsure.mean)


def test_the_mask_of_teeth_is_theirs(pipeline: Pipeline) -> None:
    atlas, regions = pipeline.uv.atlas, pipeline.model.regions
    mask = part_mask(pipeline.model, atlas, (Region.TEETH,))
    assert mask.sum() == (regions[atlas.face] == int(Region.TEETH)).sum() > 0


def test_the_network_is_weighed_with_the_photographs_own_colours(pipeline: Pipeline) -> None:
    """Unsure, it changes nothing; sure, it decides; either way nothing lies beyond the two."""
    view, mover = example()[1], ToneMover(pipeline.uv)
    texture = pipeline.completion("mirror")(view.partial, view.fit)
    mean = torch.tensor([[0.3, 0.2, 0.1]]).log()
    unsure = mover.judged(texture, view, Tone(mean, torch.full((1, 3), 100.0)))
    sure = mover.judged(texture, view, Tone(mean, torch.full((1, 3), 1e-4)))
    torch.testing.assert_close(sure.mean, mean, atol=1e-3, rtol=0)
    texels = torch.arange(len(pipeline.uv.atlas.texel))
    weight = (view.partial.confidence * (1 - mover.openings)).flatten()[pipeline.uv.atlas.texel]
    shown = photographed_tone(pipeline.uv.shading_at(view.fit, texels), weight)
    torch.testing.assert_close(unsure.mean, mover.present(texture.albedo) + shown.log(), atol=1e-3, rtol=0)
    half = mover.judged(texture, view, Tone(mean, torch.full((1, 3), OWN_DEVIATION / CALIBRATION))).mean
    torch.testing.assert_close(half, (sure.mean + unsure.mean) / 2, atol=1e-3, rtol=0)
