"""Where FTIM's network has a say: the bare skin of the face of the open head."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from ftim.completion.fill import bare_skin, region_atlas
from ftim.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from ftim.morphable import Region, load_open_head
from ftim.render.rasterizer import default_rasterizer
from ftim.uv import UvRenderer

SIZE = 256
NOSE_TIP, CHEEK, TEMPLE, CHIN = 1, 50, 54, 152
"""Points of MediaPipe's face mesh."""


@cache
def renderer() -> UvRenderer:
    return UvRenderer(load_open_head(), default_rasterizer(), SIZE)


@cache
def share() -> Tensor:
    """(T, T)."""
    return bare_skin(renderer())[0]


def at_landmark(number: int) -> float:
    """The share at a point of the face."""
    model = renderer().model
    corners = model.uv[model.uv_triangles[model.landmark_triangles[number]]]
    u, v = (corners * model.landmark_barycentrics[number][:, None]).sum(0).tolist()
    return float(share()[int(v * SIZE), int(u * SIZE)])


def test_it_is_a_share_and_symmetric() -> None:
    assert float(share().min()) >= 0 and float(share().max()) == 1
    torch.testing.assert_close(share(), share().flip(-1), atol=1e-3, rtol=0)


@pytest.mark.parametrize("number", [NOSE_TIP, CHEEK, CHIN])
def test_the_face_is_the_networks(number: int) -> None:
    assert at_landmark(number) > 0.95


def test_the_hairline_is_not() -> None:
    assert at_landmark(TEMPLE) < 0.5


@pytest.mark.parametrize("region", [item for item in Region if item is not Region.FACE])
def test_other_parts_are_not(region: Region) -> None:
    """Beyond the end of the face it fades; eyes and mouth lie elsewhere in the map."""
    of = share()[region_atlas(renderer().model, renderer().atlas) == int(region)]
    assert float(of.mean()) < 0.25
    if region not in (Region.EARS, Region.NECK, Region.SCALP):
        assert float(of.max()) == 0


def test_it_fades_without_a_step() -> None:
    """On the face; towards gaps the charts just end."""
    face = region_atlas(renderer().model, renderer().atlas) == int(Region.FACE)
    steps = (share()[:, 1:] - share()[:, :-1]).abs()[face[:, 1:] & face[:, :-1]]
    assert float(steps.max()) < 0.25


def test_lengths_are_in_eye_distances() -> None:
    """The corners of the eyes, half a unit to the sides, are the network's."""
    assert min(at_landmark(LEFT_EYE_OUTER), at_landmark(RIGHT_EYE_OUTER)) > 0.5
