"""The networks that the baselines share: photograph -> features, and features -> map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.retrained.appearance import Inputs
from ftim.completion.ftim import fit_parameters
from ftim.completion.network import PARAMETERS, SLOPE, ResidualBlock

FEATURES = 256
"""Numbers that the encoder says of a photograph."""
_WIDTHS = (24, 48, 96, 128)
_KEPT = 16
_LIGHT = 27
_EMBEDDING = 512
_CROP = 224


class PhotoEncoder(nn.Module):
    """A small convolutional encoder; FaceNet's embedding of the same photograph stands for a pretrained one.

    The peers start from networks that millions of faces trained. Convolutions learnt from a thousand photographs in
    minutes cannot do that work alone, so the frozen identity network's word, the fitted light, expression and pose are
    laid beside what they see.
    """

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = [nn.Conv2d(3, _WIDTHS[0], 4, 2, 1)]
        for before, width in zip(_WIDTHS, _WIDTHS[1:], strict=False):
            stages += [ResidualBlock(before, gated=False), nn.LeakyReLU(SLOPE), nn.Conv2d(before, width, 4, 2, 1)]
        self.convolutions = nn.Sequential(*stages, ResidualBlock(_WIDTHS[-1], gated=False), nn.LeakyReLU(SLOPE))
        self.reduce = nn.Conv2d(_WIDTHS[-1], _KEPT, 1)
        side = _CROP // 2 // 2 ** len(_WIDTHS)
        known = _EMBEDDING + _LIGHT + PARAMETERS
        self.join = nn.Sequential(
            nn.Linear(_KEPT * side * side + known, FEATURES), nn.LeakyReLU(SLOPE),
            nn.Linear(FEATURES, FEATURES), nn.LeakyReLU(SLOPE),
        )  # fmt: skip

    def forward(self, inputs: Inputs) -> Tensor:
        """(B, FEATURES)."""
        small = F.avg_pool2d(inputs.view.photo, 2) - 0.5
        seen = self.reduce(self.convolutions(small)).flatten(1)
        scaled = inputs.embedding * _EMBEDDING**0.5
        return self.join(
            torch.cat([seen, scaled, inputs.view.fit.light.flatten(1), fit_parameters(inputs.view.fit)], 1)
        )


class Head(nn.Linear):
    """Features -> numbers; all zero before something was learnt."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class MapDecoder(nn.Module):
    """Features -> a map: a small picture, doubled until it has its side; all zero before something was learnt."""

    def __init__(self, inputs: int, outputs: int, widths: tuple[int, ...], start: int = 8) -> None:
        """The map's side is ``start`` doubled once for each width but the first."""
        super().__init__()
        self.start = start
        self.first = nn.Linear(inputs, widths[0] * start * start)
        self.up = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in zip(widths, widths[1:], strict=False)])
        self.blocks = nn.ModuleList([ResidualBlock(width, gated=False) for width in widths[1:]])
        self.last = nn.Conv2d(widths[-1], outputs, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs, side, side)."""
        level = self.first(features).unflatten(1, (-1, self.start, self.start))
        level = level.contiguous(memory_format=torch.channels_last)
        for up, block in zip(self.up, self.blocks, strict=True):
            level = F.interpolate(F.leaky_relu(level, SLOPE), scale_factor=2, mode="bilinear", align_corners=False)
            level = block(up(level))
        return self.last(F.leaky_relu(level, SLOPE)).float()
