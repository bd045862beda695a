"""What is measured of one predicted albedo, and over all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median, pstdev
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ftim.metrics import lpips_distance, psnr
from ftim.metrics.colour import (
    ITA_GROUPS,
    brightness_symmetry,
    ciede2000,
    degrees_of,
    linear_to_srgb,
    mean_skin,
    srgb_to_lab,
    srgb_to_linear,
    typology_group,
)

if TYPE_CHECKING:
    from lpips import LPIPS


@dataclass(frozen=True)
class AlbedoScores:
    """Of one photograph; None where there is nothing to measure."""

    tone: float
    """Median CIEDE2000 over the face."""
    tone76: float
    """The same as Euclidean distance in Lab (CIE 1976)."""
    plain: float
    """Median CIEDE2000 after the mean colours are made alike: one factor a channel, in linear light."""
    plain76: float
    seen: float | None
    """``plain``, where the photograph showed the skin to the fit."""
    unseen: float | None
    psnr: float
    """Of the map, mean colours alike."""
    lpips: float
    ita: float
    """Degrees between the typology angles of the mean skins."""
    group: int
    """Of the true skin, in ``ITA_GROUPS``."""
    symmetry: float
    """Brightness symmetry of the predicted map."""
    true_symmetry: float
    relit: float | None
    """PSNR of the head's other photograph, drawn with this albedo under its true light and geometry."""
    hidden: float | None
    """Share of the texels under things whose albedo is nearer to the truth than to the thing."""
    given_up: float | None
    """Share of seen skin that the method took for none; None for a method that does not tell."""
    untouched: float | None = None
    """Share of the pixels of hair and things before the face that the overlay leaves as they are."""
    drawn: float | None = None
    """Share of the face's visible skin that the overlay draws."""


def alike(albedo: Tensor, truth: Tensor, face: Tensor) -> Tensor:
    """(1, 3, T, T) the albedo with the truth's mean linear colour over the face (1, 1, T, T)."""
    factor = srgb_to_linear(mean_skin(truth, face)) / srgb_to_linear(mean_skin(albedo, face)).clamp_min(1e-4)
    return linear_to_srgb(srgb_to_linear(albedo) * factor[:, :, None, None])


def differences(albedo: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """(1, 3, T, T) sRGB pairs -> (T, T) CIEDE2000 and (T, T) distance in Lab."""
    one, other = (srgb_to_lab(value[0].permute(1, 2, 0)) for value in (albedo, truth))
    return ciede2000(one, other), (one - other).norm(dim=-1)


def map_scores(albedo: Tensor, truth: Tensor, face: Tensor, seen: Tensor, network: LPIPS) -> dict[str, float | None]:
    """The scores that need the two maps alone.

    Args:
        albedo, truth: (1, 3, T, T) sRGB in [0, 1]. face: (1, 1, T, T), 1 on facial skin. seen: (1, 1, T, T).
    """
    inside = face[0, 0] > 0
    shown = inside & (seen[0, 0] > 0.5)
    plain = alike(albedo, truth, face)
    with_tone, with_tone76 = differences(albedo, truth)
    without, without76 = differences(plain, truth)
    mine, theirs = degrees_of(albedo, face)[0], degrees_of(truth, face)[0]
    hidden = inside & ~shown
    return {
        "tone": float(with_tone[inside].median()), "tone76": float(with_tone76[inside].median()),
        "plain": float(without[inside].median()), "plain76": float(without76[inside].median()),
        "seen": float(without[shown].median()) if shown.any() else None,
        "unseen": float(without[hidden].median()) if hidden.sum() > 50 else None,
        "psnr": float(psnr(plain, truth, face)), "lpips": float(lpips_distance(network, plain, truth, face)),
        "ita": abs(mine - theirs), "group": typology_group(theirs),
        "symmetry": float(brightness_symmetry(albedo, face)), "true_symmetry": float(brightness_symmetry(truth, face)),
    }  # fmt: skip


def hidden_share(albedo: Tensor, truth: Tensor, thing: Tensor, where: Tensor, face: Tensor) -> float | None:
    """Share of the texels ``where`` (T, T) things hide the head, whose albedo is nearer to the truth than to the thing.

    The thing's colour (1, 3, T, T) is divided by the light as skin is; all are compared with mean colours alike.
    """
    if int(where.sum()) < 30:
        return None
    factor = srgb_to_linear(mean_skin(truth, face)) / srgb_to_linear(mean_skin(albedo, face)).clamp_min(1e-4)
    albedo, thing = (linear_to_srgb(srgb_to_linear(value) * factor[:, :, None, None]) for value in (albedo, thing))
    to_truth, to_thing = differences(albedo, truth)[0][where], differences(albedo, thing)[0][where]
    apart = differences(truth, thing)[0][where] > 2  # what looks like the skin beside it cannot be told, nor seen
    return float((to_truth < to_thing)[apart].float().mean()) if int(apart.sum()) >= 30 else None


def summarise(scores: dict[str, AlbedoScores], skins: dict[str, tuple[int, Tensor, Tensor]]) -> dict[str, float | None]:
    """Over all photographs.

    Args:
        skins: by photograph: its head, and the predicted albedo's mean skin (3,) and map (3, N, N), small.
    """
    values = list(scores.values())

    def over(name: str) -> list[float]:
        return [float(value) for item in values if (value := getattr(item, name)) is not None]

    result: dict[str, float | None] = {
        name: median(over(name)) if over(name) else None
        for name in ("tone", "tone76", "plain", "plain76", "seen", "unseen")
    }
    for name in ("psnr", "lpips", "symmetry", "true_symmetry", "relit", "hidden", "given_up", "untouched", "drawn"):
        result[name] = fmean(over(name)) if over(name) else None
    by_group = [[item.ita for item in values if item.group == group] for group in range(len(ITA_GROUPS))]
    means = [fmean(group) for group in by_group if group]
    result["ita"], result["ita_spread"] = fmean(means), pstdev(means)
    within: list[float] = []
    between: list[float] = []
    for (_, one), (_, other) in combinations(sorted(skins.items()), 2):
        distance = _apart(one[1:], other[1:])
        (within if one[0] == other[0] else between).append(distance)
    inside, across = median(within or [0.0]), median(between or [0.0])
    result["within"], result["between"] = inside, across
    result["within_between"] = inside / across if across > 1e-6 else None  # one skin for everybody has none
    return {name: None if value is None or math.isnan(value) else round(value, 5) for name, value in result.items()}


def _apart(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> float:
    """CIEDE2000 of two people's mean skins."""
    return float(ciede2000(srgb_to_lab(one[0]), srgb_to_lab(other[0])))


def small_face(albedo: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
    """Mean skin (3,) and a map (3, 32, 32) of a predicted albedo (1, 3, T, T)."""
    return mean_skin(albedo, face)[0], torch.nn.functional.adaptive_avg_pool2d(albedo * face, 32)[0]
