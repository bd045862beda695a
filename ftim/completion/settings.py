"""The forms of FTIM that can be trained: the paper's own, ours, and the ablation's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from ftim.completion.bands import BAND_RADII
from ftim.completion.network import NetworkSettings

Lighting = Literal["divide", "subtract"]


@dataclass(frozen=True)
class FtimSettings:
    """Which form of the module; stored beside its weights. ``ValueError`` for switches that exclude each other."""

    size: int = 256
    """Side of the maps that the network sees (paper: 256); a power of two."""
    template_input: bool = True
    """The template albedo is an input (paper)."""
    parameters: bool = True
    """Expression and pose are added to the latent (paper)."""
    symmetric_prior: bool = True
    """The network corrects the albedo that mirroring gives, and says how much of its detail to keep (ours)."""
    gated: bool = True
    """Gated convolutions (ours)."""
    keep_seen: bool = True
    """Seen skin is blended over the network's picture, pores and all (ours)."""
    lighting: Lighting = "divide"
    """How the light is taken out: subtract is the paper's, divide is exact for our Image Render (S6)."""
    widths: tuple[int, ...] = (32, 64, 128, 192, 256)
    """Channels of the network's levels."""
    correct_seen: bool = False
    """The network corrects the seen skin too: its smooth colours, and how much of each band of detail stays (S30)."""

    def __post_init__(self) -> None:
        if self.symmetric_prior and (self.lighting == "subtract" or not (self.template_input and self.keep_seen)):
            raise ValueError("the symmetric prior works on albedo: it needs division, the template and the seen skin")
        if self.correct_seen and not self.symmetric_prior:
            raise ValueError("seen skin is corrected as a layer of the symmetric prior")
        if self.lighting not in get_args(Lighting):
            raise ValueError(f"lighting must be one of {', '.join(get_args(Lighting))}, got {self.lighting!r}")
        if self.lighting == "subtract" and not self.template_input:
            raise ValueError("lighting removal by subtraction needs the template")
        if self.size & (self.size - 1) or self.size < 2 ** len(self.widths):
            raise ValueError(f"the side must be a power of two and hold {len(self.widths)} levels, got {self.size}")

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """From the dictionary that JSON makes of it. ``TypeError`` for an unknown name, ``KeyError`` without widths."""
        return cls(**values | {"widths": tuple(values["widths"])})

    @property
    def network(self) -> NetworkSettings:
        """Of the network that this form needs."""
        if self.symmetric_prior:
            gains, smooth = len(BAND_RADII) + 1, 3
            if self.correct_seen:
                gains, smooth = gains + len(BAND_RADII), 2 * smooth
            return NetworkSettings(14, gains, smooth, self.widths, self.gated, self.parameters)
        return NetworkSettings(7 if self.template_input else 4, 0, 0, self.widths, self.gated, self.parameters)


FULL = FtimSettings(correct_seen=True)
PAPER = FtimSettings(symmetric_prior=False, gated=False, keep_seen=False, lighting="subtract")
"""As Section 2.2 describes it."""
IMAGE_TO_IMAGE = FtimSettings(
    template_input=False, parameters=False, symmetric_prior=False, gated=False, keep_seen=True, lighting="divide"
)
"""The first row of Table 2: partial texture in, texture out; seen skin is kept as in ours (S21)."""
