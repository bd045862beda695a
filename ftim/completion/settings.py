"""The networks that complete textures, and their forms: ours, and the painting ones of the paper and the ablation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ftim.completion.bands import BAND_RADII
from ftim.completion.network import NetworkSettings

Lighting = Literal["divide", "subtract"]
WIDTHS = (32, 64, 128, 192, 256)
"""Channels of the network's levels."""


def check_size(size: int, widths: tuple[int, ...]) -> None:
    """``ValueError`` unless the side is a power of two that can be halved for each level."""
    if size & (size - 1) or size < 2 ** len(widths):
        raise ValueError(f"the side must be a power of two and hold {len(widths)} levels, got {size}")


@dataclass(frozen=True)
class FtimSettings:
    """FTIM as it is here: the network corrects what mirroring gives, and says what light the fit does not hold."""

    size: int = 256
    """Side of the maps that the network sees (paper: 256); a power of two."""
    widths: tuple[int, ...] = WIDTHS
    visibility: bool = True
    """The network says what of the seen is no skin, and light at a quarter of its side, as rendered heads teach. False
    is the form before them: only what was seen with uncertainty may be given up."""

    def __post_init__(self) -> None:
        check_size(self.size, self.widths)

    @property
    def network(self) -> NetworkSettings:
        """Of the network that this form needs: gains of all bands of detail but the finest, and one for distrust."""
        quarter = 3 if self.visibility else 0
        return NetworkSettings(14, len(BAND_RADII), 6, quarter, self.widths, gated=True, parameters=True)


@dataclass(frozen=True)
class PaintingSettings:
    """The network paints the whole texture. ``ValueError`` for an unknown lighting or a wrong side."""

    size: int = 256
    """As ``FtimSettings.size``."""
    template_input: bool = True
    """The template albedo is an input (paper)."""
    parameters: bool = True
    """Expression and pose are added to the latent (paper)."""
    keep_seen: bool = False
    """Seen skin is laid over the painted texture, before the light is taken out."""
    lighting: Lighting = "subtract"
    """How the light is taken out: subtract is the paper's, divide is exact for our Image Render (S6)."""
    widths: tuple[int, ...] = WIDTHS

    def __post_init__(self) -> None:
        check_size(self.size, self.widths)
        if self.lighting not in get_args(Lighting):
            raise ValueError(f"lighting must be one of {', '.join(get_args(Lighting))}, got {self.lighting!r}")

    @property
    def network(self) -> NetworkSettings:
        """Of the network that this form needs."""
        return NetworkSettings(7 if self.template_input else 4, 0, 0, 0, self.widths, False, self.parameters)


Settings = FtimSettings | PaintingSettings
FORMS: dict[str, type[FtimSettings] | type[PaintingSettings]] = {"ftim": FtimSettings, "painting": PaintingSettings}
"""By the name that files give them."""
FULL = FtimSettings()
PAPER = PaintingSettings()
"""As Section 2.2 describes it."""
IMAGE_TO_IMAGE = PaintingSettings(template_input=False, parameters=False, keep_seen=True)
"""The first row of Table 2: partial texture in, texture out; seen skin is kept as in ours (S21)."""


def settings_to_json(settings: Settings) -> dict[str, Any]:
    """JSON values, with the name of the form."""
    form = next(name for name, kind in FORMS.items() if isinstance(settings, kind))
    return {"form": form} | dataclasses.asdict(settings)


def settings_from_json(values: dict[str, Any]) -> Settings:
    """The inverse. ``TypeError`` for an unknown name, ``KeyError`` for an unknown form or without widths."""
    rest = {name: value for name, value in values.items() if name != "form"}
    if values["form"] == "ftim":
        rest.setdefault("visibility", False)
    return FORMS[values["form"]](**rest | {"widths": tuple(values["widths"])})
