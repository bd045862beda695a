"""DECA (Feng et al. 2021) with its official weights, coarse or with detail, drawn into our crops."""

from __future__ import annotations

import math
import os

import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.official.crops import check_landmarks, deca_crop
from ftim.official.deca_code import DecaCode, DecaNetworks, load_deca_networks
from ftim.official.deca_detail import DetailMaps, UvSurface, detail_normals, load_detail_maps
from ftim.official.files import (
    DECA_MODEL,
    FIXED_DISPLACEMENT,
    FLAME_MODEL,
    FLAME_TEXTURE,
    FLAME_UV,
    UV_MASK,
    require,
)
from ftim.official.flame import Flame, load_flame
from ftim.official.flame_texture import FlameTexture, FlameUv, load_flame_texture, load_flame_uv
from ftim.official.mesh import laid_over, vertex_normals
from ftim.render.interpolate import interpolate
from ftim.render.rasterizer import Rasterizer
from ftim.structures import Face, Rendering


class Deca:
    """Photograph in, rendering out; networks, head, texture, camera and light are the official ones."""

    def __init__(
        self,
        networks: DecaNetworks,
        flame: Flame,
        texture: FlameTexture,
        uv: FlameUv,
        maps: DetailMaps,
        rasterizer: Rasterizer,
    ) -> None:
        """All on one device."""
        self.networks = networks
        self.flame = flame
        self.texture = texture
        self.uv = uv
        self.maps = maps
        self.rasterizer = rasterizer
        self._surface = UvSurface(uv, rasterizer)

    @classmethod
    def load(
        cls, rasterizer: Rasterizer, folder: str | os.PathLike[str] | None = None, device: torch.device | str = "cpu"
    ) -> Deca:
        """From the official files; ``folder`` defaults to FTIM_OFFICIAL.

        Raises ``OfficialFilesMissingError`` or ``OfficialLayoutError``.
        """
        paths = require("deca", folder)
        flame = load_flame(paths[FLAME_MODEL])
        return cls(
            load_deca_networks(paths[DECA_MODEL], device),
            flame.to(device),
            load_flame_texture(paths[FLAME_TEXTURE]).to(device),
            load_flame_uv(paths[FLAME_UV], flame.triangles).to(device),
            load_detail_maps(paths[UV_MASK], paths[FIXED_DISPLACEMENT]).to(device),
            rasterizer,
        )

    @torch.no_grad()
    def reconstruct(self, face: Face, detail: bool = True) -> Rendering:
        """The reconstructed face over each crop; without detail the normals are those of the FLAME head.

        The whole head hides what is behind it; drawn is the part on which DECA has detail: face and eyes.
        """
        check_landmarks(face)
        crop = deca_crop(face)
        image = crop.cut(face)
        code = DecaCode.split(self.networks.coarse(image))
        vertices = code.vertices(self.flame)
        normals = vertex_normals(vertices, self.uv.triangles)
        albedo = self.texture.albedo(code.texture)
        side = face.image.shape[-1]
        fragments = self.rasterizer(code.project(vertices, crop).contiguous(), self.uv.triangles, side, side)
        uv = interpolate(fragments, self.uv.uv[None], self.uv.uv_triangles)
        if detail:
            maps = self._detail_normals(image, code, vertices, normals)
            picture = _bilinear(albedo * shading(maps, code.light), uv)
        else:
            seen = interpolate(fragments, normals, self.uv.triangles)
            picture = _bilinear(albedo, uv) * shading(seen, code.light)
        drawn = _bilinear(self.maps.mask.expand(len(face), 1, -1, -1), uv) > 0.5
        return laid_over(picture, (drawn & fragments.covered[:, None]).to(picture.dtype), face)

    def _detail_normals(self, image: Tensor, code: DecaCode, vertices: Tensor, normals: Tensor) -> Tensor:
        numbers = torch.cat([code.jaw, code.expression, self.networks.detail_encoder(image)], dim=1)
        displacement = self.networks.detail_decoder(numbers)
        return detail_normals(displacement, self._surface(vertices), self._surface(normals), self.maps)


def shading(normals: Tensor, light: Tensor) -> Tensor:
    """(B, 3, H, W) normals, (B, 9, 3) light -> (B, 3, H, W) factor on the albedo.

    Harmonics in the order 1, x, y, z, xy, xz, yz, x^2 - y^2, 3 z^2 - 1, weighted by 1, 2 pi / 3 and pi / 4 by degree.
    """
    x, y, z = normals.unbind(1)
    constant = math.sqrt(1 / (4 * math.pi))
    linear = 2 * math.pi / 3 * math.sqrt(3 / (4 * math.pi))
    curved = math.pi / 4 * math.sqrt(15 / (4 * math.pi))
    basis = torch.stack(
        [
            torch.full_like(x, constant),
            linear * x,
            linear * y,
            linear * z,
            curved * x * y,
            curved * x * z,
            curved * y * z,
            curved / 2 * (x * x - y * y),
            curved / math.sqrt(12) * (3 * z * z - 1),
        ],
        dim=1,
    )
    return torch.einsum("bkhw,bkc->bchw", basis, light)


def _bilinear(texture: Tensor, uv: Tensor) -> Tensor:
    """(B, C, T, T) looked up at (B, 2, H, W) in [0, 1] -> (B, C, H, W), as DECA's renderer does."""
    grid = uv.permute(0, 2, 3, 1) * 2 - 1
    return F.grid_sample(texture, grid, mode="bilinear", padding_mode="border", align_corners=False)
