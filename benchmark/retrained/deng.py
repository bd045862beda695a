"""Deng et al. 2019, Accurate 3D Face Reconstruction with Weakly-Supervised Learning: the texture model.

Linear albedo of 80 coefficients; skin-attention photometric loss, perceptual identity loss, coefficient
regularisation, flattening of the albedo, light of 27 numbers that is drawn towards one colour. Weights of terms are
those of the published code (w_color 1.92, w_feat 0.2, w_reg 3e-4 with w_tex 1.7e-2 a squared coefficient, w_reflc 5),
but for the light: w_gamma is 1 instead of 10, since a person's skin tone lies in the fitted light here and not in the
albedo (docs/decisions.md, S6). Shape, pose and landmarks are not learnt: the fit is given.
"""

from __future__ import annotations

from torch import Tensor

from benchmark.retrained.appearance import Appearance, Inputs
from benchmark.retrained.basis import AlbedoBasis
from benchmark.retrained.losses import attended_distance, flattening, one_colour, skin_attention
from benchmark.retrained.model import Baseline, Lesson, LinearAlbedo

W_COLOR = 1.92
W_FEATURE = 0.2
W_TEXTURE = 3e-4 * 1.7e-2
W_GAMMA = 1.0
W_REFLECTANCE = 5.0
SKIN = 0.12
"""sRGB: texels of the mean albedo as near to its median are skin; brows, eyes and lips are not."""


class Deng(Baseline):
    """One encoder, one linear model."""

    name = "deng"
    coefficients = 80
    _skin: Tensor

    def __init__(self, basis: AlbedoBasis) -> None:
        super().__init__(basis)
        self.albedo = LinearAlbedo(self._features, basis, self.coefficients)
        mean = basis.mean.flatten(1)[:, basis.texel]
        near = (mean - mean.median(1, keepdim=True).values).abs().amax(0) < SKIN
        self.register_buffer("_skin", basis.texel[near], persistent=False)

    def forward(self, inputs: Inputs, stage: str | None = None) -> Appearance:
        """See ``Baseline``."""
        features = self.encoder(inputs)
        return Appearance(self.albedo(features)[1], self.light(features))

    def warm_up(self, inputs: Inputs, target: Tensor) -> Tensor:
        """See ``Baseline``."""
        return self.albedo.distance(self.albedo.head(self.encoder(inputs)), target)

    def losses(self, lesson: Lesson, stage: str) -> dict[str, Tensor]:
        """See ``Baseline``."""
        features = self.encoder(lesson.inputs)
        coefficients, albedo = self.albedo(features)
        appearance = Appearance(albedo, self.light(features))
        rendering = lesson.draw(appearance)
        photo = lesson.example.photo
        attention = skin_attention(photo, rendering.mask)
        light = lesson.example.fit.light + appearance.light
        return {
            "photometric": W_COLOR * attended_distance(rendering.image, photo, attention).mean(),
            "identity": W_FEATURE * lesson.identity(rendering),
            "regularisation": W_TEXTURE * coefficients.square().sum(1).mean(),
            "flattening": W_REFLECTANCE * flattening(albedo, self._skin).mean(),
            "light": W_GAMMA * one_colour(light).mean(),
        }
