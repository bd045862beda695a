"""Makes completions and skin masks by name: the one place that knows which there are and what each needs."""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor

from ftim.completion import Completion, MeanCompletion, MirrorCompletion, TeleaCompletion
from ftim.skin import SkinMask, skin_mask
from ftim.uv import UvRenderer

SkinMaskName = Literal["embedded", "bisenet"]
COMPLETIONS: tuple[str, ...] = ("mean", "mirror", "telea")
"""Names that ``build_completion`` knows."""


def build_completion(name: str, uv_renderer: UvRenderer, template: Tensor) -> Completion:
    """A completion for the renderer's model; template is the (3, T, T) albedo at the renderer's side.

    Raises ValueError for a name that is not in ``COMPLETIONS``.
    """
    if name == "mean":
        return MeanCompletion(uv_renderer, template)
    if name == "mirror":
        return MirrorCompletion(uv_renderer.model, uv_renderer, template)
    if name == "telea":
        return TeleaCompletion(uv_renderer.model, uv_renderer, template)
    raise ValueError(f"there is no completion {name!r}; choose one of {', '.join(COMPLETIONS)}")


def build_skin_mask(name: SkinMaskName, device: str = "cpu") -> SkinMask:
    """A skin mask for faces on the device: ``embedded`` needs no file, ``bisenet`` weights for non-commercial use.

    Raises ``AssetError`` when these are absent, which says how to fetch them, and ValueError for another name.
    """
    if name == "embedded":
        return skin_mask
    if name == "bisenet":
        from ftim.skin.bisenet import bisenet_skin_mask, load_bisenet

        return partial(bisenet_skin_mask, load_bisenet(device=device))
    raise ValueError(f"there is no skin mask {name!r}; choose embedded or bisenet")
