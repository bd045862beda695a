"""The paper's FTIM and the simple network: the painted picture is the texture, the light is taken out of it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from ftim.completion.bands import shrink_seen
from ftim.completion.ftim import BLEND, DARKEST, fit_parameters
from tests.test_completion import SIZE, fit, person, photograph, renderer, template, views
from tests.test_ftim_completion import SCALES, completion, deep, pored


@torch.no_grad()
def test_seen_skin_of_the_simple_network_stays() -> None:
    of, mask = fit(), views()["half"]
    partial = photograph(pored(), mask, of)
    texture = completion("image_to_image", 1)(partial, of)
    kept = deep(mask, round(2 * BLEND * SIZE))
    assert kept.any()
    assert torch.allclose(texture.texture[0, :, kept], partial.color[0, :, kept], atol=1e-6)


@torch.no_grad()
def test_papers_form_paints_over_what_was_seen() -> None:
    of = fit()
    partial = photograph(person(), views()["all"], of)
    texture = completion("paper", 1)(partial, of)
    assert float((texture.texture - partial.color).abs().mean()) > 0.05


@pytest.mark.parametrize(("name", "scale"), list(itertools.product(("paper", "divide"), SCALES)))
@torch.no_grad()
def test_papers_texture_is_the_painted_picture_and_the_light_is_taken_out_of_it(name: str, scale: int) -> None:
    """albedo = network's texture - template x shading + template, the network asked directly; or divided (S6)."""
    of = fit(2)
    method = completion(name, scale)
    partial = photograph(person(), views()["noise"], of)
    color, _ = shrink_seen(partial.color, partial.visibility, scale)
    small_template = F.avg_pool2d(template(), scale).expand(2, -1, -1, -1)
    maps = torch.cat([color, F.avg_pool2d(partial.visibility, scale), small_template], 1)
    painted = torch.sigmoid(method.network(maps, fit_parameters(of)).free)
    if scale > 1:
        painted = F.interpolate(painted, (SIZE, SIZE), mode="bilinear")
    shading = renderer().shading(of).clamp_min(0.05)
    expected = painted / shading if name == "divide" else painted - template() * shading + template()
    assert (expected > DARKEST).float().mean() > 0.8
    found = method(partial, of)
    assert torch.allclose(found.texture, painted, atol=1e-5)
    assert torch.allclose(found.albedo, expected.clamp_min(DARKEST), atol=1e-5)


@pytest.mark.parametrize("name", ["paper", "divide", "image_to_image"])
@torch.no_grad()
def test_painting_networks_do_not_see_the_light(name: str) -> None:
    """With the same picture under two lights the texture stays and the albedo does not."""
    first = fit()
    second = replace(first, light=first.light * 1.2)
    partial = photograph(person(), views()["half"], first)
    one, other = (completion(name, 1)(partial, of) for of in (first, second))
    assert torch.equal(one.texture, other.texture)
    assert not torch.allclose(one.albedo, other.albedo, atol=0.02)
