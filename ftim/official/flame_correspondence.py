"""Which points of the open head's face lie on which vertices of FLAME: found once from FLAME's template.

The open head is laid over the template by its two eyeballs and the tip of its nose, then fitted by rounds of closest
points: pose, size and identity move towards the template, mostly along its normals, until the surfaces agree. The two
heads differ in size; DECA's orthographic camera makes that a matter of its scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.errors import ModelFileError
from ftim.morphable import MorphableModel, Region
from ftim.official.mesh import connected_parts, skin_vertices, vertex_normals
from ftim.official.registration import closest_on_surface, rigid, sphere_centre
from ftim.rotation import axis_angle_to_matrix, orthonormal
from ftim.structures import Batched


@dataclass(frozen=True)
class CorrespondenceSettings:
    """Settings of the search. Lengths are metres."""

    rounds: int = 20
    far: float = 0.02
    """Distance at which points are left out in the first round; it falls to ``near`` by the last."""
    near: float = 0.004
    facing: float = 0.7
    """Smallest cosine between the normals of two points that may correspond."""
    along: float = 0.1
    """Weight of the distance along the surface, relative to that across it."""
    sigma: float = 0.002
    """Distance that balances the identity's prior."""
    candidates: int = 8
    """Triangles with the nearest centres, among which the closest point is sought."""
    fewest: int = 500
    """Points without which the heads are not taken to agree."""


@dataclass(frozen=True)
class Correspondence(Batched):
    """N pairs of points."""

    vertices: Tensor
    """(N,) of FLAME."""
    triangles: Tensor
    """(N,) of the open head."""
    barycentrics: Tensor
    """(N, 3)."""
    size: Tensor
    """(N,) all equal: metres of the open head over metres of FLAME."""

    def on(self, model: MorphableModel, values: Tensor) -> Tensor:
        """(B, V, 3) vertices or directions of the open head -> (B, N, 3) at the points."""
        return (values[:, model.triangles[self.triangles]] * self.barycentrics[:, :, None]).sum(2)


def find_correspondence(
    model: MorphableModel, template: Tensor, triangles: Tensor, settings: CorrespondenceSettings | None = None
) -> Correspondence:
    """Match a FLAME template (5023, 3) in metres with its (F, 3) triangles.

    Raises ``ModelFileError`` when the two do not come to agree.
    """
    settings = settings or CorrespondenceSettings()
    head = model.to("cpu")
    skin = skin_vertices(triangles.cpu(), len(template))
    flame = template.cpu().double()
    normals = vertex_normals(flame[None], triangles.cpu())[0, skin]
    points = flame[skin]
    own_anchors, anchors = _anchors_open_head(head), _anchors_flame(flame, triangles.cpu())
    size = (own_anchors[1] - own_anchors[0]).norm() / (anchors[1] - anchors[0]).norm()
    rotation, translation = rigid(own_anchors / size, anchors)
    neutral, basis = head.template.double(), head.identity_basis.double()
    identity = torch.zeros(len(basis), dtype=torch.float64)
    surface = _skin_triangles(head)
    for number in range(settings.rounds + 1):
        vertices = neutral + (identity @ basis.flatten(1)).view_as(neutral)
        # Everything happens in the open head's space: FLAME is brought there.
        placed, placed_normals = size * (points - translation) @ rotation, normals @ rotation
        found, weights = closest_on_surface(placed, vertices[head.triangles[surface]], settings.candidates)
        on = surface[found]
        corners = head.triangles[on]
        residual = placed - (vertices[corners] * weights[:, :, None]).sum(1)
        own = vertex_normals(vertices[None], head.triangles)[0]
        own = F.normalize((own[corners] * weights[:, :, None]).sum(1), dim=1)
        progress = min(1.0, 2 * number / settings.rounds)
        limit = settings.far * (settings.near / settings.far) ** progress
        kept = (residual.norm(dim=1) < limit) & ((own * placed_normals).sum(1) > settings.facing)
        kept &= head.regions[on] == int(Region.FACE)
        if int(kept.sum()) < settings.fewest:
            raise ModelFileError(
                f"FLAME's template does not fit the open head: {int(kept.sum())} of its vertices lie near the face, "
                f"{settings.fewest} are needed. Is generic_model.pkl the official file?"
            )
        if number == settings.rounds:
            break
        offsets = (basis[:, corners[kept]] * weights[kept, :, None]).sum(2)
        step = _step(placed[kept] - residual[kept], residual[kept], own[kept], offsets, identity, settings)
        identity = identity + step[7:]
        translation = translation + rotation @ step[3:6] / size
        size = size / (1 + step[6])
        rotation = orthonormal(rotation[None] @ axis_angle_to_matrix(step[None, :3]))[0]
    return Correspondence(skin[kept], on[kept], weights[kept].float(), size.float().expand(int(kept.sum())))


