"""Makes completions, skin masks and regressors by name: the one place that knows which there are and their needs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor

from ftim.completion import (
    Completion,
    FtimCompletion,
    MeanCompletion,
    MirrorCompletion,
    PaintingCompletion,
    TeleaCompletion,
)
from ftim.completion.network import TextureNetwork
from ftim.completion.settings import FtimSettings, Settings
from ftim.completion.weights import SHIPPED, load_weights, weights_path
from ftim.device import convolution_precision
from ftim.errors import SettingsError
from ftim.morphable import MorphableModel
from ftim.regressors.landmarks import LandmarkRegressor
from ftim.render.rasterizer import Rasterizer
from ftim.skin import SkinMask, skin_mask
from ftim.structures import Face, Fit
from ftim.uv import UvRenderer

SkinMaskName = Literal["embedded", "bisenet"]
RegressorName = Literal["landmarks", "deca"]
REFERENCES: tuple[str, ...] = ("mean", "mirror", "telea")
"""Completions without a network."""
COMPLETIONS: tuple[str, ...] = (*SHIPPED, *REFERENCES)
"""Names that ``build_completion`` knows: the shipped weights, best first, then the references."""
DEFAULT_COMPLETION = SHIPPED[0]


class Regressor(Protocol):
    """Fits the head to faces."""

    name: str

    def __call__(self, face: Face) -> Fit:
        """Fits of single photographs. The light is a first one, over all visible skin."""
        ...

    def fit_together(self, face: Face) -> Fit:
        """Fits of several photographs of one person: the identity is the same in every row."""
        ...

    def relight(self, face: Face, fit: Fit, skin: Tensor) -> Fit:
        """The fit with its light measured on ``skin`` (B, 1, S, S) in [0, 1] only."""
        ...


def build_completion(name: str, uv_renderer: UvRenderer, template: Tensor) -> Completion:
    """A completion for the renderer's model; template is the (3, T, T) albedo at the renderer's side.

    Raises ``SettingsError`` for a name that is not in ``COMPLETIONS``, ``ModelFileError`` when shipped weights are
    damaged.
    """
    if name in SHIPPED:
        return load_completion(weights_path(name), uv_renderer, template, name)
    if name == "mean":
        return MeanCompletion(uv_renderer, template)
    if name == "mirror":
        return MirrorCompletion(uv_renderer.model, uv_renderer, template)
    if name == "telea":
        return TeleaCompletion(uv_renderer.model, uv_renderer, template)
    raise SettingsError(f"there is no completion {name!r}; choose one of {', '.join(COMPLETIONS)}")


def load_completion(path: Path, uv_renderer: UvRenderer, template: Tensor, name: str = "ftim") -> Completion:
    """A network with weights of a file, such as your own training made. Raises ``ModelFileError``."""
    loaded = load_weights(path, template.device)
    network = loaded.network.to(convolution_precision(template.device))
    return network_completion(name, uv_renderer, template, network, loaded.settings)


def network_completion(
    name: str,
    uv_renderer: UvRenderer,
    template: Tensor,
    network: TextureNetwork,
    settings: Settings,
    precision: torch.dtype = torch.float32,
) -> FtimCompletion | PaintingCompletion:
    """The completion of the form that the settings are of; ``precision`` is that of its convolutions."""
    if isinstance(settings, FtimSettings):
        return FtimCompletion(name, uv_renderer, template, network, settings, precision)
    return PaintingCompletion(name, uv_renderer, template, network, settings, precision)


def build_skin_mask(name: SkinMaskName, device: str = "cpu") -> SkinMask:
    """A skin mask for faces on the device: ``embedded`` needs no file, ``bisenet`` weights for non-commercial use.

    Raises ``AssetError`` when these are absent, which says how to fetch them, and ``SettingsError`` for another name.
    """
    if name == "embedded":
        return skin_mask
    if name == "bisenet":
        from ftim.skin.bisenet import bisenet_skin_mask, load_bisenet

        return partial(bisenet_skin_mask, load_bisenet(device=device))
    raise SettingsError(f"there is no skin mask {name!r}; choose embedded or bisenet")


def build_regressor(
    name: RegressorName, model: MorphableModel, rasterizer: Rasterizer, template_albedo: Tensor
) -> Regressor:
    """A regressor for the model: ``landmarks`` needs no file, ``deca`` DECA's weights and FLAME, both licensed.

    Raises ``OfficialFileError`` when these are absent or wrong, and ``SettingsError`` for another name.
    """
    if name == "landmarks":
        return LandmarkRegressor(model, rasterizer, template_albedo)
    if name == "deca":
        from ftim.official.deca_regressor import DecaRegressor

        return DecaRegressor.load(model, rasterizer, template_albedo)
    raise SettingsError(f"there is no regressor {name!r}; choose landmarks or deca")
