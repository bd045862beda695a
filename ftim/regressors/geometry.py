"""The geometric fit: landmarks and expression scores -> camera, pose, identity, expression."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ftim.landmarks import LEFT_EYE_OUTER, MESH_LANDMARK_COUNT, RIGHT_EYE_OUTER
from ftim.morphable import EXPRESSIONS, MorphableModel
from ftim.regressors.gauss_newton import LandmarkBasis, State, Target, affine_pose, full_round, pose_round
from ftim.structures import Camera, Face, Fit


@dataclass(frozen=True)
class GeometrySettings:
    """Settings of the geometric fit. Lengths are in units of the outer eye distance of the template.

    Chosen on training people of FRLL: the values under which an identity found in one view best
    explains the landmarks of the other views.
    """

    focal: float = 2.0
    """Focal length over crop side."""
    pose_rounds: int = 2
    """Gauss-Newton rounds over the pose alone."""
    full_rounds: int = 4
    """Gauss-Newton rounds over pose, identity and expression; more change no coefficient by 0.01."""
    matrix_rounds: int = 2
    """How many of them, from the first, renew the normal matrix; the others use the last one again."""
    sigma: float = 0.03
    """Landmark error that balances the priors; above the real error, since errors of neighbours agree."""
    outlier: float = 0.1
    """Residual at which a landmark counts a quarter."""
    averted: float = 0.3
    """Weight of landmarks on surfaces that face away."""
    iris: float = 0.3
    """Weight of the iris landmarks."""
    expression_sigma: float = 0.3
    """Standard deviation of expression weights around MediaPipe's scores."""
    gaze_sigma: float = 0.5
    """The same for the eye movements, which the irises show well."""


class LandmarkFitter:
    """Fits a model to landmarks. Photos are independent, or of one person: one identity."""

    def __init__(self, model: MorphableModel, settings: GeometrySettings) -> None:
        self.settings = settings
        self.basis = landmark_basis(model, settings)
        gaze = torch.tensor([name.startswith("eyeLook") for name in EXPRESSIONS], device=model.template.device)
        sigma = torch.where(gaze, settings.gaze_sigma, settings.expression_sigma)
        self.expression_precision = (1 / sigma.square()).to(model.template.dtype)

    @torch.no_grad()
    def __call__(self, face: Face, together: bool) -> Fit:
        """The fit with its light left 0."""
        height, width = face.image.shape[-2:]
        focal = face.landmarks.new_full((len(face),), self.settings.focal * width)
        principal = face.landmarks.new_tensor([[width / 2, height / 2]]).repeat(len(face), 1)
        camera = Camera(focal, principal, height, width)
        state = self._solve(face, camera, together)
        k = self.basis.identities
        identity, expression = state.coefficients[:, :k], state.coefficients[:, k:]
        light = face.landmarks.new_zeros(len(face), 9, 3)
        return Fit(identity, expression, state.rotation, state.translation, light, camera)

    def target(self, face: Face, camera: Camera, depth: Tensor) -> Target:
        """What the rounds aim at; ``depth`` (B,) metres sets the size of the face."""
        return Target(
            landmarks=face.landmarks,
            camera=camera,
            expression=face.blendshapes.clamp(0, 1),
            expression_precision=self.expression_precision,
            pixels=camera.focal / depth * self.basis.unit,
            sigma=self.settings.sigma,
            outlier=self.settings.outlier,
            averted=self.settings.averted,
        )

    def _solve(self, face: Face, camera: Camera, together: bool) -> State:
        settings, basis = self.settings, self.basis
        identity = face.blendshapes.new_zeros(len(face), basis.identities)
        coefficients = torch.cat([identity, face.blendshapes.clamp(0, 1)], dim=1)
        start = affine_pose(basis, basis.positions(coefficients), face.landmarks, camera)
        state = State(start.rotation, start.translation, coefficients)
        target = self.target(face, camera, -start.translation[:, 2])
        for _ in range(settings.pose_rounds):
            state = pose_round(basis, state, target)
        normal = None
        for number in range(settings.full_rounds):
            kept = None if number < settings.matrix_rounds else normal
            state, normal = full_round(basis, state, target, together, kept)
        return state


def landmark_basis(model: MorphableModel, settings: GeometrySettings) -> LandmarkBasis:
    """The model at its landmarks only."""
    template = model.landmarks(model.template[None])[0]
    directions = torch.cat([model.identity_basis, model.expression_basis])
    basis = model.landmarks(directions).permute(1, 2, 0).contiguous()
    normals = torch.nn.functional.normalize(model.landmarks(model.normals(model.template[None]))[0], dim=-1)
    weights = torch.ones_like(template[:, 0])
    weights[MESH_LANDMARK_COUNT:] = settings.iris
    unit = float((template[RIGHT_EYE_OUTER] - template[LEFT_EYE_OUTER]).norm())
    return LandmarkBasis(template, basis, normals, weights, len(model.identity_basis), unit)


def landmark_error(model: MorphableModel, face: Face, fit: Fit) -> Tensor:
    """(B, 468): distance of each fitted mesh landmark from the detected one over the detected outer eye distance."""
    points = model.landmarks(model.vertices(fit.identity, fit.expression))
    pixels = fit.camera.project(points @ fit.rotation.transpose(1, 2) + fit.translation[:, None])[..., :2]
    eyes = (face.landmarks[:, RIGHT_EYE_OUTER] - face.landmarks[:, LEFT_EYE_OUTER]).norm(dim=-1, keepdim=True)
    return (pixels - face.landmarks).norm(dim=-1)[:, :MESH_LANDMARK_COUNT] / eyes