def _step(
    places: Tensor,
    residual: Tensor,
    normals: Tensor,
    offsets: Tensor,
    identity: Tensor,
    settings: CorrespondenceSettings,
) -> Tensor:
    """(7 + K,): turn, shift, growth and change of identity that bring (N, 3) ``places`` ``residual`` further."""
    count = len(places)
    axes = torch.eye(3, dtype=places.dtype)
    turns = torch.linalg.cross(axes[None].expand(count, 3, 3), places[:, None].expand(count, 3, 3), dim=-1)
    jacobian = torch.cat([turns.mT, axes.expand(count, 3, 3), places[..., None], offsets.permute(1, 2, 0)], dim=2)
    along = settings.along
    # The square root of n n^T + along^2 (1 - n n^T).
    metric = along * axes + (1 - along) * normals[:, :, None] * normals[:, None]
    jacobian = (metric @ jacobian).flatten(0, 1)
    goal = (metric @ residual[..., None]).flatten()
    # As many independent points as there are square centimetres or so: neighbours agree.
    precision = 300 / count / settings.sigma**2
    normal = precision * jacobian.T @ jacobian
    right = precision * jacobian.T @ goal
    prior = torch.cat([torch.full((7,), 1e-3, dtype=places.dtype), torch.ones_like(identity)])
    right[7:] -= identity
    return torch.linalg.solve(normal + torch.diag(prior), right)


def _anchors_flame(template: Tensor, triangles: Tensor) -> Tensor:
    """(3, 3): the eyeballs' centres at smaller and at larger x, and the tip of the nose."""
    parts = connected_parts(triangles, len(template))
    if len(parts) < 3 or min(len(part) for part in parts) < 20:
        raise ModelFileError("FLAME's template has no two eyeballs beside its skin: is generic_model.pkl the official?")
    return _anchors(template, parts[0], parts[1], parts[2])


def _anchors_open_head(head: MorphableModel) -> Tensor:
    balls = head.triangles[head.regions == int(Region.EYES)]
    skin = skin_vertices(head.triangles, len(head.template))
    alone = torch.unique(balls)[~torch.isin(torch.unique(balls), skin)]
    left = head.template[alone, 0] < 0
    return _anchors(head.template.double(), skin, alone[left], alone[~left])


def _anchors(vertices: Tensor, skin: Tensor, first: Tensor, second: Tensor) -> Tensor:
    eyes = sorted((sphere_centre(vertices[first]), sphere_centre(vertices[second])), key=lambda point: float(point[0]))
    return torch.stack([*eyes, vertices[skin[vertices[skin, 2].argmax()]]])


def _skin_triangles(head: MorphableModel) -> Tensor:
    """(M,) the triangles of the connected skin, with the inside of lids and lips: a vertex may lie on those too."""
    skin = skin_vertices(head.triangles, len(head.template))
    return torch.isin(head.triangles[:, 0], skin).nonzero()[:, 0]
