"""What a completion is: partial texture and fit in, complete texture out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from ftim.render.shading import SHADING_FLOOR
from ftim.structures import Fit, PartialTexture, Texture


class Completion(Protocol):
    """Fills what the camera did not see. FTIM and every method it is compared with are completions.

    The result has the batch and side of the partial texture, no empty texel (neither in the charts nor in
    the gaps between them), and ``texture == albedo * shading`` with the shading of the fit clamped below
    at ``SHADING_FLOOR``. Albedo is not clipped above 1, so that highlights survive.
    """

    name: str
    """Short, lower case: how the benchmark and the command line call the method."""
    own_view: bool
    """Whether the photograph's own view shows all seen skin as it was photographed (``OwnView``)."""

    def __call__(self, partial: PartialTexture, fit: Fit) -> Texture: ...


def delight(color: Tensor, shading: Tensor) -> Tensor:
    """(B, 3, T, T) lit colour and shading -> (B, 3, T, T) albedo: the colour divided by the clamped shading."""
    return color / shading.clamp_min(SHADING_FLOOR)


def relight(albedo: Tensor, shading: Tensor) -> Texture:
    """(B, 3, T, T) albedo and shading -> ``Texture``; the inverse of ``delight``."""
    return Texture(texture=albedo * shading.clamp_min(SHADING_FLOOR), albedo=albedo)


def check_sizes(partial: PartialTexture, fit: Fit, template: Tensor) -> None:
    """Raise ValueError unless the partial texture fits the template (3, T, T) and the fit's batch."""
    expected = (len(fit), *template.shape)
    if tuple(partial.color.shape) != expected:
        raise ValueError(f"partial texture {tuple(partial.color.shape)}, expected {expected} from fit and template")
    if not torch.isfinite(partial.color).all():
        raise ValueError("partial texture holds values that are not finite")


def picture_by_picture(
    complete: Callable[[PartialTexture, Fit], Texture], partial: PartialTexture, fit: Fit
) -> Texture:
    """Run ``complete`` on each picture of a batch by itself: maps of one picture fit into a CPU's cache.

    On other devices the batch goes through at once. Raises what ``complete`` raises.
    """
    if len(partial) <= 1 or partial.color.device.type != "cpu":
        return complete(partial, fit)
    return Texture.concatenate([complete(partial[i], fit[i]) for i in range(len(partial))])
