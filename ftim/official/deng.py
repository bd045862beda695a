"""Deng et al. 2019 (Deep3DFaceRecon_pytorch) with its official weights, drawn into our crops."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import torch
from torch import Tensor

from ftim.official.bfm import BfmFront, load_bfm
from ftim.official.crops import INPUT_SIDE, InnerCrop, check_landmarks, deng_crop
from ftim.official.files import BFM_FRONT, DENG_MODEL, require
from ftim.official.layout import load_strict, read_checkpoint
from ftim.official.mesh import laid_over
from ftim.official.networks import DENG_HEADS, DengEncoder
from ftim.render.interpolate import interpolate
from ftim.render.rasterizer import Rasterizer
from ftim.structures import Batched, Camera, Face, Rendering

FOCAL = 1015.0
"""Pixels of the 224-pixel input."""
DISTANCE = 10.0
"""Decimetres from the camera to the origin of the face."""
AMBIENT = 0.8
"""What is added to the first harmonic of each channel."""


@dataclass(frozen=True)
class DengCode(Batched):
    """The 257 numbers of the network."""

    identity: Tensor
    """(B, 80)."""
    expression: Tensor
    """(B, 64)."""
    texture: Tensor
    """(B, 80)."""
    angles: Tensor
    """(B, 3) radians about x, y and z, applied in this order."""
    light: Tensor
    """(B, 9, 3), without the ambient part."""
    translation: Tensor
    """(B, 3) decimetres."""

    @classmethod
    def split(cls, numbers: Tensor) -> DengCode:
        """(B, 257) in the network's order -> its parts. The light comes channel by channel."""
        identity, expression, texture, angles, light, plane, depth = numbers.split(DENG_HEADS, dim=1)
        translation = torch.cat([plane, depth], dim=1)
        return cls(identity, expression, texture, angles, light.unflatten(1, (3, 9)).transpose(1, 2), translation)


class Deng:
    """Photograph in, rendering out; encoder, face model, camera and light are the official ones."""

    def __init__(self, encoder: DengEncoder, model: BfmFront, rasterizer: Rasterizer) -> None:
        """All on one device."""
        self.encoder = encoder
        self.model = model
        self.rasterizer = rasterizer

    @classmethod
    def load(
        cls, rasterizer: Rasterizer, folder: str | os.PathLike[str] | None = None, device: torch.device | str = "cpu"
    ) -> Deng:
        """From the official files; ``folder`` defaults to FTIM_OFFICIAL.

        Raises ``OfficialFilesMissingError`` or ``OfficialLayoutError``.
        """
        paths = require("deng", folder)
        with torch.device("meta"):
            encoder = DengEncoder()
        state = read_checkpoint(paths[DENG_MODEL], ("net_recon",))["net_recon"]
        load_strict(encoder, state, paths[DENG_MODEL], "net_recon")
        return cls(encoder.to(device), load_bfm(paths[BFM_FRONT]).to(device), rasterizer)

    @torch.no_grad()
    def code(self, face: Face) -> tuple[DengCode, InnerCrop]:
        """What the network sees in each face, and where its input lies in the crop."""
        check_landmarks(face)
        crop = deng_crop(face)
        return DengCode.split(self.encoder(crop.cut(face))), crop

    def place(self, code: DengCode, crop: InnerCrop, side: int) -> tuple[Tensor, Tensor]:
        """(B, V, 3) positions in our crop (x and y in pixels, depth in metres), and (B, V, 3) turned normals."""
        shape = self.model.vertices(code.identity, code.expression)
        turn = rotation(code.angles)
        vertices = shape @ turn.mT + code.translation[:, None]
        vertices = vertices - vertices.new_tensor([0, 0, DISTANCE])
        focal = torch.full_like(crop.scale, FOCAL)
        camera = crop.outer_camera(
            Camera(focal, torch.full_like(crop.shift, INPUT_SIDE / 2), INPUT_SIDE, INPUT_SIDE), side
        )
        return camera.project(vertices / 10), self.model.normals(shape) @ turn.mT

    @torch.no_grad()
    def reconstruct(self, face: Face) -> Rendering:
        """The reconstructed face over each crop."""
        code, crop = self.code(face)
        side = face.image.shape[-1]
        positions, normals = self.place(code, crop, side)
        color = self.model.albedo(code.texture) * shading(normals, code.light)
        fragments = self.rasterizer(positions.contiguous(), self.model.triangles, side, side)
        picture = interpolate(fragments, color, self.model.triangles)
        return laid_over(picture, fragments.covered[:, None].to(picture.dtype), face)


def rotation(angles: Tensor) -> Tensor:
    """(B, 3) radians -> (B, 3, 3): about x first, then y, then z, each counter-clockwise seen against its axis."""
    (cx, cy, cz), (sx, sy, sz) = angles.cos().unbind(1), angles.sin().unbind(1)
    one, zero = torch.ones_like(cx), torch.zeros_like(cx)
    about_x = torch.stack([one, zero, zero, zero, cx, -sx, zero, sx, cx], 1).view(-1, 3, 3)
    about_y = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], 1).view(-1, 3, 3)
    about_z = torch.stack([cz, -sz, zero, sz, cz, zero, zero, zero, one], 1).view(-1, 3, 3)
    return about_z @ about_y @ about_x


def shading(normals: Tensor, light: Tensor) -> Tensor:
    """(B, N, 3) unit normals, (B, 9, 3) light -> (B, N, 3) factor on the albedo.

    Real harmonics in Deng's order and signs. He weights their three degrees by pi, 2 pi / sqrt(3) and 2 pi / sqrt(8),
    not by the pi, 2 pi / 3 and pi / 4 of the half-cosine kernel (Ramamoorthi and Hanrahan 2001); his network's light
    is in these units.
    """
    x, y, z = normals.unbind(-1)
    constant = math.pi * math.sqrt(1 / (4 * math.pi))
    linear = 2 * math.pi / math.sqrt(3) * math.sqrt(3 / (4 * math.pi))
    curved = 2 * math.pi / math.sqrt(8) * 3 * math.sqrt(5 / (12 * math.pi))
    basis = torch.stack(
        [
            torch.full_like(x, constant),
            -linear * y,
            linear * z,
            -linear * x,
            curved * x * y,
            -curved * y * z,
            curved * (3 * z * z - 1) / math.sqrt(12),
            -curved * x * z,
            curved * (x * x - y * y) / 2,
        ],
        dim=-1,
    )
    ambient = torch.zeros_like(light)
    ambient[:, 0] = AMBIENT
    return basis @ (light + ambient)
