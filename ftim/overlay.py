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
SKIN = 0.5
"""What the completion takes for skin with less than this is not covered."""
Cover = Literal["skin", "full"]
"""What an overlay draws over: the skin that the photograph shows, or all of the face with the hair, glasses and hands
before it."""


@torch.no_grad()
def draw_overlay(renderer: ImageRenderer, texture: Texture, view: View, cover: Cover | Tensor = "full") -> Rendering:
    """Image Render: the photographs' own views, drawn from the texture, laid over the crops inside the photographs.

    ``cover`` says what may be covered; a tensor (B, 1, S, S) in [0, 1] says so pixel by pixel.
    """
    inside = _inside(renderer, texture, view, cover)
    return renderer.draw_lit(texture.texture, view.fit, view.photo, inside, head=view.head)


@torch.no_grad()
def draw_albedo(renderer: ImageRenderer, texture: Texture, view: View, cover: Cover | Tensor = "full") -> Rendering:
    """As ``draw_overlay``, of the albedo under the fits' nine harmonics: any view, any light, any fit."""
    inside = _inside(renderer, texture, view, cover)
    return renderer(texture.albedo, view.fit, view.photo, inside, head=view.head)


def _inside(renderer: ImageRenderer, texture: Texture, view: View, cover: Cover | Tensor) -> Tensor:
    if isinstance(cover, Tensor):
        return view.face.valid * cover
    if cover == "full":
        return view.face.valid
    return view.face.valid * skin_cover(renderer, view) * told_skin(renderer, texture, view)


@torch.no_grad()
def told_skin(renderer: ImageRenderer, texture: Texture, view: View) -> Tensor:
    """(B, 1, S, S) in [0, 1]: where the completion takes what the crop shows for skin, a pixel away from the rest."""
    if texture.skin is None or bool((texture.skin > SKIN).all()):
        return torch.ones_like(view.skin)
    drawn = renderer.draw_lit(texture.skin.expand(-1, 3, -1, -1), view.fit, view.photo, None, head=view.head)
    other = ((drawn.image[:, :1] < SKIN) & (drawn.mask > 0)).to(view.skin)
    scale = view.skin.shape[-1] / CROP_SIZE
    return box_blur(1 - grow(other, max(1, round(scale))), round(scale), 1)


@torch.no_grad()
def skin_cover(renderer: ImageRenderer, view: View) -> Tensor:
    """(B, 1, S, S) what the overlay covers: the skin, without what an open mouth shows, which the photograph has
    better than any map; feathered by a pixel or two of a crop of ``CROP_SIZE``."""
    scale = view.skin.shape[-1] / CROP_SIZE
    mouth = grow(renderer.shows(view.fit, INSIDE_MOUTH, view.head), round(MOUTH_RIM * scale))
    return view.skin * box_blur(1 - mouth, round(scale), 1)
