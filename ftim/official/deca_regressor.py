"""FTIM's 3DMM regressor on DECA: DECA sees a FLAME head in the photograph, and the open head is laid over it.

FTIM's networks, template and expressions live on the open head. So FLAME's surface, as DECA turned and placed it, is
what the open head is fitted to: dense points in three dimensions instead of landmarks in two.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ftim.landmarks import LANDMARK_COUNT
from ftim.morphable import EXPRESSIONS, MorphableModel
from ftim.official.crops import INPUT_SIDE, InnerCrop, check_landmarks, deca_crop
from ftim.official.deca_code import DecaCode, load_deca_networks
from ftim.official.files import DECA_MODEL, FLAME_MODEL, require
from ftim.official.flame import Flame, load_flame
from ftim.official.flame_correspondence import Correspondence, find_correspondence
from ftim.official.networks import DecaEncoder
from ftim.official.registration import rigid
from ftim.regressors.face_points import FacePoints
from ftim.regressors.gauss_newton import solve_bounded
from ftim.regressors.light import LightSettings, fit_light
from ftim.render.rasterizer import Rasterizer
from ftim.rotation import axis_angle_to_matrix, orthonormal
from ftim.structures import Camera, Face, Fit


@dataclass(frozen=True)
class DecaRegressorSettings:
    """Settings of the fit. Lengths are metres."""

    distance: float = 200.0
    """From the camera to the face. DECA's camera is orthographic; this one differs from it, at a point q pixels from
    the crop's centre and Z metres before or behind the face, by q Z / distance: at most 0.084 pixels inside a crop of
    224 for any point of a head (q <= 112 along each axis, Z <= 0.15), and 0.03 on the face (Z <= 0.06)."""
    rounds: int = 6
    """Gauss-Newton."""
    sigma: float = 0.0027
    """Distance that balances the priors, as the landmark fit has it; all points together count as 478."""
    expression_sigma: float = 0.3
    """Standard deviation of expression weights around MediaPipe's scores."""
    gaze_sigma: float = 0.5
    """The same for eye movements."""
    light: LightSettings = field(default_factory=LightSettings)


class DecaRegressor:
    """As ``ftim.regressors.landmarks.LandmarkRegressor``: the same calls, the same kind of ``Fit``."""

    name = "deca"

    def __init__(
        self,
        model: MorphableModel,
        rasterizer: Rasterizer,
        template_albedo: Tensor,
        encoder: DecaEncoder,
        flame: Flame,
        settings: DecaRegressorSettings | None = None,
    ) -> None:
        """All on one device; ``template_albedo`` (3, T, T). Raises ``ModelFileError`` when the heads do not agree."""
        self.model = model
        self.encoder = encoder
        self.flame = flame
        self.settings = settings or DecaRegressorSettings()
        self.points = FacePoints(model, rasterizer, template_albedo)
        self.correspondence = find_correspondence(model, flame.template, flame.triangles).to(model.template.device)
        self._surface = DenseBasis.build(model, self.correspondence, self.settings)

    @classmethod
    def load(
        cls,
        model: MorphableModel,
        rasterizer: Rasterizer,
        template_albedo: Tensor,
        folder: str | os.PathLike[str] | None = None,
    ) -> DecaRegressor:
        """From deca_model.tar and generic_model.pkl in ``folder``, by default FTIM_OFFICIAL.

        Raises ``OfficialFilesMissingError``, ``OfficialLayoutError``, or ``ModelFileError``.
        """
        paths = require("deca-regressor", folder)
        device = model.template.device
        networks = load_deca_networks(paths[DECA_MODEL], device)
        return cls(model, rasterizer, template_albedo, networks.coarse, load_flame(paths[FLAME_MODEL]).to(device))

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

    @torch.no_grad()
    def _fit(self, face: Face, together: bool) -> Fit:
        if len(face) == 0:
            raise ValueError("no face to fit")
        check_landmarks(face)
        crop = deca_crop(face)
        code = DecaCode.split(self.encoder(crop.cut(face)))
        fit = self._placed(face, crop, code, together)
        return self.relight(face, fit, torch.ones_like(face.valid))

    def _placed(self, face: Face, crop: InnerCrop, code: DecaCode, together: bool) -> Fit:
        """The open head on DECA's FLAME, before a camera far away; its light left 0."""
        height, width = face.image.shape[-2:]
        # In metres of the open head: the orthographic camera's scale takes up the difference in size.
        size = self.correspondence.size[0]
        target = size * code.vertices(self.flame)[:, self.correspondence.vertices]
        found = fit_surface(self._surface, target, face.blendshapes.clamp(0, 1), self.settings, together)
        gain = code.pixels_per_metre(crop) / size
        # DECA shifts the head in its own plane; the input's middle lies elsewhere in our crop than the crop's.
        middle = (INPUT_SIDE / 2 - crop.shift) / crop.scale[:, None] - crop.shift.new_tensor([width / 2, height / 2])
        across = size * code.camera[:, 1:] + middle * middle.new_tensor([1, -1]) / gain[:, None]
        back = target[..., 2].mean(1, keepdim=True) + self.settings.distance
        translation = found.translation + torch.cat([across, -back], dim=1)
        principal = crop.shift.new_tensor([[width / 2, height / 2]]).repeat(len(face), 1)
        camera = Camera(gain * self.settings.distance, principal, height, width)
        light = face.landmarks.new_zeros(len(face), 9, 3)
        return Fit(found.identity, found.expression, found.rotation, translation, light, camera)


