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

    The result has the batch and side of the partial texture and no empty texel, neither in the charts nor in the gaps
    between them. See ``Texture`` for what texture, albedo and residual are to each other.
    """

    name: str
    """Short, lower case: how the benchmark and the command line call the method."""

    def __call__(self, partial: PartialTexture, fit: Fit) -> Texture: ...


def delight(color: Tensor, light: Tensor) -> Tensor:
    """(B, 3, T, T) lit colour and light -> (B, 3, T, T) albedo: the colour divided by the light, at least the floor."""
    return color / light.clamp_min(SHADING_FLOOR)


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
