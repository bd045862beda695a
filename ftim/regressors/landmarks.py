"""The embedded regressor: MediaPipe's landmarks and scores -> camera, pose, identity, expression, light."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ftim.morphable import MorphableModel
from ftim.regressors.face_points import FacePoints
from ftim.regressors.geometry import GeometrySettings, LandmarkFitter
from ftim.regressors.light import LightSettings, fit_light
from ftim.render.rasterizer import Rasterizer
from ftim.structures import Face, Fit


@dataclass(frozen=True)
class RegressorSettings:
    """Settings of both halves of the fit."""

    geometry: GeometrySettings = field(default_factory=GeometrySettings)
    light: LightSettings = field(default_factory=LightSettings)


class LandmarkRegressor:
    """Fits a morphable model to faces; deterministic, and a batch gives what its faces give one by one."""

    name = "landmarks"

    def __init__(
        self,
        model: MorphableModel,
        rasterizer: Rasterizer,
        template_albedo: Tensor,
        settings: RegressorSettings | None = None,
    ) -> None:
        """``rasterizer`` finds hidden skin; light is measured against ``template_albedo`` (3, T, T) sRGB."""
        self.model = model
        self.settings = settings or RegressorSettings()
        self.fitter = LandmarkFitter(model, self.settings.geometry)
        self.points = FacePoints(model, rasterizer, template_albedo)

    def __call__(self, face: Face) -> Fit:
        """Fits of single photographs. The light is a first one, over all visible skin: see ``relight``."""
        return self._fit(face, together=False)

    def fit_together(self, face: Face) -> Fit:
        """Fits of several photographs of one person: the identity is the same in every row."""
        return self._fit(face, together=True)

    @torch.no_grad()
    def relight(self, face: Face, fit: Fit, skin: Tensor) -> Fit:
        """The fit with its light measured on ``skin`` (B, 1, S, S) in [0, 1] only."""
        samples = self.points.sample(face, fit, skin * face.valid)
        return dataclasses.replace(fit, light=fit_light(*samples, self.settings.light))

    def _fit(self, face: Face, together: bool) -> Fit:
        if len(face) == 0:
            raise ValueError("no face to fit")
        return self.relight(face, self.fitter(face, together), torch.ones_like(face.valid))
