"""Feng et al. 2021, DECA: the texture model.

Coarse: linear albedo of 50 coefficients and light, regressed from the photograph; photometric, identity and
regularisation losses. Then, with all of that frozen, the detail stage: a latent of 128 numbers, expression and pose
give a UV displacement, which changes the normals that the light falls on; photometric, ID-MRF, soft symmetry and
regularisation losses. Weights of terms as published: photometric 2, identity 0.2, albedo 1e-4 a squared coefficient;
detail 2, ID-MRF 0.05. Symmetry and size of the displacement have 0.005 a metre there, too little to matter; here 1e-4 a
millimetre, which keeps the displacement to tenths of one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.retrained.appearance import Appearance, Inputs
from benchmark.retrained.basis import AlbedoBasis
from benchmark.retrained.losses import asymmetry
from benchmark.retrained.model import Baseline, Lesson, LinearAlbedo
from benchmark.retrained.networks import MapDecoder, PhotoEncoder
from ftim.completion.ftim import fit_parameters
from ftim.completion.network import PARAMETERS
from ftim.filters import enlarge
from ftim.losses.id_mrf import id_mrf_loss
from ftim.losses.photometric import photometric_loss

LATENT = 128
REACH = 0.003
"""Metres: the largest displacement."""
MILLIMETRE = 1e-3
W_PHOTOMETRIC = 2.0
W_IDENTITY = 0.2
W_ALBEDO = 1e-4
W_LIGHT = 1.0
W_MRF = 0.05
W_DETAIL = 1e-4
"""A millimetre."""
_WIDTHS = (96, 64, 48, 32, 24)
"""8 to 128 texels."""


class Deca(Baseline):
    """Coarse encoder, then a detail encoder and decoder of its own."""

    name = "deca"
    coefficients = 50
    stages = ("coarse", "detail")

    def __init__(self, basis: AlbedoBasis) -> None:
        super().__init__(basis)
        self.albedo = LinearAlbedo(self._features, basis, self.coefficients)
        self.detail_encoder = PhotoEncoder()
        self.to_latent = nn.Linear(self._features, LATENT)
        self.detail_decoder = MapDecoder(LATENT + PARAMETERS, 1, _WIDTHS)

    def forward(self, inputs: Inputs, stage: str | None = None) -> Appearance:
        """See ``Baseline``."""
        features = self.encoder(inputs)
        displacement = None if stage == "coarse" else self._displacement(inputs)
        return Appearance(self.albedo(features)[1], self.light(features), displacement)

    def warm_up(self, inputs: Inputs, target: Tensor) -> Tensor:
        """See ``Baseline``."""
        return self.albedo.distance(self.albedo.head(self.encoder(inputs)), target)

    def learnt_in(self, stage: str) -> list[nn.Parameter]:
        """The detail stage leaves the coarse one as it is."""
        detail = [self.detail_encoder, self.to_latent, self.detail_decoder]
        coarse = [self.encoder, self.albedo, self.to_light]
        return [value for part in (coarse if stage == "coarse" else detail) for value in part.parameters()]

    def losses(self, lesson: Lesson, stage: str) -> dict[str, Tensor]:
        """See ``Baseline``."""
        return self._coarse(lesson) if stage == "coarse" else self._detail(lesson)

    def _coarse(self, lesson: Lesson) -> dict[str, Tensor]:
        features = self.encoder(lesson.inputs)
        coefficients, albedo = self.albedo(features)
        appearance = Appearance(albedo, self.light(features))
        rendering = lesson.draw(appearance)
        photometric = photometric_loss(rendering.image, lesson.example.photo, rendering.mask)
        return {
            "photometric": W_PHOTOMETRIC * photometric.mean(),
            "identity": W_IDENTITY * lesson.identity(rendering),
            "regularisation": W_ALBEDO * coefficients.square().sum(1).mean(),
            "light": W_LIGHT * appearance.light.square().mean(),
        }

    def _detail(self, lesson: Lesson) -> dict[str, Tensor]:
        with torch.no_grad():
            coarse = self(lesson.inputs, "coarse")
        displacement = self._displacement(lesson.inputs)
        rendering = lesson.draw(Appearance(coarse.albedo, coarse.light, displacement))
        photo, chosen = lesson.example.photo, lesson.looked_at
        assert lesson.networks.vgg19 is not None
        mrf = id_mrf_loss(lesson.networks.vgg19, rendering.image[chosen], photo[chosen], rendering.mask[chosen])
        return {
            "photometric": W_PHOTOMETRIC * photometric_loss(rendering.image, photo, rendering.mask).mean(),
            "id_mrf": W_MRF * mrf.mean(),
            "symmetry": W_DETAIL * asymmetry(displacement / MILLIMETRE).mean(),
            "regularisation": W_DETAIL * (displacement / MILLIMETRE).abs().mean(),
        }

    def _displacement(self, inputs: Inputs) -> Tensor:
        latent = self.to_latent(self.detail_encoder(inputs))
        small = self.detail_decoder(torch.cat([latent, fit_parameters(inputs.view.fit)], 1))
        return enlarge(
            REACH * torch.tanh(small / REACH * MILLIMETRE), inputs.view.partial.color.shape[-1] // small.shape[-1]
        )
