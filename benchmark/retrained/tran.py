"""Tran et al. 2019, Towards High-fidelity Nonlinear 3D Face Morphable Model: the texture model.

From the photograph a latent for albedo and one for shape; decoders that are no linear models turn them into a UV
albedo and a UV map of shape. Each has a proxy, smooth and strongly regularised, and a residual that carries detail; a
rendering with only one of the two residuals must be like the photograph too, so that neither has to explain all
(their "dual-pathway" and proxy scheme). Albedo is drawn towards symmetry and constancy, shape towards smoothness.
The proxy of the shape is the shared fit; the residual of the shape is learnt.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.retrained.appearance import Appearance, Inputs
from benchmark.retrained.basis import AlbedoBasis
from benchmark.retrained.losses import asymmetry, constancy, uneven
from benchmark.retrained.model import Baseline, Lesson
from benchmark.retrained.networks import MapDecoder
from ftim.filters import enlarge
from ftim.losses.photometric import photometric_loss
from ftim.morphable.model import MorphableModel, Region

LATENT = 160
REACH = 0.004
"""Metres: the largest residual of the shape along an axis."""
MILLIMETRE = 1e-3
W_PROXY = 0.5
W_IDENTITY = 0.2
W_SYMMETRY = 0.5
W_CONSTANCY = 0.05
W_RESIDUAL = 0.1
W_UNCOMPARED = 1.0
"""Of what is drawn where no photograph is compared: eyes and teeth stay near the mean."""
W_SHAPE = 0.02
W_LIGHT = 1.0
INNER = (Region.EYES, Region.TEETH, Region.TONGUE, Region.MOUTH)
_PROXY_WIDTHS = (128, 96, 64, 32)
"""8 to 64 texels."""
_DETAIL_WIDTHS = (160, 128, 96, 64, 32, 16)
"""8 to 256 texels."""
_SHAPE_WIDTHS = (64, 48, 32, 16)
"""8 to 64 texels."""


class Tran(Baseline):
    """Nonlinear decoders for albedo and shape."""

    name = "tran"
    coefficients = 80
    _position: Tensor
    _edges: Tensor

    def __init__(self, basis: AlbedoBasis, model: MorphableModel) -> None:
        super().__init__(basis)
        self.to_albedo = nn.Linear(self._features, LATENT)
        self.to_shape = nn.Linear(self._features, LATENT)
        self.albedo_proxy = MapDecoder(LATENT, 3, _PROXY_WIDTHS)
        self.albedo_residual = MapDecoder(LATENT, 3, _DETAIL_WIDTHS)
        self.shape_residual = MapDecoder(LATENT, 3, _SHAPE_WIDTHS)
        position = torch.zeros(len(model.template), 2)
        position[model.triangles.flatten().cpu()] = model.uv[model.uv_triangles.flatten()].cpu()
        edges = torch.cat([model.triangles[:, [0, 1]], model.triangles[:, [1, 2]], model.triangles[:, [2, 0]]]).cpu()
        self.register_buffer("_position", position, persistent=False)
        self.register_buffer("_edges", torch.unique(torch.cat([edges, edges.flip(1)]), dim=0).T, persistent=False)

    def forward(self, inputs: Inputs, stage: str | None = None) -> Appearance:
        """See ``Baseline``."""
        features = self.encoder(inputs)
        proxy, residual = self._albedo(features)
        return Appearance((proxy + residual).clamp_min(0), self.light(features), None, self._offsets(features))

    def warm_up(self, inputs: Inputs, target: Tensor) -> Tensor:
        """See ``Baseline``: here the linear model's texture itself, as Tran pretrains on fitted 3DMM textures."""
        proxy, residual = self._albedo(self.encoder(inputs))
        goal = self.basis.albedo(target)
        energy = self.basis.components.square().sum() / goal[0].numel()
        return F.mse_loss(proxy + residual, goal) / energy

    def losses(self, lesson: Lesson, stage: str) -> dict[str, Tensor]:
        """See ``Baseline``."""
        features = self.encoder(lesson.inputs)
        proxy, residual = self._albedo(features)
        full = Appearance((proxy + residual).clamp_min(0), self.light(features), None, self._offsets(features))
        assert full.offsets is not None
        drawn = lesson.draw(full)
        smooth_albedo = lesson.draw(replace(full, albedo=proxy.clamp_min(0)))
        smooth_shape = lesson.draw(replace(full, offsets=None))
        photo, partial = lesson.example.photo, lesson.example.partial
        one_sided = [photometric_loss(item.image, photo, item.mask).mean() for item in (smooth_albedo, smooth_shape)]
        return {
            "photometric": photometric_loss(drawn.image, photo, drawn.mask).mean(),
            "proxies": W_PROXY * (one_sided[0] + one_sided[1]),
            "identity": W_IDENTITY * lesson.identity(drawn),
            "symmetry": W_SYMMETRY * asymmetry(full.albedo).mean(),
            "constancy": W_CONSTANCY * constancy(full.albedo, partial.color, partial.visibility).mean(),
            "regularisation": W_RESIDUAL * residual.square().mean()
            + W_UNCOMPARED * self._uncompared(full.albedo, lesson)
            + W_SHAPE * ((full.offsets / MILLIMETRE).square().sum(2).mean() + uneven(full.offsets, self._edges).mean()),
            "light": W_LIGHT * full.light.square().mean(),
        }

    def _albedo(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Proxy and residual, each (B, 3, T, T)."""
        latent = self.to_albedo(features)
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.training):
            small, detail = self.albedo_proxy(latent), self.albedo_residual(latent)
        proxy = self.basis.mean + enlarge(small, self.basis.mean.shape[-1] // small.shape[-1])
        return proxy, detail

    def _uncompared(self, albedo: Tensor, lesson: Lesson) -> Tensor:
        """Scalar: mean square distance of eyes, teeth and mouth from the mean, where no photograph shows them."""
        atlas, model = lesson.painter.uv_renderer.atlas, lesson.painter.uv_renderer.model
        regions = model.regions.new_tensor([int(region) for region in INNER])
        inner = atlas.image(torch.isin(model.regions[atlas.face], regions)[None, :, None].to(albedo.dtype))
        weight = inner * (1 - lesson.example.partial.visibility)
        distance = (albedo - self.basis.mean).square().mean(1, keepdim=True)
        return (weight * distance).sum() / weight.sum().clamp_min(1)

    def _offsets(self, features: Tensor) -> Tensor:
        """(B, V, 3) metres."""
        field = REACH * torch.tanh(self.shape_residual(self.to_shape(features)) * MILLIMETRE / REACH)
        grid = (self._position * 2 - 1).expand(len(field), 1, -1, -1)
        return F.grid_sample(field, grid, mode="bilinear", padding_mode="border", align_corners=False)[:, :, 0].mT
