"""Regularised Gauss-Newton for pose, identity and expression from 2D landmarks, in batch.

Each photo i has landmarks z_in in crop pixels. With the head's landmark positions
``p_n(a, e) = T_n + sum_k a_k A_nk + sum_j e_j E_nj`` the fit minimises

    sum_n w_n rho(|project(R p_n + t) - z_n| / u) / sigma^2 + |a|^2 + sum_j (e_j - e0_j)^2 / s_j^2

over rotation R, translation t, identity a and expression e in [0, 1], where u is the size of
the face in pixels, e0 are MediaPipe's scores and rho is the Geman-McClure-like loss of the
weight ``1 / (1 + r^2 / c^2)^2``. The bounds are kept by an active set within every round.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ftim.rotation import axis_angle_to_matrix, orthonormal
from ftim.structures import Camera

POSE = 6
"""Numbers of a pose update: three of rotation (radians), three of translation (tenths of a metre)."""
TRANSLATION_UNIT = 0.1
"""Metres; brings translations to the order of magnitude of the other unknowns."""


@dataclass(frozen=True)
class LandmarkBasis:
    """A morphable model reduced to its landmarks."""

    template: Tensor
    """(N, 3) metres."""
    basis: Tensor
    """(N, 3, K + E): identity, then expression; metres."""
    normals: Tensor
    """(N, 3) unit normals of the template."""
    weights: Tensor
    """(N,) what each landmark counts."""
    identities: int
    """K."""
    unit: float
    """Metres between the outer eye corners of the template; errors are measured in it."""

    def positions(self, coefficients: Tensor) -> Tensor:
        """(B, K + E) -> (B, N, 3)."""
        return self.template + (coefficients @ self.basis.flatten(0, 1).T).view(-1, *self.template.shape)


@dataclass(frozen=True)
class State:
    """The unknowns of a batch."""

    rotation: Tensor
    """(B, 3, 3)."""
    translation: Tensor
    """(B, 3) metres."""
    coefficients: Tensor
    """(B, K + E)."""


@dataclass(frozen=True)
class Target:
    """What the unknowns are fitted to, per photo."""

    landmarks: Tensor
    """(B, N, 2) crop pixels."""
    camera: Camera
    expression: Tensor
    """(B, E): where the expression is drawn to."""
    expression_precision: Tensor
    """(E,) one over the variance around it."""
    pixels: Tensor
    """(B,) pixels that ``LandmarkBasis.unit`` covers: the unit of the residuals."""
    sigma: float
    """Expected landmark error in that unit; what the priors are balanced against."""
    outlier: float
    """Residual in that unit at which a landmark counts a quarter."""
    averted: float
    """Weight left to landmarks on surfaces that face away from the camera."""


def affine_pose(basis: LandmarkBasis, positions: Tensor, landmarks: Tensor, camera: Camera, rounds: int = 3) -> State:
    """A first pose without a starting point: the affine camera nearest to the landmarks, made rigid.

    ``positions`` (B, N, 3) in head space and ``landmarks`` (B, N, 2) in pixels; the least squares are
    repeated with weights that forget outliers. The coefficients of the result are zero.
    """
    centred = torch.stack(
        [landmarks[..., 0] - camera.principal[:, :1], camera.principal[:, 1:] - landmarks[..., 1]], -1
    )
    homogeneous = torch.cat([positions, torch.full_like(positions[..., :1], basis.unit)], dim=-1)
    weights = basis.weights.expand(len(positions), -1)[..., None]
    for _ in range(rounds):
        normal = (homogeneous * weights).transpose(1, 2) @ homogeneous
        affine = torch.linalg.solve(normal, (homogeneous * weights).transpose(1, 2) @ centred)
        residual = (homogeneous @ affine - centred).square().sum(-1, keepdim=True)
        typical = residual.median(1, keepdim=True).values.clamp_min(1e-12)
        weights = basis.weights[:, None] / (1 + residual / (4 * typical)).square()
    linear = affine[:, :3].transpose(1, 2)
    # Nearest pair of orthonormal rows: M (M M^T)^(-1/2), with the square root of a 2 x 2 matrix in closed form.
    gram = linear @ linear.transpose(1, 2)
    determinant = torch.linalg.det(gram).clamp_min(1e-12).sqrt()
    trace = (gram.diagonal(dim1=1, dim2=2).sum(1) + 2 * determinant).sqrt()
    eye = torch.eye(2, dtype=gram.dtype, device=gram.device)
    root = (gram + determinant[:, None, None] * eye) / trace[:, None, None]
    rows = torch.linalg.solve(root, linear)
    rotation = torch.cat([rows, torch.linalg.cross(rows[:, 0], rows[:, 1])[:, None]], dim=1)
    scale = root.diagonal(dim1=1, dim2=2).mean(1)
    depth = camera.focal / scale
    # ``affine`` maps the head's origin; the scale holds at the centroid, which lies elsewhere along the view.
    centroid = (rotation @ positions.mean(1)[..., None])[..., 0]
    planar = affine[:, 3] * basis.unit / scale[:, None]
    middle = planar + centroid[:, :2]
    translation = torch.cat([middle - centroid[:, :2], (-depth - centroid[:, 2])[:, None]], dim=1)
    empty = torch.zeros(len(positions), basis.basis.shape[2], dtype=positions.dtype, device=positions.device)
    return State(rotation, translation, empty)


@dataclass(frozen=True)
class Linearized:
    """The landmark term around a state: weighted residuals and their derivatives by the landmarks."""

    slope: Tensor
    """(B, 2, N, 3) derivative of both pixel axes by the camera-space landmark, times the root of its weight."""
    residual: Tensor
    """(B, 2, N) likewise weighted."""
    turned: Tensor
    """(B, N, 3) landmarks rotated but not translated: the lever arms of rotations."""
    by_head: Tensor
    """(B, 2, N, 3) ``slope`` for landmarks moved in head space."""


def linearize(basis: LandmarkBasis, state: State, target: Target) -> Linearized:
    """Residuals in units of sigma, with robust and visibility weights folded in."""
    camera = target.camera
    turned = basis.positions(state.coefficients) @ state.rotation.transpose(1, 2)
    points = turned + state.translation[:, None]
    x, y, z = points.unbind(-1)
    gain = camera.focal[:, None] / -z
    unit = target.pixels[:, None]
    residual_x = (camera.principal[:, :1] + gain * x - target.landmarks[..., 0]) / unit
    residual_y = (camera.principal[:, 1:] - gain * y - target.landmarks[..., 1]) / unit
    squared = residual_x.square() + residual_y.square()
    # Facing: cosine between the normal and the ray to the camera, which sits at the origin.
    cosine = -((basis.normals @ state.rotation.transpose(1, 2)) * points).sum(-1) / points.norm(dim=-1)
    facing = target.averted + (1 - target.averted) * (cosine / 0.5 + 0.5).clamp(0, 1)
    weights = basis.weights * facing / (1 + squared / target.outlier**2).square() / target.sigma**2
    root = weights.sqrt()
    gain = gain / unit * root
    zero = torch.zeros_like(gain)
    slope_x = torch.stack([gain, zero, gain * x / -z], -1)
    slope_y = torch.stack([zero, -gain, -gain * y / -z], -1)
    slope = torch.stack([slope_x, slope_y], dim=1)
    residual = torch.stack([residual_x * root, residual_y * root], dim=1)
    return Linearized(slope, residual, turned, slope @ state.rotation[:, None])


def pose_jacobian(linear: Linearized) -> Tensor:
    """(B, 2 N, 6) derivatives by a small turn before the camera and a shift: w . (p x slope) and slope."""
    turn = torch.linalg.cross(linear.turned[:, None].expand_as(linear.slope), linear.slope)
    return torch.cat([turn, linear.slope * TRANSLATION_UNIT], dim=-1).flatten(1, 2)


def gradient(basis: LandmarkBasis, linear: Linearized, pose: Tensor) -> Tensor:
    """``-J^T r`` (B, K + E + 6): the cheap half of the normal equations."""
    pull = (linear.by_head * linear.residual[..., None]).sum(1)
    shape = pull.flatten(1) @ basis.basis.flatten(0, 1)
    return -torch.cat([shape, (linear.residual.flatten(1)[:, None] @ pose)[:, 0]], dim=1)


def normal_matrix(basis: LandmarkBasis, linear: Linearized, pose: Tensor) -> Tensor:
    """``J^T J`` (B, P, P), P = K + E + 6. Columns: identity, expression, rotation, translation."""
    batch, _, landmarks, _ = linear.slope.shape
    count = basis.basis.shape[2]
    # One photo after the other: its Jacobian stays in the processor's cache.
    jacobian = pose.new_empty(2, landmarks, count + POSE)
    shape = jacobian[..., :count]
    result = pose.new_empty(batch, count + POSE, count + POSE)
    axes = basis.basis.unbind(1)
    for photo in range(batch):
        jacobian[..., count:] = pose[photo].view(2, landmarks, POSE)
        x, y, z = linear.by_head[photo, ..., None].unbind(2)
        torch.mul(x, axes[0], out=shape)
        shape.addcmul_(y, axes[1]).addcmul_(z, axes[2])
        flat = jacobian.view(2 * landmarks, -1)
        torch.mm(flat.T, flat, out=result[photo])
    return result


def solve_separate(normal: Tensor, right: Tensor) -> Tensor:
    """(B, P, P), (B, P) -> (B, P): one solution a photo."""
    return torch.cholesky_solve(right[..., None], torch.linalg.cholesky(normal))[..., 0]


def solve_together(normal: Tensor, right: Tensor, identities: int) -> Tensor:
    """(B, P, P), (B, P) -> (B, P): the first ``identities`` unknowns are common to all photos.

    The matrix has the shape of an arrow; the unknowns of each photo are eliminated first (Schur complement).
    """
    common, cross = normal[:, :identities, :identities], normal[:, identities:, :identities]
    factor = torch.linalg.cholesky(normal[:, identities:, identities:])
    solved = torch.cholesky_solve(torch.cat([cross, right[:, identities:, None]], dim=2), factor)
    reduced = (common - cross.transpose(1, 2) @ solved[..., :-1]).sum(0)
    reduced_right = (right[:, :identities] - (cross.transpose(1, 2) @ solved[..., -1:])[..., 0]).sum(0)
    shared = torch.cholesky_solve(reduced_right[:, None], torch.linalg.cholesky(reduced))
    own = solved[..., -1] - (solved[..., :-1] @ shared)[..., 0]
    return torch.cat([shared.T.expand(len(right), -1), own], dim=1)


def solve_bounded(normal: Tensor, right: Tensor, low: Tensor, high: Tensor, identities: int, together: bool) -> Tensor:
    """The solution with each unknown in [low, high] (B, P), by one round of an active set."""

    def solve(matrix: Tensor, vector: Tensor) -> Tensor:
        return solve_together(matrix, vector, identities) if together else solve_separate(matrix, vector)

    step = solve(normal, right)
    bounded = step.clamp(low, high)
    fixed = bounded != step
    fixed_step = torch.where(fixed, bounded, torch.zeros_like(bounded))
    free = (~fixed).to(normal.dtype)
    reduced = normal * free[:, :, None] * free[:, None, :] + torch.diag_embed(1 - free)
    remaining = (right - (normal @ fixed_step[..., None])[..., 0]) * free + fixed_step
    return solve(reduced, remaining).clamp(low, high)


def moved(state: State, pose_step: Tensor, coefficients: Tensor) -> State:
    """The state after a pose step (B, 6) and with other coefficients."""
    turn = axis_angle_to_matrix(pose_step[:, :3])
    # The rotation turns about the head's origin: camera point = exp(w) R p + t.
    rotation = orthonormal(turn @ state.rotation)
    return State(rotation, state.translation + TRANSLATION_UNIT * pose_step[:, 3:], coefficients)


def pose_round(basis: LandmarkBasis, state: State, target: Target) -> State:
    """One Gauss-Newton round over the pose alone."""
    linear = linearize(basis, state, target)
    pose = pose_jacobian(linear)
    transposed = pose.transpose(1, 2)
    right = -(transposed @ linear.residual.flatten(1)[..., None])[..., 0]
    return moved(state, solve_separate(transposed @ pose, right), state.coefficients)


def full_round(
    basis: LandmarkBasis, state: State, target: Target, together: bool, normal: Tensor | None = None
) -> tuple[State, Tensor]:
    """One Gauss-Newton round over everything: the new state, and the normal matrix with its priors.

    A ``normal`` matrix of an earlier round may be used again: only the gradient decides where the rounds
    end, and the matrix costs ten times as much.
    """
    linear = linearize(basis, state, target)
    pose = pose_jacobian(linear)
    right = gradient(basis, linear, pose)
    count, k = basis.basis.shape[2], basis.identities
    identity, expression = state.coefficients[:, :k], state.coefficients[:, k:]
    # With one identity for all photos its prior is shared out among them, so that it counts once.
    identity_precision = 1 / len(identity) if together else 1.0
    if normal is None:
        normal = normal_matrix(basis, linear, pose)
        precision = [torch.full_like(identity[0], identity_precision), target.expression_precision]
        normal.diagonal(dim1=1, dim2=2)[:, :count] += torch.cat(precision)
    right[:, :k] -= identity_precision * identity
    right[:, k:count] -= target.expression_precision * (expression - target.expression)
    low, high = torch.full_like(right, -torch.inf), torch.full_like(right, torch.inf)
    low[:, k:count], high[:, k:count] = -expression, 1 - expression
    step = solve_bounded(normal, right, low, high, k, together)
    coefficients = state.coefficients + step[:, :count]
    coefficients = torch.cat([coefficients[:, :k], coefficients[:, k:].clamp(0, 1)], dim=1)
    return moved(state, step[:, count:], coefficients), normal