@dataclass(frozen=True)
class DenseBasis:
    """The open head at the points that correspond to FLAME's vertices, in double precision."""

    template: Tensor
    """(N, 3) metres."""
    basis: Tensor
    """(3 N, K + E): identity, then expression."""
    normal: Tensor
    """(K + E, K + E): ``basis.T @ basis``."""
    identities: int
    """K."""
    expression_precision: Tensor
    """(E,) one over the variance of the weights."""

    @classmethod
    def build(cls, model: MorphableModel, points: Correspondence, settings: DecaRegressorSettings) -> DenseBasis:
        """``points`` and ``model`` on one device."""
        directions = points.on(model, torch.cat([model.identity_basis, model.expression_basis])).double()
        basis = directions.permute(1, 2, 0).flatten(0, 1).contiguous()
        gaze = torch.tensor([name.startswith("eyeLook") for name in EXPRESSIONS], device=basis.device)
        sigma = torch.where(gaze, settings.gaze_sigma, settings.expression_sigma).double()
        template = points.on(model, model.template[None])[0].double()
        return cls(template, basis, basis.T @ basis, len(model.identity_basis), sigma.square().reciprocal())


@dataclass(frozen=True)
class SurfaceFit:
    """An open head laid over points."""

    identity: Tensor
    """(B, K)."""
    expression: Tensor
    """(B, E)."""
    rotation: Tensor
    """(B, 3, 3)."""
    translation: Tensor
    """(B, 3) metres."""


def fit_surface(
    surface: DenseBasis, target: Tensor, expression: Tensor, settings: DecaRegressorSettings, together: bool
) -> SurfaceFit:
    """Pose, identity and expression that bring the head's points to ``target`` (B, N, 3) metres, by Gauss-Newton.

    Minimises the weighted squared distances, plus |identity|^2, plus the squared distance of the expression from
    ``expression`` (B, E) in its standard deviations; weights stay in [0, 1]. Together: one identity for all.
    """
    goal, prior = target.double(), expression.double()
    batch, count = goal.shape[:2]
    k, total = surface.identities, surface.basis.shape[1]
    weight = LANDMARK_COUNT / count / settings.sigma**2
    coefficients = torch.cat([goal.new_zeros(batch, k), prior], dim=1)
    starts = [rigid(surface.template.cpu(), points.cpu()) for points in goal]
    rotation = torch.stack([start[0] for start in starts]).to(goal.device)
    translation = torch.stack([start[1] for start in starts]).to(goal.device)
    share = 1 / batch if together else 1.0
    precision = torch.cat([goal.new_full((k,), share), surface.expression_precision])
    wanted = torch.cat([goal.new_zeros(batch, k), prior], dim=1)
    axes = torch.eye(3, dtype=goal.dtype, device=goal.device)
    for _ in range(settings.rounds):
        places = surface.template + (coefficients @ surface.basis.T).view_as(goal)
        # In head space, where the directions of shape are the same for every pose.
        residual = (goal - translation[:, None]) @ rotation - places
        turns = torch.linalg.cross(axes.expand(batch, count, 3, 3), places[:, :, None].expand(-1, -1, 3, -1), dim=-1)
        pose = torch.cat([turns.mT, axes.expand(batch, count, 3, 3)], dim=3).flatten(1, 2)
        cross = surface.basis.T @ pose
        top = torch.cat([surface.normal.expand(batch, -1, -1), cross], dim=2)
        normal = weight * torch.cat([top, torch.cat([cross.mT, pose.mT @ pose], dim=2)], dim=1)
        normal.diagonal(dim1=1, dim2=2)[:, :total] += precision
        flat = residual.flatten(1)
        right = weight * torch.cat([flat @ surface.basis, (flat[:, None] @ pose)[:, 0]], dim=1)
        right[:, :total] += precision * (wanted - coefficients)
        low, high = torch.full_like(right, -torch.inf), torch.full_like(right, torch.inf)
        low[:, k:total], high[:, k:total] = -coefficients[:, k:], 1 - coefficients[:, k:]
        step = solve_bounded(normal, right, low, high, k, together)
        coefficients = coefficients + step[:, :total]
        translation = translation + (rotation @ step[:, total + 3 :, None])[..., 0]
        rotation = orthonormal(rotation @ axis_angle_to_matrix(step[:, total : total + 3]))
    parts = (coefficients[:, :k], coefficients[:, k:].clamp(0, 1), rotation, translation)
    return SurfaceFit(*(part.to(target.dtype) for part in parts))
