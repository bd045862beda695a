"""DECA's coarse network: photograph -> the numbers of a FLAME head, its camera and its light."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ftim.official.crops import INPUT_SIDE, InnerCrop
from ftim.official.flame import Flame
from ftim.official.layout import load_strict, read_checkpoint
from ftim.official.networks import DETAIL_CODE, DecaEncoder, DetailDecoder
from ftim.structures import Batched

CODE_PARTS: tuple[int, ...] = (100, 50, 50, 3, 3, 3, 27)
"""Shape, texture, expression, turn of the head, turn of the jaw, camera, light: 236 numbers."""
DISTANCE = 10.0
"""Metres from which the rasteriser sees the head. The camera is orthographic, so only the order of depths matters."""


@dataclass(frozen=True)
class DecaCode(Batched):
    """The 236 numbers of the coarse network."""

    shape: Tensor
    """(B, 100)."""
    texture: Tensor
    """(B, 50)."""
    expression: Tensor
    """(B, 50)."""
    root: Tensor
    """(B, 3) axis times angle in radians."""
    jaw: Tensor
    """(B, 3) likewise."""
    camera: Tensor
    """(B, 3): scale (half inputs a metre), shift x and y in metres."""
    light: Tensor
    """(B, 9, 3)."""

    @classmethod
    def split(cls, numbers: Tensor) -> DecaCode:
        """(B, 236) in the network's order -> its parts. The light comes harmonic by harmonic."""
        shape, texture, expression, root, jaw, camera, light = numbers.split(CODE_PARTS, dim=1)
        return cls(shape, texture, expression, root, jaw, camera, light.unflatten(1, (9, 3)))

    def vertices(self, flame: Flame) -> Tensor:
        """(B, V, 3) metres: the turned head, not yet shifted."""
        return flame.vertices(self.shape, self.expression, self.root, self.jaw)

    def pixels_per_metre(self, crop: InnerCrop) -> Tensor:
        """(B,) in our crop."""
        return INPUT_SIDE / 2 * self.camera[:, 0] / crop.scale

    def project(self, vertices: Tensor, crop: InnerCrop) -> Tensor:
        """(B, V, 3) turned head -> (B, V, 3) in our crop: x and y in pixels, depth in metres.

        Scaled orthographic: in half inputs from the middle of the input, x = s (X + shift x), y = -s (Y + shift y).
        """
        middle = (INPUT_SIDE / 2 - crop.shift) / crop.scale[:, None]
        moved = vertices[..., :2] + self.camera[:, None, 1:]
        steps = self.pixels_per_metre(crop)[:, None, None] * moved * moved.new_tensor([1, -1])
        return torch.cat([middle[:, None] + steps, DISTANCE - vertices[..., 2:]], dim=-1)


@dataclass(frozen=True)
class DecaNetworks:
    """The three networks of ``deca_model.tar``, frozen."""

    coarse: DecaEncoder
    detail_encoder: DecaEncoder
    detail_decoder: DetailDecoder


def load_deca_networks(path: Path, device: torch.device | str = "cpu") -> DecaNetworks:
    """Read ``deca_model.tar``. Raises ``OfficialLayoutError``."""
    with torch.device("meta"):
        networks = DecaNetworks(DecaEncoder(sum(CODE_PARTS)), DecaEncoder(DETAIL_CODE), DetailDecoder())
    parts = {
        "E_flame": networks.coarse,
        "E_detail": networks.detail_encoder,
        "D_detail": networks.detail_decoder,
    }
    states = read_checkpoint(path, tuple(parts))
    for part, network in parts.items():
        load_strict(network, states[part], path, part)
        network.to(device)
    return networks
