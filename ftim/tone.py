"""Skin tone: the colour of a finished head's albedo, as the whole photograph tells it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ftim.morphable import MorphableModel, Region
from ftim.morphable.model import OPENINGS
from ftim.render.atlas import Atlas
from ftim.render.shading import luminance
from ftim.structures import Fit, Texture, View
from ftim.tone_network import DARKEST, Tone, ToneNetwork, load_tone, plain_features, small_picture
from ftim.uv import UvRenderer

BRIGHTEST = 0.65
"""Mean of the sRGB channels of teeth in the shade of the lips."""
OWN_DEVIATION = 0.1
"""Of logarithms: how far the colours that a photograph shows are taken to lie from the skin's own. Most photographers
expose for it, and strangers before white walls came out brown by the network's word alone."""
CALIBRATION = 1.5
"""The network's error on heads that it has not seen, in deviations that it tells."""
TONE_STEP = 4
"""One of so many texels of the face tells its tone: tens of thousands are more than a mean needs."""


class ToneMover:
    """``with_tone`` of the tone that photographs tell, on one map."""

    def __init__(self, uv_renderer: UvRenderer, network: ToneNetwork | None = None) -> None:
        """``network`` is by default the one that ships, read when it is first needed."""
        self.uv = uv_renderer
        self._network = network
        model, atlas = uv_renderer.model, uv_renderer.atlas
        self.teeth, self.openings = (part_mask(model, atlas, part) for part in ((Region.TEETH,), OPENINGS))
        self._face = torch.nonzero(part_mask(model, atlas, (Region.FACE,)).flatten())[::TONE_STEP, 0]

    @torch.no_grad()
    def tone(self, views: list[View]) -> Tone:
        """Of the person that all these views (batches of one) show: the surer ones count more."""
        if self._network is None:
            self._network = load_tone(device=self.uv.model.template.device)
        told = [self._network(small_picture(view), plain_features(view)) for view in views]
        return combined(told)

    @torch.no_grad()
    def __call__(self, texture: Texture, fit: Fit, tone: Tone) -> tuple[Texture, Fit]:
        """Texture and fit of a batch with this tone in the albedo, and no longer in the light."""
        return with_tone(texture, fit, (tone.mean - self.present(texture.albedo)).exp(), self.teeth, self.openings)

    @torch.no_grad()
    def judged(self, texture: Texture, view: View, told: Tone) -> Tone:
        """The network's word and the colours that the photograph shows, each as far as it is to be trusted."""
        texels = torch.arange(len(self.uv.atlas.texel), device=texture.albedo.device)
        own = []
        for index in range(len(view.photo)):
            weight = view.partial.confidence[index].flatten()[self.uv.atlas.texel]
            weight = weight * (1 - self.openings.flatten()[self.uv.atlas.texel])
            own.append(photographed_tone(self.uv.shading_at(view.fit[index], texels), weight))
        shown = self.present(texture.albedo) + torch.stack(own).log()
        network = Tone(told.mean, CALIBRATION * told.deviation)
        return combined([network, Tone(shown, torch.full_like(shown, OWN_DEVIATION))])

    def present(self, albedo: Tensor) -> Tensor:
        """(B, 3, T, T) -> (B, 3): the mean logarithm of the albedo of facial skin."""
        return albedo.flatten(2)[..., self._face].clamp_min(DARKEST).log().mean(-1)


def combined(told: list[Tone]) -> Tone:
    """What several photographs of one person tell together: means weighed by the inverse of their variances.

    The photographs are of one moment and err alike: the deviation is not smaller than the least of theirs.
    """
    weights = [1 / tone.deviation.square() for tone in told]
    total = torch.stack(weights).sum(0)
    mean = torch.stack([weight * tone.mean for weight, tone in zip(weights, told, strict=True)]).sum(0) / total
    return Tone(mean, torch.stack([tone.deviation for tone in told]).amin(0))


def photographed_tone(shading: Tensor, weight: Tensor) -> Tensor:
    """The mean shading of the skin that was seen: moved into the albedo, it gives it the photograph's own colours.

    Args:
        shading: (N, 3) of the fitted light at texels of the skin, ``UvRenderer.shading_at``.
        weight: (N,) of the texels, such as their confidence.

    Returns:
        (3,), positive; ones where nothing was seen.
    """
    total = weight.sum()
    mean = weight @ shading / total.clamp(min=1e-6)
    return mean.where(total > 0, mean.new_ones(()))


def with_tone(texture: Texture, fit: Fit, tone: Tensor, teeth: Tensor, openings: Tensor) -> tuple[Texture, Fit]:
    """Move a factor of each colour channel from the light to the albedo; their product stays, except on teeth.

    The fit explains a photograph by the template's albedo under some light, so that a dark face would be a pale one in
    little light, and pale in any other light and program. Only the product is known.

    Where shading is grey, so is the factor. Teeth are no darker for darker skin: they become darker only as far as they
    would be brighter than ``BRIGHTEST``.

    Args:
        texture: of a batch B.
        fit: of the same heads.
        tone: (B, 3) positive, by which the albedo is multiplied and the light divided.
        teeth: (1, 1, T, T) 1 on the teeth, ``part_mask``.
        openings: (1, 1, T, T) 1 where shading is grey, teeth among them.

    Returns:
        Texture and fit with another albedo and light; ``texture.texture`` is what it was.
    """
    albedo, factor = texture.albedo, tone[:, :, None, None]
    brightness = albedo.mean(1, keepdim=True).clamp(min=1e-6)
    grey = luminance(tone)[:, :, None, None]
    factor = factor.lerp(grey, openings)
    factor = factor.lerp((BRIGHTEST / brightness).clamp(max=1).maximum(grey.clamp(max=1)), teeth)
    return replace(texture, albedo=albedo * factor), replace(fit, light=fit.light / tone[:, None, :])


def part_mask(model: MorphableModel, atlas: Atlas, regions: tuple[Region, ...]) -> Tensor:
    """(1, 1, T, T) 1 on the texels of these regions."""
    inside = model.part_of(regions)[atlas.face]
    return atlas.image(inside.to(atlas.weights.dtype)[None, :, None])
