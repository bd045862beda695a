"""FTIM: completes what the camera saw with a network (paper, 2.2), and the simple image-to-image network of Table 2.

One class for all its forms, since they differ by switches of ``FtimSettings`` alone: the paper's own, ours, and the
ablation's. docs/paper.md, S24 to S28, says what each switch does and what it brought.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ftim.completion.bands import enlarge, finest_detail, shrink, shrink_seen, split_bands
from ftim.completion.base import check_sizes, delight, relight
from ftim.completion.fill import feather, region_atlas, region_groups
from ftim.completion.layers import AlbedoLayers, layers_one_by_one
from ftim.completion.network import Decoded, TextureNetwork
from ftim.completion.settings import FtimSettings
from ftim.render.shading import SHADING_FLOOR
from ftim.structures import Fit, PartialTexture, Texture
from ftim.uv import UvRenderer

DARKEST = 0.02
"""Albedo: nothing that is made up is blacker."""
GAIN_OFFSETS = (0.5, 1.0, 2.0)
"""Before the sigmoid: the share of the prior's detail, finest band first, that an untrained network keeps."""
TRUST_OFFSET = -2.0
"""The same for the share by which uncertain seen skin is given up."""
SEEN_OFFSET = 3.0
"""The same for each band of seen skin: an untrained network keeps 95 % of it."""
CORRECTION_RANGE = 0.5
"""Largest logarithm of the smooth factor."""
STEEPER = 0.3
"""Skin whose cosine to the camera is lower by this than that of its mirror image may be given up for it wholly."""
BLEND = 1 / 64
"""Of the side: width over which seen skin gives way to what was made up, and length of colour corrections."""


@dataclass(frozen=True)
class Fill:
    """What the network makes up, at its own side N."""

    picture: Tensor
    """(B, 3, N, N), texture or albedo."""
    keep: Tensor
    """(B, 1, N, N) in [0, 1]: how much of the seen skin shows over it."""
    finest: Tensor
    """(B, 1, N, N) in [0, 1]: how much of the detail that only larger maps have is kept."""


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
        self.own_view = settings.keep_seen
        self.uv_renderer = uv_renderer
        self.template = template
        self.network = network
        self.settings = settings
        self.precision = precision
        self.scale = template.shape[-1] // settings.size
        atlas = region_atlas(uv_renderer.model, uv_renderer.atlas)
        self._atlas = atlas[:: self.scale, :: self.scale].contiguous()
        self._groups = region_groups(self._atlas)
        self._template = shrink(template[None], self.scale)[0]

    def __call__(self, partial: PartialTexture, fit: Fit) -> Texture:
        check_sizes(partial, fit, self.template)
        shading = self.uv_renderer.shading(fit).clamp_min(SHADING_FLOOR)
        complete = self._from_layers if self.settings.symmetric_prior else self._from_nothing
        return relight(complete(partial, shading, fit), shading)

    def _from_layers(self, partial: PartialTexture, shading: Tensor, fit: Fit) -> Tensor:
        """Ours: the albedo of mirrored layers, corrected."""
        seen = delight(partial.color, shading)
        weight = partial.confidence * partial.visibility
        small_seen, small_weight = shrink_seen(seen, weight, self.scale)
        template = self._template.to(seen)
        blend = round(BLEND * self.settings.size)
        atlas, groups = self._atlas.to(seen.device), self._groups.to(seen.device)
        layers = layers_one_by_one(small_seen, small_weight, template, atlas, groups, blend, blend)
        luminance = shrink(shading.mean(1, keepdim=True), self.scale)
        with torch.no_grad():
            doubt = doubts(small_weight, layers.mirrored_alpha, shrink(self.uv_renderer.view_cosine(fit), self.scale))
        maps = [
            layers.albedo, layers.behind, layers.alpha, layers.mirrored_alpha, small_weight, doubt, luminance,
            template.expand_as(layers.albedo),
        ]  # fmt: skip
        decoded = self._decode(maps, fit)
        fill = corrected(layers, doubt, decoded)
        picture = enlarge(fill.picture, self.scale)
        if self.settings.correct_seen:
            seen = self._correct_seen(layers, decoded, seen, partial.visibility)
        if self.scale > 1:
            detail = self._finest_of_layers(layers, seen, partial.visibility)
            picture = picture + enlarge(fill.finest, self.scale) * detail
        return blend_seen(seen, partial.visibility, enlarge(fill.keep, self.scale), picture.clamp_min(DARKEST))

    def _correct_seen(self, layers: AlbedoLayers, decoded: Decoded, seen: Tensor, visibility: Tensor) -> Tensor:
        """(B, 3, T, T): the seen albedo with the network's word on it."""
        change, finest = seen_correction(layers.albedo, decoded)
        seen = seen + enlarge(change, self.scale)
        if self.scale > 1:
            with torch.no_grad():
                whole = torch.where(visibility > 0, seen, enlarge(layers.albedo, self.scale))
                detail = finest_detail(whole, self.scale)
            seen = seen + (enlarge(finest, self.scale) - 1) * detail
        return seen.clamp_min(DARKEST)

    def _from_nothing(self, partial: PartialTexture, shading: Tensor, fit: Fit) -> Tensor:
        """The paper's: the network paints the whole texture, then the light is taken out."""
        weight = partial.confidence * partial.visibility
        color, small_weight = shrink_seen(partial.color, weight, self.scale)
        maps = [color, shrink(partial.visibility, self.scale)]
        if self.settings.template_input:
            maps.append(self._template.to(color).expand_as(color))
        picture = enlarge(torch.sigmoid(self._decode(maps, fit).free), self.scale)
        if self.settings.keep_seen:
            blend = round(BLEND * self.settings.size)
            keep = feather(small_weight, self._groups.to(color.device), blend)
            picture = blend_seen(partial.color, partial.visibility, enlarge(keep, self.scale), picture)
        if self.settings.lighting == "divide":
            return delight(picture, shading).clamp_min(DARKEST)
        template = self.template.to(color)
        return (picture - template * shading + template).clamp_min(DARKEST)

    def _decode(self, maps: list[Tensor], fit: Fit) -> Decoded:
        parameters = fit_parameters(fit)
        with torch.autocast(maps[0].device.type, self.precision, enabled=self.precision != torch.float32):
            return self.network(torch.cat(maps, 1), parameters)

    @torch.no_grad()
    def _finest_of_layers(self, layers: AlbedoLayers, seen: Tensor, visibility: Tensor) -> Tensor:
        """(B, 3, T, T): detail of the mirrored skin, and of the template elsewhere, that the network's side lacks."""
        mirrored = seen.flip(-1) * enlarge(layers.ratio, self.scale)
        mirrored = torch.where(visibility.flip(-1) > 0, mirrored, enlarge(layers.behind, self.scale))
        template = self.template.to(seen)[None]
        share = enlarge(layers.mirrored_alpha, self.scale)
        return torch.lerp(finest_detail(template, self.scale), finest_detail(mirrored, self.scale), share)


