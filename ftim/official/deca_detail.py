"""DECA's detail: a displacement in UV that changes the normals which meet the light."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ftim.official.flame_texture import UV_SIDE, FlameUv
from ftim.official.layout import READ_ERRORS, check_array, to_tensor, unreadable, wrong
from ftim.render.interpolate import interpolate
from ftim.render.rasterizer import Fragments, Rasterizer
from ftim.structures import Batched

_MARGIN_X, _MARGIN_Y = 2, 5
"""Texels at the borders of the map that get no surface of their own, as in the official code."""


@dataclass(frozen=True)
class DetailMaps(Batched):
    """The constant maps of DECA's data folder."""

    mask: Tensor
    """(256, 256) in [0, 1]: 1 on face and eyes, where there is detail."""
    displacement: Tensor
    """(256, 256) metres along the normal, everywhere and for everyone."""


def load_detail_maps(mask: Path, displacement: Path) -> DetailMaps:
    """Read ``uv_face_eye_mask.png`` and ``fixed_displacement_256.npy``. Raises ``OfficialLayoutError``."""
    try:
        with Image.open(mask) as picture:
            pixels = np.asarray(picture.convert("RGB"))[..., 0]
    except READ_ERRORS as error:
        raise unreadable(mask, error) from error
    if pixels.shape[0] != pixels.shape[1] or pixels.shape[0] < UV_SIDE:
        raise wrong(mask, f"it has {pixels.shape} pixels, expected a square of at least {UV_SIDE}")
    inside = torch.from_numpy(pixels.copy())[None, None].float() / 255
    try:
        constant = np.load(displacement, allow_pickle=False)
    except READ_ERRORS as error:
        raise unreadable(displacement, error) from error
    constant = check_array(constant, (UV_SIDE, UV_SIDE), displacement, "the displacement")
    return DetailMaps(F.interpolate(inside, (UV_SIDE, UV_SIDE))[0, 0], to_tensor(constant))


class UvSurface:
    """Looks up values of the head's vertices at the texels of its map."""

    def __init__(self, uv: FlameUv, rasterizer: Rasterizer) -> None:
        """Where no triangle covers a texel, everything is 0."""
        flat = torch.cat([uv.uv * UV_SIDE, torch.ones_like(uv.uv[:, :1])], dim=1)
        self._fragments = rasterizer(flat[None].contiguous(), uv.uv_triangles, UV_SIDE, UV_SIDE)
        self._triangles = uv.triangles

    def __call__(self, values: Tensor) -> Tensor:
        """(B, V, C) -> (B, C, 256, 256)."""
        one = self._fragments
        many = Fragments(*(part.expand(len(values), *part.shape[1:]) for part in _parts(one)))
        return interpolate(many, values, self._triangles)


def _parts(fragments: Fragments) -> tuple[Tensor, Tensor, Tensor]:
    return fragments.face, fragments.barycentric, fragments.depth


def detail_normals(displacement: Tensor, positions: Tensor, normals: Tensor, maps: DetailMaps) -> Tensor:
    """The normals of the displaced surface on face and eyes, the coarse ones elsewhere.

    Args:
        displacement: (B, 1, 256, 256) metres along the normal.
        positions: (B, 3, 256, 256) metres, of the coarse surface.
        normals: (B, 3, 256, 256) likewise.
        maps: mask and constant displacement.

    Returns:
        (B, 3, 256, 256), about unit length.
    """
    raised = positions + (displacement * maps.mask + maps.displacement) * normals
    return grid_normals(raised) * maps.mask + normals * (1 - maps.mask)


def grid_normals(surface: Tensor) -> Tensor:
    """(B, 3, H, W) points of a surface over its map -> (B, 3, H, W) unit normals, 0 where the border has none.

    Two triangles a square of texels, cut from top right to bottom left; a normal is the area-weighted mean around.
    """
    corners = surface[..., :-1, :-1], surface[..., :-1, 1:], surface[..., 1:, :-1], surface[..., 1:, 1:]
    top_left, top_right, bottom_left, bottom_right = corners
    first = torch.linalg.cross(bottom_left - top_left, top_right - top_left, dim=1)
    second = torch.linalg.cross(bottom_left - top_right, bottom_right - top_right, dim=1)
    inside = torch.zeros_like(first[:, :1])
    inside[..., _MARGIN_Y : inside.shape[-2] - _MARGIN_Y, _MARGIN_X : inside.shape[-1] - _MARGIN_X] = 1
    first, second = first * inside, second * inside
    total = torch.zeros_like(surface)
    total[..., :-1, :-1] += first
    total[..., :-1, 1:] += first + second
    total[..., 1:, :-1] += first + second
    total[..., 1:, 1:] += second
    return F.normalize(total, dim=1, eps=1e-6)
