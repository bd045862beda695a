"""What an overlay draws, and what of the photograph it leaves as it is."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ftim.face import CROP_SIZE
from ftim.filters import box_blur
from ftim.morphable.model import INSIDE_MOUTH
from ftim.render.image import ImageRenderer
from ftim.render.visibility import grow
from ftim.structures import Rendering, Texture, View

MOUTH_RIM = 1.5
"""Pixels of a crop of ``CROP_SIZE`` around teeth and tongue that are the photograph's too: no fit of lips is exact."""
Cover = Literal["skin", "full"]
"""What an overlay draws over: the skin that the photograph shows, or all of the face with the hair, glasses and hands
before it."""


@torch.no_grad()
def draw_overlay(renderer: ImageRenderer, texture: Texture, view: View, cover: Cover | Tensor = "full") -> Rendering:
    """Image Render: the photographs' own views, drawn from the texture, laid over the crops inside the photographs.

    ``cover`` says what may be covered; a tensor (B, 1, S, S) in [0, 1] says so pixel by pixel.
    """
    return renderer.draw_lit(texture.texture, view.fit, view.photo, _inside(renderer, view, cover), head=view.head)


@torch.no_grad()
def draw_albedo(renderer: ImageRenderer, texture: Texture, view: View, cover: Cover | Tensor = "full") -> Rendering:
    """As ``draw_overlay``, of the albedo under the fits' nine harmonics: any view, any light, any fit."""
    return renderer(texture.albedo, view.fit, view.photo, _inside(renderer, view, cover), head=view.head)


def _inside(renderer: ImageRenderer, view: View, cover: Cover | Tensor) -> Tensor:
    if isinstance(cover, Tensor):
        return view.face.valid * cover
    return view.face.valid * skin_cover(renderer, view) if cover == "skin" else view.face.valid


@torch.no_grad()
def skin_cover(renderer: ImageRenderer, view: View) -> Tensor:
    """(B, 1, S, S) what the overlay covers: the skin, without what an open mouth shows, which the photograph has
    better than any map; feathered by a pixel or two of a crop of ``CROP_SIZE``."""
    scale = view.skin.shape[-1] / CROP_SIZE
    mouth = grow(renderer.shows(view.fit, INSIDE_MOUTH, view.head), round(MOUTH_RIM * scale))
    return view.skin * box_blur(1 - mouth, round(scale), 1)
