"""Other views of a head: turned, lit from a side, with another expression; and its edges over the photograph."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ftim.errors import SettingsError
from ftim.morphable import EXPRESSIONS
from ftim.pipeline import Pipeline
from ftim.render.shading import shade
from ftim.render.views import lit_from, turned, with_expression
from ftim.render.wireframe import draw_wireframe
from ftim.structures import Face, Fit
from tests.small_school import fit_of, pipeline


@pytest.fixture(scope="module")
def fit() -> Fit:
    return fit_of((20.0,))


@pytest.fixture(scope="module")
def head() -> Pipeline:
    return pipeline()


def direction(azimuth: float, elevation: float = 0.0) -> torch.Tensor:
    a, e = math.radians(azimuth), math.radians(elevation)
    return torch.tensor([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])


def shading(fit: Fit, normals: list[torch.Tensor]) -> torch.Tensor:
    return shade(torch.stack(normals)[None], fit.light)[0, :, 0]


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (70, 0), (-40, 30), (10, -50)])
def test_light_comes_from_where_it_is_said_to(fit: Fit, azimuth: float, elevation: float) -> None:
    """Skin that faces the light is the brightest; skin at right angles and beyond has the even light, nearly."""
    lit = lit_from(fit, azimuth, elevation, strength=0.8, ambient=0.4)
    towards = direction(azimuth, elevation)
    around = torch.nn.functional.normalize(torch.randn(400, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    values = shading(lit, [towards, *around])
    assert float(values[0]) == pytest.approx(1.2, abs=0.06) and values.argmax() == 0
    expected = 0.4 + 0.8 * (around @ towards).clamp_min(0)
    assert float((values[1:] - expected).abs().max()) < 0.8 * 0.1, "what the first bands leave of max(0, n . l)"
    assert torch.equal(lit.light[..., 0], lit.light[..., 2]), "white"


def test_a_turn_keeps_the_heads_middle_and_turns_as_said(fit: Fit) -> None:
    straight, right = turned(fit, 0.0), turned(fit, 30.0)
    nose = torch.tensor([0.0, 0.0, 1.0])
    assert torch.allclose(straight.rotation[0], torch.eye(3), atol=1e-6)
    assert float((right.rotation[0] @ nose)[0]) == pytest.approx(0.5, abs=1e-5), "a positive yaw looks to the right"
    assert float((turned(fit, 0.0, pitch=20.0).rotation[0] @ nose)[1]) < 0, "a positive pitch lowers the chin"
    middle = torch.tensor([0.0, -0.01, -0.07])
    places = [(view.rotation[0] @ middle + view.translation[0]) for view in (straight, right)]
    assert torch.allclose(places[0], places[1], atol=1e-6)
    assert float(turned(fit, 0, farther=2.0).translation[0, 2]) < float(straight.translation[0, 2])


def test_an_expression_is_what_it_says_and_nothing_else(fit: Fit) -> None:
    open_mouth = with_expression(fit, {"jawOpen": 0.5})
    assert float(open_mouth.expression.sum()) == 0.5
    assert float(open_mouth.expression[0, EXPRESSIONS.index("jawOpen")]) == 0.5
    assert not with_expression(open_mouth, {}).expression.any()
    with pytest.raises(SettingsError, match="no expression grin"):
        with_expression(fit, {"grin": 1.0})
    with pytest.raises(SettingsError, match=r"\[0, 1\]: jawOpen"):
        with_expression(fit, {"jawOpen": 1.5})


def test_edges_lie_on_the_head_and_nowhere_else(fit: Fit, head: Pipeline) -> None:
    grey = torch.full((1, 3, 224, 224), 0.5)
    face = Face(grey, grey[:, :1], torch.zeros(1, 478, 2), torch.zeros(1, 52), torch.tensor([[1.0, 0, 0]]))
    drawn = draw_wireframe(head.model, face, fit, side=448)
    mask = head.image(torch.ones(1, 3, 8, 8), fit, grey).mask[0, 0].numpy() > 0
    changed = np.abs(drawn.astype(int) - drawn[0, 0]).max(2) > 4
    inside = np.kron(mask, np.ones((2, 2), bool))
    assert drawn.shape == (448, 448, 3) and changed[inside].mean() > 0.3
    ears_and_rim = changed & ~inside
    assert ears_and_rim.sum() < 0.2 * changed.sum() and not changed[:20].any() and not changed[-4:, :40].any()
