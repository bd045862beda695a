"""From the mean of what was seen to a template without an empty texel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ftim.completion.fill import push_pull, region_atlas, smoothstep
from ftim.filters import box_blur
from ftim.morphable.model import MorphableModel, Region
from ftim.morphable.template import MEAN_SKIN_ALBEDO
from ftim.uv import UvRenderer

SOCKET = (0.42, 0.27, 0.24)
TEETH = (0.72, 0.66, 0.57)
TONGUE = (0.56, 0.33, 0.31)
MOUTH = (0.38, 0.20, 0.18)
"""Plausible sRGB of parts that photographs hardly show."""

BODY = (Region.FACE, Region.EARS, Region.SCALP, Region.NECK)
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Texels:
    """What the filling knows of the atlas."""

    regions: Tensor
    """(T, T) ``Region``, -1 in the gaps."""
    place: Tensor
    """(3, T, T) position on the template from the middle between the eyes, in outer eye distances."""
    part: Tensor
    """(T, T) a number for each connected part of the mesh."""


def texels(model: MorphableModel, uv: UvRenderer) -> Texels:
    """The atlas of a model."""
    place = model.place
    label = torch.arange(len(place))
    while True:
        lowest = label[model.triangles].amin(1, keepdim=True).expand(-1, 3).flatten()
        joined = label.scatter_reduce(0, model.triangles.flatten(), lowest, "amin")
        if torch.equal(joined, label):
            break
        label = joined
    part = torch.full((uv.size * uv.size,), -1)
    part[uv.atlas.texel] = label[uv.atlas.corners[:, 0]]
    place_map = uv.atlas.image(uv.atlas.spread(place[None]))[0]
    return Texels(region_atlas(model, uv.atlas), place_map, part.view(uv.size, uv.size))


def complete(mean: Tensor, weight: Tensor, atlas: Texels) -> Tensor:
    """The finished template.

    Args:
        mean: (3, T, T) symmetric mean albedo.
        weight: (1, T, T) in how many people it was seen.
        atlas: of the same T.

    Returns:
        (3, T, T) with the mean of the face at ``MEAN_SKIN_ALBEDO``.
    """
    regions = atlas.regions
    trust = skin_trust(mean, weight, atlas)
    mean = mean * skin_scale(mean, trust, atlas)
    result = skin(mean, trust, atlas)
    for region, colour in ((Region.TEETH, TEETH), (Region.TONGUE, TONGUE), (Region.MOUTH, MOUTH)):
        result = torch.where(regions == region, torch.tensor(colour)[:, None, None], result)
    result = eyes(result, mean, weight, atlas)
    inside = (regions >= 0)[None].float()
    result = torch.where(inside > 0, result, push_pull(result[None], inside[None])[0])
    # Rounding of sums over the whole map is not the same from the left as from the right.
    result = (result + result.flip(-1)) / 2
    return result.clamp(1 / 255, 1)


def skin(mean: Tensor, trust: Tensor, atlas: Texels) -> Tensor:
    """(3, T, T): skin as seen where that is sure, continued as a membrane that tends to the mean elsewhere."""
    filled = push_pull(mean[None], trust[None], torch.tensor(MEAN_SKIN_ALBEDO)[:, None, None], 3e-2)[0]
    return evened(filled, atlas)


def evened(albedo: Tensor, atlas: Texels) -> Tensor:
    """(3, T, T) skin that tends from that of the inner face to one colour towards ears, neck and scalp.

    There few views agree, hair throws shadows, and the fitted light is extrapolated.
    """
    x, y = atlas.place[0].abs(), atlas.place[1]
    body = torch.isin(atlas.regions, torch.tensor(BODY))
    inner = (x < 0.5) & (y > -1.0) & (y < 0.6)
    plain = (body & inner & ~((x < 0.62) & (y > -0.2) & (y < 0.4)) & ~((x < 0.4) & (y < -0.4)))[None].float()
    colour = (albedo * plain).sum((1, 2), keepdim=True) / plain.sum()
    outside = torch.stack([(x - 0.45) / 0.35, (y - 0.5) / 0.3, (-1.0 - y) / 0.3]).amax(0)
    share = smoothstep(outside)[None] * body
    mask = body[None].float()
    broad = (box_blur((albedo * mask)[None], 10) / box_blur(mask[None], 10).clamp_min(1e-3))[0]
    even = albedo * (colour / broad.clamp_min(0.05)) ** share
    # Of the detail out there only that of the ears is more than the edge of somebody's hair.
    ears = box_blur((atlas.regions == Region.EARS)[None, None].float(), 4)[0]
    return even + share * (1 - 0.5 * ears) * (colour - even)


def skin_scale(mean: Tensor, trust: Tensor, atlas: Texels) -> Tensor:
    """(3, 1, 1): what the mean must be multiplied by so that the finished face averages ``MEAN_SKIN_ALBEDO``."""
    face = (atlas.regions == Region.FACE)[None].float()
    target = torch.tensor(MEAN_SKIN_ALBEDO)[:, None, None]
    scale = torch.ones_like(target)
    for _ in range(8):
        scale = scale * target / ((skin(mean * scale, trust, atlas) * face).sum((1, 2), keepdim=True) / face.sum())
    return scale


def skin_trust(mean: Tensor, weight: Tensor, atlas: Texels) -> Tensor:
    """(1, T, T) in [0, 1]: skin that enough people showed, without the shade of hair that the mask let through."""
    body = torch.isin(atlas.regions, torch.tensor(BODY))
    x, y = atlas.place[0].abs(), atlas.place[1]
    # Nearly everybody shows the middle of the face, so what few show there is the edge of a lid or a lip; what few show
    # of the rest is an open scalp with its stubble, or the shade of the chin.
    needed = torch.where((x < 0.5) & (y < 0.5), 25.0, 12.0)[None]
    allowed = body[None].float()
    sure = smoothstep(weight / needed - 1)
    luma = (mean * torch.tensor(LUMA)[:, None, None]).sum(0, keepdim=True)
    brows = (x < 0.62) & (y > -0.2) & (y < 0.4)
    middle = ((atlas.regions == Region.FACE) & (brows | (x < 0.5) & (y < 0.5) & (y > -1)))[None].float()
    usual = (luma * middle).sum() / middle.sum()
    smooth = box_blur((luma * allowed)[None], 3)[0] / box_blur(allowed[None], 3)[0].clamp_min(1e-3)
    bright = smoothstep((smooth / usual - 0.86) / 0.1)
    trust = sure * allowed * torch.maximum(bright, middle)
    # Ragged edges of what was seen would show as edges of the filling.
    inner = box_blur(trust[None], 5)[0] / box_blur(allowed[None], 5)[0].clamp_min(1e-3)
    return trust * torch.maximum(smoothstep(2 * inner - 1), middle)


def eyes(result: Tensor, mean: Tensor, weight: Tensor, atlas: Texels) -> Tensor:
    """Round eyes: pupil, iris and sclera as a profile of the angle from the gaze; the socket behind in one colour.

    Lids and lashes hide most of an eyeball and shade its rim, so that only what many people showed is used.
    """
    region = (atlas.regions == Region.EYES)[None]
    result = torch.where(region, torch.tensor(SOCKET)[:, None, None], result)
    ball = _eyeballs(weight, atlas)
    one = atlas.place[:, ball & (atlas.place[0] > 0)]
    centre = 0.5 * (one.amax(1) + one.amin(1))
    offset = torch.stack([atlas.place[0].abs(), atlas.place[1], atlas.place[2]]) - centre[:, None, None]
    angle = torch.rad2deg(torch.acos((offset[2] / offset.norm(dim=0).clamp_min(1e-6)).clamp(-1, 1)))
    shown = ball & (weight[0] > 0.5 * weight[0][ball].max())
    luma = (mean * torch.tensor(LUMA)[:, None, None]).sum(0)
    profile = []
    for degree in range(46):
        ring = shown & ((angle - degree).abs() < 3)
        if ring.sum() < 2:
            break
        colours = mean[:, ring]
        # Of the sclera the brighter half: the rest lies in the shade of the lids.
        kept = luma[ring] >= luma[ring].median() if degree > 28 else torch.ones_like(luma[ring], dtype=torch.bool)
        profile.append(colours[:, kept].median(1).values)
    curve = torch.stack(profile, -1)
    sclera = curve[:, -8:].mean(-1, keepdim=True)
    curve = torch.cat([curve[:, :-4], sclera.expand(3, 200)], -1)
    curve = box_blur(curve[None, :, None].expand(1, 3, 3, -1), 1)[0, :, 0]
    position = angle.clamp(0, 180)
    low = position.floor().long()
    part = position - low
    colour = curve[:, low] * (1 - part) + curve[:, low + 1] * part
    return torch.where(ball, colour, result)


def _eyeballs(weight: Tensor, atlas: Texels) -> Tensor:
    """(T, T) bool: the texels of the two eyeballs, which are the connected parts of the eyes that were seen most."""
    chosen = torch.zeros_like(atlas.regions, dtype=torch.bool)
    for side in (atlas.place[0] > 0, atlas.place[0] < 0):
        mine = (atlas.regions == Region.EYES) & side
        parts = atlas.part[mine].unique()
        seen = torch.stack([weight[0][mine & (atlas.part == number)].sum() for number in parts])
        chosen |= mine & (atlas.part == parts[seen.argmax()])
    return chosen
