"""Makes completions and skin masks by name: the one place that knows which there are and what each needs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from torch import Tensor

from ftim.completion import Completion, FtimCompletion, MeanCompletion, MirrorCompletion, TeleaCompletion
from ftim.completion.weights import SHIPPED, load_weights, weights_path
from ftim.skin import SkinMask, skin_mask
from ftim.uv import UvRenderer

SkinMaskName = Literal["embedded", "bisenet"]
REFERENCES: tuple[str, ...] = ("mean", "mirror", "telea")
"""Completions without a network."""
COMPLETIONS: tuple[str, ...] = (*SHIPPED, *REFERENCES)
"""Names that ``build_completion`` knows: the shipped weights, best first, then the references."""
DEFAULT_COMPLETION = SHIPPED[0]


def build_completion(name: str, uv_renderer: UvRenderer, template: Tensor) -> Completion:
    """A completion for the renderer's model; template is the (3, T, T) albedo at the renderer's side.

    Raises ValueError for a name that is not in ``COMPLETIONS``, ``ModelFileError`` when shipped weights are damaged.
    """
    if name in SHIPPED:
        return load_completion(weights_path(name), uv_renderer, template, name)
    if name == "mean":
        return MeanCompletion(uv_renderer, template)
    if name == "mirror":
        return MirrorCompletion(uv_renderer.model, uv_renderer, template)
    if name == "telea":
        return TeleaCompletion(uv_renderer.model, uv_renderer, template)
    raise ValueError(f"there is no completion {name!r}; choose one of {', '.join(COMPLETIONS)}")


def load_completion(path: Path, uv_renderer: UvRenderer, template: Tensor, name: str = "ftim") -> FtimCompletion:
    """FTIM with weights of a file, such as your own training made. Raises ``ModelFileError``."""
    loaded = load_weights(path, template.device)
    return FtimCompletion(name, uv_renderer, template, loaded.network, loaded.settings)


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
