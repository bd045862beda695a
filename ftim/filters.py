"""Blurring, enlarging and shrinking of maps: by OpenCV without gradients on a CPU, by PyTorch elsewhere."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.structures import learns

_BINOMIAL = np.array([0.25, 0.5, 0.25], np.float32)


def box_blur(image: Tensor, radius: int, passes: int = 2) -> Tensor:
    """(B, C, T, T) -> same: mean over (2 radius + 1)^2 neighbours, repeated; the border averages what exists.

    Without gradients on a CPU it takes the same few operations whatever the radius; elsewhere ``box_blur_by_product``.
    """
    if not _quick(image):
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


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W) -> (B, C, height, width), bilinear between the pixels' centres, as ``F.interpolate``."""
    if not _quick(image):
        return F.interpolate(image, (height, width), mode="bilinear", align_corners=False)
    return _each_plane(image, height, width, cv2.INTER_LINEAR)


def enlarge(image: Tensor, scale: int) -> Tensor:
    """(B, C, T, T) -> (B, C, scale T, scale T), bilinear."""
    return image if scale == 1 else resized(image, scale * image.shape[-2], scale * image.shape[-1])


def shrink(image: Tensor, scale: int) -> Tensor:
    """(B, C, T, T) -> (B, C, T / scale, T / scale): means."""
    if scale == 1:
        return image
    if not _quick(image) or image.shape[-2] % scale or image.shape[-1] % scale:
        return F.avg_pool2d(image, scale)
    return _each_plane(image, image.shape[-2] // scale, image.shape[-1] // scale, cv2.INTER_AREA)


def halve(image: Tensor) -> Tensor:
    """(B, C, T, T) -> (B, C, T / 2, T / 2): binomial (1 3 3 1) reduction with a repeated border."""
    if not _quick(image):
        line = torch.tensor([1.0, 3.0, 3.0, 1.0], device=image.device, dtype=image.dtype) / 8
        kernel = (line[:, None] * line).expand(image.shape[1], 1, 4, 4)
        padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, kernel, stride=2, groups=image.shape[1])
    # (1 3 3 1) / 8 is the mean of two neighbours of what (1 2 1) / 4 gives.
    planes = image.detach().flatten(0, 1).numpy()
    height, width = image.shape[-2] // 2, image.shape[-1] // 2
    results = np.empty((len(planes), height, width), np.float32)
    for plane, result in zip(planes, results, strict=True):
        smooth = cv2.sepFilter2D(plane, -1, _BINOMIAL, _BINOMIAL, borderType=cv2.BORDER_REPLICATE)
        cv2.resize(smooth, (width, height), dst=result, interpolation=cv2.INTER_AREA)
    return torch.from_numpy(results).view(*image.shape[:2], height, width)


def _quick(image: Tensor) -> bool:
    return image.device.type == "cpu" and image.dtype == torch.float32 and not learns(image)


def _each_plane(image: Tensor, height: int, width: int, how: int) -> Tensor:
    planes = image.detach().flatten(0, 1).numpy()
    results = np.empty((len(planes), height, width), np.float32)
    for plane, result in zip(planes, results, strict=True):
        cv2.resize(plane, (width, height), dst=result, interpolation=how)
    return torch.from_numpy(results).view(*image.shape[:2], height, width)