def doubts(weight: Tensor, mirrored_alpha: Tensor, cosine: Tensor) -> Tensor:
    """(B, 1, N, N) in [0, 1]: how far seen skin may be given up for what is behind it.

    As far as it was seen with little confidence, or much more steeply than its mirror image was: there a fit that is
    off by a millimetre smears brows and lids. In a view from the front only the rim of what was seen is doubtful.

    Args:
        weight: (B, 1, N, N) in [0, 1], confidence of what was seen.
        mirrored_alpha: (B, 1, N, N) in [0, 1], how much of the mirror image was seen.
        cosine: (B, 1, N, N) in [0, 1], ``UvRenderer.view_cosine``.
    """
    steeper = ((cosine.flip(-1) - cosine) / STEEPER).clamp(0, 1) * mirrored_alpha
    return torch.maximum((2 * (1 - weight)).clamp(max=1), steeper)


def corrected(layers: AlbedoLayers, doubt: Tensor, decoded: Decoded) -> Fill:
    """What lies behind the seen skin as smooth field and bands of detail, with the network's word on each.

        fill = smooth exp(c) + sum over bands of g_b band_b + r,  keep = alpha (1 - t d)

    c (smooth), gains g and distrust t in (0, 1), r (free) come from the network, alpha and d (``doubts``) from the
    camera: skin that was seen well stays, skin that was seen with doubt can be given up.
    """
    bands, smooth = split_bands(layers.behind)
    offsets = decoded.gains.new_tensor([*GAIN_OFFSETS, TRUST_OFFSET])[:, None, None]
    *gains, distrust = torch.sigmoid(decoded.gains[:, : len(offsets)] + offsets).split(1, dim=1)
    picture = smooth * smooth_factor(decoded.smooth[:, :3]) + decoded.free
    for gain, band in zip(gains, bands, strict=True):
        picture = picture + gain * band
    return Fill(picture.clamp_min(DARKEST), layers.alpha * (1 - distrust * doubt), gains[0])


def seen_correction(albedo: Tensor, decoded: Decoded) -> tuple[Tensor, Tensor]:
    """What is added to the seen albedo, and the gain of its finest detail.

        change = smooth (exp(c') - 1) + sum over bands of (g'_b - 1) band_b

    c' and g' come from the network behind those of ``corrected``. Light that the fit does not hold is in the smooth
    part; detail that lies beside its place, as seen from elsewhere, is in the bands.

    Args:
        albedo: (B, 3, N, N), all layers together.
        decoded: of a network that corrects seen skin.

    Returns:
        (B, 3, N, N) and (B, 1, N, N) in [0, 1].
    """
    bands, smooth = split_bands(albedo)
    gains = torch.sigmoid(decoded.gains[:, -len(bands) :] + SEEN_OFFSET).split(1, dim=1)
    change = smooth * (smooth_factor(decoded.smooth[:, 3:]) - 1)
    for gain, band in zip(gains, bands, strict=True):
        change = change + (gain - 1) * band
    return change, gains[0]


def smooth_factor(field: Tensor) -> Tensor:
    """Of smooth colours: exp of the network's field, held within ``CORRECTION_RANGE``."""
    return (CORRECTION_RANGE * torch.tanh(field / CORRECTION_RANGE)).exp()


def blend_seen(seen: Tensor, visibility: Tensor, keep: Tensor, picture: Tensor) -> Tensor:
    """(B, 3, T, T): seen skin over what was made up; ``keep`` counts where something was seen."""
    return torch.lerp(picture, seen, keep * visibility)


def fit_parameters(fit: Fit) -> Tensor:
    """(B, 58): expression weights, and the first two columns of the head's rotation (docs/paper.md, S5)."""
    return torch.cat([fit.expression, fit.rotation[:, :, :2].flatten(1)], dim=1)
