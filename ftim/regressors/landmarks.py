"""The embedded regressor: MediaPipe's landmarks and scores -> camera, pose, identity, expression, light."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ftim.morphable import EXPRESSIONS, MorphableModel
from ftim.regressors.face_points import FacePoints
from ftim.regressors.gauss_newton import LandmarkBasis, State, Target, affine_pose, full_round, pose_round
from ftim.regressors.light import LightSettings, fit_light
from ftim.render.rasterizer import Rasterizer
from ftim.structures import Camera, Face, Fit

MESH_LANDMARKS = 468
"""The first landmarks are the face mesh; the ten after them the irises."""
OUTER_EYE_CORNERS = (33, 263)
"""Landmarks of the outer corners of the right and the left eye."""


@dataclass(frozen=True)
class LandmarkFitSettings:
    """Settings of the geometric fit. Lengths are in units of the outer eye distance of the template."""

    focal: float = 1.6
    """Focal length over crop side."""
    pose_rounds: int = 2
    """Gauss-Newton rounds over the pose alone."""
    full_rounds: int = 4
    """Gauss-Newton rounds over pose, identity and expression; more change no coefficient by 0.01."""
    matrix_rounds: int = 3
    """How many of them, from the first, renew the normal matrix; the others use the last one again."""
    sigma: float = 0.05
    """Landmark error that balances the priors; above the real error, since errors of neighbours agree."""
    outlier: float = 0.15
    """Residual at which a landmark counts a quarter."""
    averted: float = 0.3
    """Weight of landmarks on surfaces that face away."""
    iris: float = 0.3
    """Weight of the iris landmarks."""
    expression_sigma: float = 0.25
    """Standard deviation of expression weights around MediaPipe's scores."""
    gaze_sigma: float = 0.5
    """The same for the eye movements, which the irises show well."""
    light: LightSettings = field(default_factory=LightSettings)


class LandmarkRegressor:
    """Fits a morphable model to faces; deterministic, a batch gives what its faces give one by one.

    Args:
        model: the head.
        rasterizer: for the depth test of the light fit.
        template_albedo: (3, T, T) sRGB in the model's UV, against which light is measured.
        settings: see ``LandmarkFitSettings``.
    """

    def __init__(
        self,
        model: MorphableModel,
        rasterizer: Rasterizer,
        template_albedo: Tensor,
        settings: LandmarkFitSettings | None = None,
    ) -> None:
        self.model = model
        self.settings = settings or LandmarkFitSettings()
        self.points = FacePoints(model, rasterizer, template_albedo)
        self.basis = landmark_basis(model, self.settings)
        gaze = torch.tensor([name.startswith("eyeLook") for name in EXPRESSIONS], device=model.template.device)
        sigma = torch.where(gaze, self.settings.gaze_sigma, self.settings.expression_sigma)
        self.expression_precision = (1 / sigma.square()).to(model.template.dtype)

    @torch.no_grad()
    def __call__(self, face: Face) -> Fit:
        """Fits of single photographs. The light is a first one over all visible skin: see ``relight``."""
        return self._fit(face, together=False)

    @torch.no_grad()
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
        camera = self._camera(face)
        state = self.solve(face, camera, together)
        k = self.basis.identities
        light = face.image.new_zeros(len(face), 9, 3)
        identity, expression = state.coefficients[:, :k], state.coefficients[:, k:]
        fit = Fit(identity, expression, state.rotation, state.translation, light, camera)
        return self.relight(face, fit, torch.ones_like(face.valid))

    def _camera(self, face: Face) -> Camera:
        height, width = face.image.shape[-2:]
        focal = face.landmarks.new_full((len(face),), self.settings.focal * width)
        principal = face.landmarks.new_tensor([[width / 2, height / 2]]).repeat(len(face), 1)
        return Camera(focal, principal, height, width)

    def solve(self, face: Face, camera: Camera, together: bool) -> State:
        """Geometry alone."""
        settings, basis = self.settings, self.basis
        identity = face.blendshapes.new_zeros(len(face), basis.identities)
        coefficients = torch.cat([identity, face.blendshapes.clamp(0, 1)], dim=1)
        start = affine_pose(basis, basis.positions(coefficients), face.landmarks, camera)
        state = State(start.rotation, start.translation, coefficients)
        target = Target(
            landmarks=face.landmarks,
            camera=camera,
            expression=coefficients[:, basis.identities :],
            expression_precision=self.expression_precision,
            pixels=camera.focal / -start.translation[:, 2] * basis.unit,
            sigma=settings.sigma,
            outlier=settings.outlier,
            averted=settings.averted,
        )
        for _ in range(settings.pose_rounds):
            state = pose_round(basis, state, target)
        normal = None
        for number in range(settings.full_rounds):
            kept = None if number < settings.matrix_rounds else normal
            state, normal = full_round(basis, state, target, together, kept)
        return state


def landmark_basis(model: MorphableModel, settings: LandmarkFitSettings) -> LandmarkBasis:
    """The model at its landmarks only."""
    template = model.landmarks(model.template[None])[0]
    directions = torch.cat([model.identity_basis, model.expression_basis])
    basis = model.landmarks(directions).permute(1, 2, 0).contiguous()
    normals = torch.nn.functional.normalize(model.landmarks(model.normals(model.template[None]))[0], dim=-1)
    weights = torch.ones_like(template[:, 0])
    weights[MESH_LANDMARKS:] = settings.iris
    corners = template[list(OUTER_EYE_CORNERS)]
    return LandmarkBasis(template, basis, normals, weights, len(model.identity_basis), float((corners[0] - corners[1]).norm()))


def landmark_error(model: MorphableModel, face: Face, fit: Fit) -> Tensor:
    """(B, 468): distance of each fitted mesh landmark from the detected one over the detected outer eye distance."""
    points = model.landmarks(model.vertices(fit.identity, fit.expression))
    pixels = fit.camera.project(points @ fit.rotation.transpose(1, 2) + fit.translation[:, None])[..., :2]
    right, left = (face.landmarks[:, corner] for corner in OUTER_EYE_CORNERS)
    distance = (pixels - face.landmarks).norm(dim=-1)[:, :MESH_LANDMARKS]
    return distance / (right - left).norm(dim=-1, keepdim=True)
