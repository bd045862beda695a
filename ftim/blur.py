"""The box blur: means of neighbours, the same whatever lies around the map."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor


def box_blur(image: Tensor, radius: int, passes: int = 2) -> Tensor:
    """(B, C, T, T) -> same: mean over (2 radius + 1)^2 neighbours, repeated; the border averages what exists.

    Without gradients on a CPU it takes the same few operations whatever the radius; elsewhere ``box_blur_by_product``.
    """
    if image.device.type != "cpu" or image.dtype != torch.float32 or (torch.is_grad_enabled() and image.requires_grad):
        return box_blur_by_product(image, radius, passes)
    if radius == 0 or not image.numel():
        return image.detach().clone()
    side = 2 * radius + 1
    share = _neighbour_share(*image.shape[2:], radius)
    planes = image.detach().flatten(0, 1).numpy()
    blurred = np.empty(planes.shape, np.float32)
    for plane, result in zip(planes, blurred, strict=True):
        for _ in range(passes):
            summed = cv2.boxFilter(plane, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
            plane = np.multiply(summed, share, out=result)
    return torch.from_numpy(blurred).view(image.shape)


@lru_cache(maxsize=64)
def _neighbour_share(height: int, width: int, radius: int) -> np.ndarray:
    """(height, width) float32: one through the number of neighbours that lie in the map."""
    rows, columns = (
        np.minimum(np.arange(side), radius) + np.minimum(np.arange(side)[::-1], radius) + 1 for side in (height, width)
    )
    return (1 / (rows[:, None] * columns)).astype(np.float32)


def box_blur_by_product(image: Tensor, radius: int, passes: int = 2) -> Tensor:
    """``box_blur`` with gradients, on any device: the slow twin."""
    down, right = (_box_means(side, radius, passes).to(image) for side in image.shape[2:])
    return down @ image @ right.T


@lru_cache(maxsize=64)
def _box_means(side: int, radius: int, passes: int) -> Tensor:
    """(side, side): what each mean of a line takes from each texel. One product of matrices does all passes."""
    place = torch.arange(side)
    near = ((place[:, None] - place).abs() <= radius).double()
    return torch.linalg.matrix_power(near / near.sum(1, keepdim=True), passes).float()
