"""The network inside FTIM: encoder, parameters added to the latent, decoder (paper, Figure 2).

It knows neither files nor geometry. Four kinds of map leave the decoder, each at the scale that its meaning has: a
free picture at the full side, gains at half of it, a field at a quarter, and a smooth field at an eighth.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftim.filters import resized

PARAMETERS = 58
"""52 expression weights, and two columns of the head's rotation."""
SLOPE = 0.1
"""Of the leaky rectifier."""


@dataclass(frozen=True)
class NetworkSettings:
    """Shape of a ``TextureNetwork``; stored beside its weights."""

    inputs: int
    """Channels that go in."""
    gains: int = 0
    """Maps that come out of the decoder at half the side."""
    smooth: int = 0
    """Maps that come out at an eighth of the side."""
    quarter: int = 0
    """Maps that come out at a quarter of the side."""
    widths: tuple[int, ...] = (32, 64, 128, 192, 256)
    """Channels from half the side downwards, each level half as large as the one before."""
    gated: bool = True
    """Whether each convolution's result is multiplied by a gate that it learns, so that holes need not count."""
    parameters: bool = True
    """Whether expression and pose are added to the latent."""


@dataclass(frozen=True)
class Decoded:
    """What the decoder gives; activations are up to the caller."""

    free: Tensor
    """(B, 3, T, T)."""
    gains: Tensor
    """(B, gains, T, T), enlarged from half the side."""
    smooth: Tensor
    """(B, smooth, T, T), enlarged from an eighth of the side."""
    quarter: Tensor
    """(B, quarter, T, T), enlarged from a quarter of the side."""


class TextureNetwork(nn.Module):
    """Maps of a texture's known parts -> maps that complete it."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        widths = settings.widths
        if len(widths) < 3:
            raise ValueError(f"a network needs at least three levels, got {widths}")
        self.settings = settings
        self.stem = nn.Conv2d(4 * settings.inputs, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList([ResidualBlock(width, settings.gated) for width in widths])
        self.down = nn.ModuleList([nn.Conv2d(a, b, 4, 2, 1) for a, b in zip(widths, widths[1:], strict=False)])
        self.parameters_to_latent = nn.Linear(PARAMETERS, widths[-1]) if settings.parameters else None
        self.up = nn.ModuleList([nn.Conv2d(b, a, 1) for a, b in zip(widths, widths[1:], strict=False)])
        self.decoder = nn.ModuleList([ResidualBlock(width, settings.gated) for width in widths])
        self.to_free = nn.Conv2d(widths[0], 12, 3, padding=1)
        self.to_gains = nn.Conv2d(widths[0], settings.gains, 3, padding=1) if settings.gains else None
        self.to_smooth = nn.Conv2d(widths[2], settings.smooth, 3, padding=1) if settings.smooth else None
        self.to_quarter = nn.Conv2d(widths[1], settings.quarter, 3, padding=1) if settings.quarter else None
        for head in (self.to_free, self.to_gains, self.to_smooth, self.to_quarter, self.parameters_to_latent):
            if head is not None:  # nothing is changed, and no parameter counts, before something was learnt
                nn.init.zeros_(head.weight)
                nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def forward(self, maps: Tensor, parameters: Tensor) -> Decoded:
        """Args: ``maps`` (B, inputs, T, T), T a multiple of 2 to the number of levels; ``parameters`` (B, 58)."""
        side = maps.shape[-1]
        if maps.shape[1] != self.settings.inputs or side % 2 ** len(self.settings.widths):
            raise ValueError(
                f"expected (B, {self.settings.inputs}, T, T) with T a multiple of {2 ** len(self.settings.widths)}, "
                f"got {tuple(maps.shape)}"
            )
        if parameters.shape != (len(maps), PARAMETERS):
            raise ValueError(f"expected parameters ({len(maps)}, {PARAMETERS}), got {tuple(parameters.shape)}")
        precision = self.stem.weight.dtype
        maps, parameters = maps.to(precision), parameters.to(precision)
        maps = F.pixel_unshuffle(maps, 2).contiguous(memory_format=torch.channels_last)
        level = self.stem(maps)
        skips = []
        for index, block in enumerate(self.encoder):
            level = block(level)
            if index < len(self.down):
                skips.append(level)
                level = self.down[index](F.leaky_relu(level, SLOPE))
        if self.parameters_to_latent is not None:
            level = level + self.parameters_to_latent(parameters)[:, :, None, None]
        smooth = quarter = maps.new_zeros((len(maps), 0, side, side), dtype=torch.float32)
        for index in reversed(range(len(self.decoder))):
            level = self.decoder[index](level)
            if index == 2 and self.to_smooth is not None:
                field = self.to_smooth(F.leaky_relu(level, SLOPE)).float()
                smooth = resized(field, side, side)
            if index == 1 and self.to_quarter is not None:
                field = self.to_quarter(F.leaky_relu(level, SLOPE)).float()
                quarter = resized(field, side, side)
            if index:
                larger = F.interpolate(self.up[index - 1](level), scale_factor=2, mode="bilinear", align_corners=False)
                level = larger + skips[index - 1]
        level = F.leaky_relu(level, SLOPE)
        gains = maps.new_zeros((len(maps), 0, side, side), dtype=torch.float32)
        if self.to_gains is not None:
            field = self.to_gains(level).float()
            gains = resized(field, side, side)
        return Decoded(F.pixel_shuffle(self.to_free(level).float(), 2), gains, smooth, quarter)


class ResidualBlock(nn.Module):
    """x plus two convolutions of it; with a gate as in Yu et al. 2019, of 1 x 1, on the second."""

    def __init__(self, width: int, gated: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.gate = nn.Conv2d(width, width, 1) if gated else None
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.second.weight.mul_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> same."""
        inner = F.leaky_relu(self.first(F.leaky_relu(x, SLOPE)), SLOPE)
        change = self.second(inner)
        if self.gate is not None:
            change = change * torch.sigmoid(self.gate(inner))
        return x + change
