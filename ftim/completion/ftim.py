"""FTIM: completes what the camera saw (paper, 2.2), and tells the person's albedo from the photograph's light.

    photograph = albedo x shading x residual

Shading is that of the fit's nine harmonics. The residual, a smooth field, is the network's only word on skin that was
seen: such skin keeps all its detail. What the network takes for no skin is given up, and neither mirrored nor compared
with. docs/decisions.md, S24 to S30 and S38, says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ftim.completion.bands import finest_detail, shrink_seen, split_bands
from ftim.completion.base import check_sizes, delight
from ftim.completion.fill import bare_skin, region_atlas, region_groups
from ftim.completion.layers import AlbedoLayers, layers_one_by_one
from ftim.completion.network import Decoded, TextureNetwork
from ftim.completion.photographed import PhotographedTexture
from ftim.completion.settings import FtimSettings
from ftim.filters import enlarge, shrink
from ftim.morphable.model import INSIDE_MOUTH
from ftim.render.shading import SHADING_FLOOR
from ftim.structures import Fit, PartialTexture, Texture
from ftim.uv import UvRenderer

DARKEST = 0.02
"""Albedo: nothing that is made up is blacker."""
GAIN_OFFSETS = (1.0, 2.0)
"""Before the sigmoid: the share of the prior's detail, finer band first, that an untrained network keeps. The finest
band has no gain: a network that may choose softens it, which pleases squared errors alone (docs/decisions.md, S30)."""
TRUST_OFFSET, SKIN_OFFSET = -2.0, 4.0
"""The same for the share by which uncertain seen skin is given up, and for that which is skin."""
CORRECTION_RANGE = 0.5
"""Largest logarithm of a smooth factor."""
STEEPER = 0.3
"""Skin whose cosine to the camera is lower by this than that of its mirror image may be given up for it wholly."""
CERTAIN = 0.1
"""Of the confidence: by so little below 1 skin must be seen before it may be given up as far as its doubt says."""
BLEND = 1 / 64
"""Of the side: width over which seen skin gives way to what was made up, and length of colour corrections."""


@dataclass(frozen=True)
class Known:
    """What a photograph tells, at the network's side N."""

    seen: Tensor
    """(B, 3, N, N) lit colour divided by the fit's light."""
    weight: Tensor
    """(B, 1, N, N) in [0, 1], confidence."""
    layers: AlbedoLayers
    uncertainty: Tensor
    """(B, 1, N, N), ``uncertainty_of``."""


class FtimCompletion:
    """A completion by a ``TextureNetwork``, differentiable in its weights; larger maps take detail from the photo."""

    def __init__(
        self,
        name: str,
        uv_renderer: UvRenderer,
        template: Tensor,
        network: TextureNetwork,
        settings: FtimSettings,
        precision: torch.dtype = torch.float32,
    ) -> None:
        """``template`` (3, T, T) albedo at the side of ``uv_renderer``: ``settings.size`` times 1, 2, 4 ...

        ``precision`` is that of the network's convolutions alone.
        """
        if network.settings != settings.network:
            raise ValueError("the network is not the one that these settings need")
        if template.shape[-1] % settings.size:
            raise ValueError(f"the texture's side must be a multiple of {settings.size}, got {template.shape[-1]}")
        self.name = name
        self.uv_renderer = uv_renderer
        self.template = template
        self.network = network
        self.settings = settings
        self.precision = precision
        self.scale = template.shape[-1] // settings.size
        atlas = region_atlas(uv_renderer.model, uv_renderer.atlas)
        self._atlas = atlas[:: self.scale, :: self.scale].contiguous()
        self._groups = region_groups(self._atlas)
        self._bare = bare_skin(uv_renderer)[:, :: self.scale, :: self.scale].contiguous()
        # Few rendered heads show teeth: what is inside the mouth is taken for the person's own.
        mouth = torch.isin(self._atlas, torch.tensor([int(part) for part in INSIDE_MOUTH], device=self._atlas.device))
        self._mouth, self._one = mouth.to(template), template.new_ones(())
        self._template = shrink(template[None], self.scale)[0]
        self._photographed = PhotographedTexture(uv_renderer, light_goes_on=True)

    def __call__(self, partial: PartialTexture, fit: Fit) -> Texture:
        check_sizes(partial, fit, self.template)
        shading = self.uv_renderer.shading(fit).clamp_min(SHADING_FLOOR)
        lit = delight(partial.color, shading)
        known, decoded = self._decode(lit, partial, shading, fit)
        light = light_of(decoded)
        light = self._on_skin(light, torch.ones_like(light))
        residual = enlarge(light, self.scale)
        seen = lit / residual
        layers, skin = known.layers, None
        if self.settings.visibility:
            skin = torch.lerp(torch.sigmoid(decoded.gains[:, -1:] + SKIN_OFFSET), self._one, self._mouth)
            layers = self._layers(known.seen / light, known.weight * skin)
            keep = known.layers.alpha * skin
        else:
            keep = known.layers.alpha * (1 - torch.sigmoid(decoded.gains[:, -1:] + TRUST_OFFSET) * known.uncertainty)
        picture = enlarge(self._on_skin(corrected(layers.behind, decoded), layers.behind), self.scale)
        if self.scale > 1:
            picture = picture + self._finest_of_layers(layers, seen, partial.visibility)
        albedo = torch.lerp(picture.clamp_min(DARKEST), seen, enlarge(keep, self.scale) * partial.visibility)
        if skin is None:
            return self._photographed(partial, albedo, shading, residual)
        skin = torch.where(partial.visibility > 0, enlarge(skin, self.scale), 1)
        bare = partial.visibility * (skin.detach() > 0.5)
        left = replace(partial, visibility=bare, confidence=partial.confidence * bare)
        return replace(self._photographed(left, albedo, shading, residual), skin=skin)

    def _on_skin(self, word: Tensor, otherwise: Tensor) -> Tensor:
        """(B, 3, N, N): the network's word on the bare skin of the face, and ``otherwise``.

        No loss looks at ears, neck and crown, few pixels show teeth, and around the hairline the network learns from
        what the skin mask lets through: necks and teeth would turn green, and temples grey.
        """
        return torch.lerp(otherwise, word, self._bare.to(word))

    def _layers(self, seen: Tensor, weight: Tensor) -> AlbedoLayers:
        """Of what is known at the network's side, without gradients."""
        blend = round(BLEND * self.settings.size)
        atlas, groups = self._atlas.to(seen.device), self._groups.to(seen.device)
        return layers_one_by_one(seen, weight, self._template.to(seen), atlas, groups, blend, blend)

    def _decode(self, lit: Tensor, partial: PartialTexture, shading: Tensor, fit: Fit) -> tuple[Known, Decoded]:
        """What is known at the network's side, and what the network makes of it."""
        seen, weight = shrink_seen(lit, partial.confidence * partial.visibility, self.scale)
        layers = self._layers(seen, weight)
        luminance = shrink(shading.mean(1, keepdim=True), self.scale)
        with torch.no_grad():
            cosine = shrink(self.uv_renderer.view_cosine(fit), self.scale)
            uncertainty = uncertainty_of(weight, layers.mirrored_alpha, cosine)
        maps = [
            layers.albedo, layers.behind, layers.alpha, layers.mirrored_alpha, weight, uncertainty, luminance,
            self._template.to(lit).expand_as(layers.albedo),
        ]  # fmt: skip
        with torch.autocast(lit.device.type, self.precision, enabled=self.precision != torch.float32):
            return Known(seen, weight, layers, uncertainty), self.network(torch.cat(maps, 1), fit_parameters(fit))

    @torch.no_grad()
    def _finest_of_layers(self, layers: AlbedoLayers, seen: Tensor, visibility: Tensor) -> Tensor:
        """(B, 3, T, T): detail of the mirrored skin, and of the template elsewhere, that the network's side lacks."""
        mirrored = seen.flip(-1) * enlarge(layers.ratio, self.scale)
        mirrored = torch.where(visibility.flip(-1) > 0, mirrored, enlarge(layers.behind, self.scale))
        template = self.template.to(seen)[None]
        share = enlarge(layers.mirrored_alpha, self.scale)
        return torch.lerp(finest_detail(template, self.scale), finest_detail(mirrored, self.scale), share)


