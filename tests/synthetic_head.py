"""A stand-in for the head whose every property is known in closed form: a sphere with the model's interface.

Radius 0.1 m at the origin, seen from the front (+z). The poles are above and below; the UV is an equirectangular map
with a margin, symmetric about u = 0.5. There is one symmetric and one antisymmetric identity component, and two
expressions that are each other's mirror.
"""

from __future__ import annotations

import math

import torch

from ftim.morphable.expressions import EXPRESSION_MIRROR, EXPRESSIONS
from ftim.morphable.model import MorphableModel, Region
from ftim.structures import Camera, Fit

RADIUS = 0.1


def synthetic_head(rows: int = 32, columns: int = 48) -> MorphableModel:
    """A sphere of (rows + 1) x (columns + 1) vertices; column 0 and ``columns`` meet at the back."""
    latitude = torch.linspace(0, math.pi, rows + 1)
    longitude = torch.linspace(-math.pi, math.pi, columns + 1)
    theta, phi = torch.meshgrid(latitude, longitude, indexing="ij")
    # Made symmetric to the last bit, as the open head is.
    x = torch.sin(theta) * torch.sin(phi)
    x = (x - x.flip(1)) / 2
    z = torch.sin(theta) * torch.cos(phi)
    z = (z + z.flip(1)) / 2
    normal = torch.stack([x, torch.cos(theta), z], -1).view(-1, 3)
    template = RADIUS * normal

    u, v = torch.meshgrid(torch.linspace(0, 1, columns + 1), torch.linspace(0, 1, rows + 1), indexing="xy")
    u = (u + 1 - u.flip(1)) / 2
    uv = torch.stack([u, v], -1).view(-1, 2) * 0.9 + 0.05

    index = torch.arange((rows + 1) * (columns + 1)).view(rows + 1, columns + 1)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    # The diagonals of the right half mirror those of the left.
    left_half = (torch.arange(columns) < columns // 2)[None, :, None]
    lower = torch.where(left_half, torch.stack([a, b, c], -1), torch.stack([a, b, d], -1))
    upper = torch.where(left_half, torch.stack([a, c, d], -1), torch.stack([b, c, d], -1))
    triangles = torch.cat([lower.view(-1, 3), upper.view(-1, 3)])
    # The poles' triangles without area are left out.
    corners = template[triangles]
    area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=-1)
    triangles = triangles[area > 1e-9]
    centre = template[triangles].mean(1)
    regions = torch.where(centre[:, 2] > -0.02, int(Region.FACE), int(Region.SCALP))

    symmetric = normal * torch.tensor([0.0, 0.01, 0.0])
    antisymmetric = torch.zeros_like(normal)
    antisymmetric[:, 2] = 0.01 * normal[:, 0]
    expressions = torch.zeros(len(EXPRESSIONS), len(normal), 3)
    left, right = EXPRESSIONS.index("mouthSmileLeft"), EXPRESSIONS.index("mouthSmileRight")
    # The subject's left is the viewer's right: positive x.
    expressions[left] = 0.01 * normal * normal[:, :1].clamp(min=0)
    expressions[right] = 0.01 * normal * (-normal[:, :1]).clamp(min=0)
    front = torch.arange(len(triangles))[centre[:, 2] > 0]
    landmarks = front[torch.linspace(0, len(front) - 1, 478).long()]
    return MorphableModel(
        template=template,
        identity_basis=torch.stack([symmetric, antisymmetric]),
        expression_basis=expressions,
        triangles=triangles,
        uv=uv,
        uv_triangles=triangles,
        regions=regions,
        vertex_mirror=index.flip(1).reshape(-1),
        identity_mirror=torch.tensor([1.0, -1.0]),
        expression_mirror=torch.tensor(EXPRESSION_MIRROR),
        landmark_triangles=landmarks,
        landmark_barycentrics=torch.full((478, 3), 1 / 3),
        name="sphere",
    )


def synthetic_fit(model: MorphableModel, size: int = 96, batch: int = 1, turn: float = 0.0, seed: int = 0) -> Fit:
    """The head at 1 m before the camera, turned by ``turn`` radians about the vertical, in a plain soft light."""
    generator = torch.Generator().manual_seed(seed)
    cos, sin = math.cos(turn), math.sin(turn)
    light = torch.zeros(batch, 9, 3)
    light[:, 0] = 2.8
    light[:, 1:4] = torch.randn(batch, 3, 3, generator=generator) * 0.2
    camera = Camera(
        focal=torch.full((batch,), 3.5 * size),
        principal=torch.full((batch, 2), size / 2),
        height=size,
        width=size,
    )
    return Fit(
        identity=torch.zeros(batch, len(model.identity_basis)),
        expression=torch.zeros(batch, len(model.expression_basis)),
        rotation=torch.tensor([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]]).repeat(batch, 1, 1),
        translation=torch.tensor([[0.0, 0.0, -1.0]]).repeat(batch, 1),
        light=light,
        camera=camera,
    )
