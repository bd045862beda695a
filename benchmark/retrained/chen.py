"""Chen et al. 2020, Self-Supervised Learning of Detailed 3D Face Reconstruction: the texture model.

Coarse: linear albedo and light, regressed from the photograph. Then an image-to-image network in UV space: the
photograph's unwrapped texture and the coarse one in, a displacement map and a residual of the albedo out.
Self-supervised: the detailed head, drawn, is compared with the photograph (photometric and perceptual), while both
maps are kept small and smooth. Coarse and detailed rendering learn together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.retrained.appearance import Appearance, HeadPainter, Inputs
from benchmark.retrained.basis import AlbedoBasis
from benchmark.retrained.losses import roughness
from benchmark.retrained.model import Baseline, Lesson, LinearAlbedo
from ftim.completion.network import NetworkSettings, TextureNetwork
from ftim.losses.photometric import photometric_loss

REACH = 0.003
"""Metres: the largest displacement."""
MILLIMETRE = 1e-3
DETAIL = 0.3
"""sRGB: the largest residual of the albedo."""
W_COARSE = 0.5
W_IDENTITY = 0.2
W_COEFFICIENTS = 1e-4
W_LIGHT = 1.0
W_DISPLACEMENT = 0.02
W_RESIDUAL = 0.05
W_SMOOTH = 0.02
NETWORK = NetworkSettings(inputs=10, gains=1, widths=(24, 48, 96, 128, 160), gated=False, parameters=False)
"""Seen colour, seen, coarse albedo, coarse texture under the light; out: residual (free) and displacement (a gain)."""


class Chen(Baseline):
    """Linear coarse model and a UV image-to-image network."""

    name = "chen"
    coefficients = 80

    def __init__(self, basis: AlbedoBasis, painter: HeadPainter) -> None:
        super().__init__(basis)
        self.painter = painter
        self.albedo = LinearAlbedo(self._features, basis, self.coefficients)
        self.network = TextureNetwork(NETWORK)

    def forward(self, inputs: Inputs, stage: str | None = None) -> Appearance:
        """See ``Baseline``."""
        features = self.encoder(inputs)
        return self._detailed(inputs, Appearance(self.albedo(features)[1], self.light(features)))[0]

    def warm_up(self, inputs: Inputs, target: Tensor) -> Tensor:
        """See ``Baseline``."""
        return self.albedo.distance(self.albedo.head(self.encoder(inputs)), target)

    def losses(self, lesson: Lesson, stage: str) -> dict[str, Tensor]:
        """See ``Baseline``."""
        features = self.encoder(lesson.inputs)
        coefficients, albedo = self.albedo(features)
        coarse = Appearance(albedo, self.light(features))
        detailed, residual, displacement = self._detailed(lesson.inputs, coarse)
        photo = lesson.example.photo
        first, second = lesson.draw(coarse), lesson.draw(detailed)
        return {
            "photometric": photometric_loss(second.image, photo, second.mask).mean(),
            "coarse": W_COARSE * photometric_loss(first.image, photo, first.mask).mean(),
            "identity": W_IDENTITY * lesson.identity(second),
            "regularisation": W_COEFFICIENTS * coefficients.square().sum(1).mean()
            + W_DISPLACEMENT * (displacement / MILLIMETRE).square().mean()
            + W_RESIDUAL * residual.square().mean(),
            "smoothness": W_SMOOTH * (roughness(residual, 1.0) + roughness(displacement, MILLIMETRE)).mean(),
            "light": W_LIGHT * coarse.light.square().mean(),
        }

    def _detailed(self, inputs: Inputs, coarse: Appearance) -> tuple[Appearance, Tensor, Tensor]:
        """The appearance with detail, the residual (B, 3, T, T) and the displacement (B, 1, T, T)."""
        partial = inputs.view.partial
        with torch.no_grad():
            lit = self.painter.lit_texture(coarse.albedo, inputs.view.fit)
            maps = torch.cat([partial.color, partial.visibility * partial.confidence, coarse.albedo, lit], 1)
        with torch.autocast(maps.device.type, torch.bfloat16, enabled=self.training):
            decoded = self.network(maps, maps.new_zeros(len(maps), 58))
        residual = DETAIL * torch.tanh(decoded.free / DETAIL)
        displacement = REACH * torch.tanh(decoded.gains * MILLIMETRE / REACH)
        albedo = (coarse.albedo + residual).clamp_min(0)
        return Appearance(albedo, coarse.light, displacement), residual, displacement
