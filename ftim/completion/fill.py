"""Filling in UV space without seams: push-pull membranes, smooth colour transfer, feathered layers.

Everything here commutes with the mirror image of the atlas (reversing the last axis).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.filters import box_blur, enlarge, halve, resized, shrink
from ftim.morphable.model import INSIDE_MOUTH, MorphableModel, Region
from ftim.render.atlas import Atlas
from ftim.uv import UvRenderer

LOG_FLOOR = 0.02
"""Albedo is not taken to be darker than this when colours are compared by their logarithms."""


def region_atlas(model: MorphableModel, atlas: Atlas) -> Tensor:
    """(T, T) int64: the ``Region`` of each texel of the charts and their gutters; -1 in the gaps between."""
    regions = model.regions.new_full((atlas.size * atlas.size,), -1)
    regions[atlas.texel] = model.regions[atlas.face]
    return regions.view(atlas.size, atlas.size)


def region_groups(atlas: Tensor) -> Tensor:
    """(T, T) regions -> (3, T, T) masks of skin, eyes and mouth interior: one complexion each. Gaps belong to none."""
    eyes = atlas == int(Region.EYES)
    mouth = torch.isin(atlas, torch.tensor(INSIDE_MOUTH, device=atlas.device))
    return torch.stack([(atlas >= 0) & ~eyes & ~mouth, eyes, mouth]).float()


def bare_skin(uv_renderer: UvRenderer, fade: float = 1 / 32) -> Tensor:
    """(1, T, T) in [0, 1]: 1 on the face, falling to 0 beyond its end and where hair grows on most people.

    By the region, and the place on the mean head in outer eye distances, 0 between the eyes. ``fade`` is a share of the
    side.
    """
    model, atlas = uv_renderer.model, uv_renderer.atlas
    regions = region_atlas(model, atlas)
    skin = region_groups(regions)[:1]
    face = (regions == int(Region.FACE)).to(skin)[None]
    radius = round(fade * atlas.size)
    share = box_blur(face[None], radius, 1)[0] / box_blur(skin[None], radius, 1)[0].clamp_min(1e-6)
    x, y, _ = atlas.image(atlas.spread(model.place[None]))[0].unbind(0)
    crown = (y - 0.45) / 0.3
    temples = torch.minimum((x.abs() - 0.5) / 0.2, y / 0.2)
    hair = smoothstep(torch.maximum(crown, temples))[None]
    return skin * torch.maximum(face, smoothstep(2 * share)) * (1 - hair)


def smoothstep(value: Tensor) -> Tensor:
    """0 below 0, 1 above 1, and 3x^2 - 2x^3 between."""
    value = value.clamp(0, 1)
    return value * value * (3 - 2 * value)


def push_pull(values: Tensor, weights: Tensor, prior: Tensor | float = 0.0, prior_weight: float = 1e-6) -> Tensor:
    """Extend values smoothly from where they are known to everywhere: a membrane by pyramid.

    Gortler et al. 1996, "The Lumigraph", section 3.4: pull averages the known values down a pyramid, push
    fills the unknown ones of each level from the level below.

    Args:
        values: (B, C, T, T), T a power of two.
        weights: (B, 1, T, T) in [0, 1]; where it is 1 the result equals ``values``.
        prior: (B, C, 1, 1) or a number to which the result tends far away.
        prior_weight: how strongly: the known weight (as a share of the map) that balances the prior.

    Returns:
        (B, C, T, T).
    """
    sums = [values * weights]
    totals = [weights]
    levels = [(values, weights)]
    while sums[-1].shape[-1] > 1:
        if sums[-1].shape[-1] % 2:
            raise ValueError(f"push_pull needs a side that is a power of two, got {values.shape[-1]}")
        sums.append(halve(sums[-1]))
        totals.append(halve(totals[-1]))
        saturated = 1 - (1 - totals[-1].clamp(0, 1)) ** 4
        levels.append((sums[-1] / totals[-1].clamp_min(1e-12), saturated))
    result = (sums[-1] + prior_weight * prior) / (totals[-1] + prior_weight)
    for level_values, level_weights in reversed(levels):
        if level_values.shape[-1] != result.shape[-1]:
            result = enlarge(result, 2)
        result = level_weights * level_values + (1 - level_weights) * result
    return result


def smooth_ratio(
    target: Tensor, source: Tensor, weights: Tensor, groups: Tensor, prior_weight: float = 3e-3, detail: int = 8
) -> Tensor:
    """The smooth factor that turns the colours of ``source`` into those of ``target``, known where weights are.

    Each complexion (skin, eyes, mouth interior) is compared with itself alone, so that dark skin does not
    darken the teeth.

    Args:
        target, source: (B, 3, T, T) albedo.
        weights: (B, 1, T, T) in [0, 1]: where the two may be compared.
        groups: (G, T, T) masks from ``region_groups``.
        prior_weight: see ``push_pull``. The prior is the mean ratio of skin, and 1 for the other groups.
        detail: the factor varies no faster than over about this many texels, so pores are not transferred.

    Returns:
        (B, 3, T, T) positive factors; 1 where a group was not seen at all, and in the gaps.
    """
    batch, channels, size, _ = target.shape
    log_ratio = target.clamp_min(LOG_FLOOR).log() - source.clamp_min(LOG_FLOOR).log()
    # Every complexion of every picture is a picture of its own: (B * G, ..., T / detail, T / detail).
    known = (weights * groups).flatten(0, 1)[:, None]
    amount = shrink(known, detail)
    total = (log_ratio[:, None] * weights[:, None] * groups[:, None]).flatten(0, 1)
    total = shrink(total, detail)
    near = box_blur(amount, 1)
    coarse = box_blur(total, 1) / near.clamp_min(1e-6)
    skin = torch.zeros(len(groups), device=target.device).index_fill(0, torch.tensor([0], device=target.device), 1.0)
    mean = total.sum((2, 3), keepdim=True) / amount.sum((2, 3), keepdim=True).clamp_min(1e-3)
    prior = mean * skin.repeat(batch)[:, None, None, None]
    extended = push_pull(coarse, smoothstep(2 * near), prior, prior_weight)
    # Twice as fine and smoothed before the last enlargement, whose straight pieces are then too small to see.
    finer = box_blur(enlarge(extended, 2), 1)
    field = resized(finer, size, size)
    return (field.view(batch, len(groups), channels, size, size) * groups[:, None]).sum(1).exp()


def feather(weight: Tensor, groups: Tensor, radius: int, inner_radius: int = 1) -> Tensor:
    """How much of a layer shows: its weight, faded to 0 over some texels before it ends inside a chart.

    The rim of a chart is no end: there the neighbouring texel is a gap, not something hidden. Of the eyes little is
    ever seen, so they fade over ``inner_radius`` only; what is seen of teeth and tongue is too thin to fade at all.

    Args:
        weight: (B, 1, T, T) in [0, 1].
        groups: (3, T, T) from ``region_groups``.
        radius: texels, for skin.

    Returns:
        (B, 1, T, T) in [0, 1], 0 in the gaps.
    """
    inside = groups.sum(0).expand_as(weight)
    seen = (weight > 0.05).to(weight) * inside
    shown = torch.zeros_like(weight)
    for mask, reach in ((groups[0], radius), (groups[1], inner_radius), (groups[2], 0)):
        share = box_blur(seen, reach, 1) / box_blur(inside, reach, 1).clamp_min(1e-6)
        shown = shown + mask * smoothstep(2 * share - 1)
    return smoothstep(weight) * shown


def close_gaps(image: Tensor, atlas: Tensor) -> Tensor:
    """(B, C, T, T) with the gaps between charts filled from the charts: no texel is empty, filtering is safe."""
    inside = (atlas >= 0).to(image).expand(len(image), 1, -1, -1)
    return torch.where(inside > 0, image, push_pull(image, inside))


def over(layers: list[tuple[Tensor, Tensor]], ground: Tensor) -> Tensor:
    """Blend (image, alpha) layers, the first on top, over a complete ground."""
    for image, alpha in reversed(layers):
        ground = alpha * image + (1 - alpha) * ground
    return ground
