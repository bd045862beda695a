"""Terms of the baselines' losses that FTIM does not have; each with the equation that it follows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ATTENTION_SPREAD = 0.06
"""Chroma difference from the face's own median at which a pixel counts as skin by e^(-1/2)."""


def skin_attention(photo: Tensor, mask: Tensor) -> Tensor:
    """(B, 1, H, W) in [0, 1]: how much each pixel of the mask counts (Deng et al. 2019, 3.2).

    Deng's attention is 1 where a naive Bayes classifier finds skin with a probability above one half, and that
    probability elsewhere. Here skin is what has the chroma of the face's median.

    Args:
        photo: (B, 3, H, W) in [0, 1].
        mask: (B, 1, H, W) in [0, 1], the drawn face.
    """
    with torch.no_grad():
        chroma = photo / photo.sum(1, keepdim=True).clamp_min(0.05)
        inside = torch.where(mask > 0.5, chroma, torch.nan).flatten(2)
        middle = torch.nan_to_num(inside.nanmedian(2).values, nan=1 / 3)[:, :, None, None]
        distance = (chroma - middle).square().sum(1, keepdim=True)
        probability = torch.exp(-distance / (2 * ATTENTION_SPREAD**2))
        return torch.where(probability > 0.5, 1, probability) * mask


def attended_distance(rendered: Tensor, photo: Tensor, attention: Tensor) -> Tensor:
    """(B,): Euclidean distance of colours, averaged with the attention (Deng et al. 2019, eq. 1)."""
    distance = (rendered - photo).square().sum(1, keepdim=True).add(1e-8).sqrt()
    return (attention * distance).sum((1, 2, 3)) / attention.sum((1, 2, 3)).clamp_min(1)


def flattening(albedo: Tensor, texels: Tensor) -> Tensor:
    """(B,): variance of each colour over the skin, so that light does not go into the albedo (Deng et al. 2019, eq. 5).

    ``albedo`` (B, 3, T, T), ``texels`` (N,) int64: the map's texels of facial skin.
    """
    return albedo.flatten(2)[:, :, texels].var(2, correction=0).sum(1)


def one_colour(light: Tensor) -> Tensor:
    """(B,): how far the light (B, 9, 3) is from white: spread of its channels (Deng's published code, gamma loss)."""
    return (light - light.mean(2, keepdim=True)).square().mean((1, 2))


def constancy(albedo: Tensor, color: Tensor, seen: Tensor, sharpness: float = 15.0) -> Tensor:
    """(B,): neighbours of one chroma have one albedo (Tran et al. 2019, 3.2.3: w = exp(-15 |c - c'|), norm to 0.8).

    Args:
        albedo: (B, 3, T, T).
        color: (B, 3, T, T), what was photographed.
        seen: (B, 1, T, T), where; neighbours count when both were seen.
    """
    chroma = color / color.sum(1, keepdim=True).clamp_min(0.05)
    total = albedo.new_zeros(len(albedo))
    count = albedo.new_zeros(len(albedo))
    for axis in (2, 3):
        size = albedo.shape[axis] - 1
        first, second = (lambda x, a=axis, n=size: x.narrow(a, 0, n)), (lambda x, a=axis, n=size: x.narrow(a, 1, n))
        weight = torch.exp(-sharpness * (first(chroma) - second(chroma)).norm(dim=1, keepdim=True))
        weight = weight * first(seen) * second(seen)
        step = (first(albedo) - second(albedo)).square().sum(1, keepdim=True).add(1e-8).pow(0.4)
        total = total + (weight * step).sum((1, 2, 3))
        count = count + weight.sum((1, 2, 3))
    return total / count.clamp_min(1)


def asymmetry(values: Tensor) -> Tensor:
    """(B,): mean absolute difference of maps (B, C, T, T) from their mirror image."""
    return (values - values.flip(-1)).abs().mean((1, 2, 3))


def roughness(values: Tensor, scale: float) -> Tensor:
    """(B,): mean absolute change from texel to texel of maps (B, C, T, T), in units of ``scale``."""
    across = (values[..., 1:] - values[..., :-1]).abs().mean((1, 2, 3))
    down = (values[..., 1:, :] - values[..., :-1, :]).abs().mean((1, 2, 3))
    return (across + down) / scale


def uneven(offsets: Tensor, neighbours: Tensor) -> Tensor:
    """(B,) square metres x 1e6: Laplacian of offsets (B, V, 3); ``neighbours`` (2, E) int64, each edge both ways."""
    start, end = neighbours
    count = torch.bincount(start, minlength=offsets.shape[1]).clamp(min=1)
    mean = torch.zeros_like(offsets).index_add(1, start, offsets[:, end]) / count[:, None]
    return (1e6 * (offsets - mean).square()).sum(2).mean(1)


def coefficient_energy(coefficients: Tensor) -> Tensor:
    """(B,): mean square in units of sigma."""
    return F.mse_loss(coefficients, torch.zeros_like(coefficients), reduction="none").mean(1)