def uncertainty_of(weight: Tensor, mirrored_alpha: Tensor, cosine: Tensor) -> Tensor:
    """(B, 1, N, N) in [0, 1]: how uncertain seen skin is by the camera alone; 0 where confidence is full.

    As far as it was seen with little confidence, or much more steeply than its mirror image was: there a fit that is
    off by a millimetre smears brows and lids. In a view from the front only the rim of what was seen is uncertain.

    Args:
        weight: (B, 1, N, N) in [0, 1], confidence of what was seen.
        mirrored_alpha: (B, 1, N, N) in [0, 1], how much of the mirror image was seen.
        cosine: (B, 1, N, N) in [0, 1], ``UvRenderer.view_cosine``.
    """
    steeper = ((cosine.flip(-1) - cosine) / STEEPER).clamp(0, 1) * mirrored_alpha
    uncertain = torch.maximum((2 * (1 - weight)).clamp(max=1), steeper)
    return uncertain * ((1 - weight) / CERTAIN).clamp(max=1)


def corrected(behind: Tensor, decoded: Decoded) -> Tensor:
    """(B, 3, N, N): what lies behind seen skin as smooth field and bands of detail, with the network's word on each.

        fill = smooth exp(c) + finest band + sum over the others of g_b band_b + r

    c (smooth), detail gains g in (0, 1) and r (free) come from the network.
    """
    (finest, *bands), smooth = split_bands(behind)
    offsets = decoded.gains.new_tensor(GAIN_OFFSETS)[:, None, None]
    gains = torch.sigmoid(decoded.gains[:, : len(GAIN_OFFSETS)] + offsets).split(1, dim=1)
    picture = smooth * smooth_factor(decoded.smooth[:, :3]) + finest + decoded.free
    for gain, band in zip(gains, bands, strict=True):
        picture = picture + gain * band
    return picture.clamp_min(DARKEST)


def light_of(decoded: Decoded) -> Tensor:
    """(B, 3, N, N) positive: the residual light that the network sees, from its two fields."""
    light = smooth_factor(decoded.smooth[:, 3:])
    return light * smooth_factor(decoded.quarter) if decoded.quarter.shape[1] else light


def smooth_factor(field: Tensor) -> Tensor:
    """Of smooth colours or light: exp of the network's field, held within ``CORRECTION_RANGE``."""
    return (CORRECTION_RANGE * torch.tanh(field / CORRECTION_RANGE)).exp()


def fit_parameters(fit: Fit) -> Tensor:
    """(B, 58): expression weights, and the first two columns of the head's rotation (docs/decisions.md, S5)."""
    return torch.cat([fit.expression, fit.rotation[:, :, :2].flatten(1)], dim=1)
