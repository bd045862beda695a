"""A made-up head for the fits: a symmetric egg with a nose, smooth random identities and local expressions."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from ftim.morphable import EXPRESSIONS, MorphableModel, Region
from ftim.morphable.expressions import EXPRESSION_MIRROR
from ftim.render.rasterizer import Fragments, empty_fragments
from ftim.rotation import axis_angle_to_matrix
from ftim.structures import Camera, Face, Fit

SIZE = 128
ROWS, COLUMNS = 15, 31
IDENTITIES = 10
FLIP = torch.tensor([-1.0, 1.0, 1.0])


def nothing_hides(positions: Tensor, triangles: Tensor, height: int, width: int) -> Fragments:
    """A rasteriser that sees nothing, so that no point lies behind another."""
    return empty_fragments(len(positions), height, width, positions.device)


@cache
def egg_head() -> MorphableModel:
    """465 vertices; the landmarks are vertices, the second half of them opposite to the first."""
    generator = torch.Generator().manual_seed(0)
    v, u = torch.meshgrid(torch.linspace(-1.1, 1.1, ROWS), torch.linspace(-1.6, 1.6, COLUMNS), indexing="ij")
    points = torch.stack([0.075 * u.sin() * v.cos(), 0.11 * v.sin(), 0.09 * u.cos() * v.cos()], dim=-1)
    points[..., 2] += 0.03 * torch.exp(-((u / 0.25) ** 2) - (v / 0.35) ** 2)
    points = 0.5 * (points + points.flip(1) * FLIP)
    template = points.flatten(0, 1)
    index = torch.arange(ROWS * COLUMNS).view(ROWS, COLUMNS)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = torch.stack([torch.stack([a, b, d], -1), torch.stack([a, d, c], -1)]).reshape(-1, 3)
    mirror = index.flip(1).flatten()
    signs = torch.tensor([1, -1] * (IDENTITIES // 2))
    identity = torch.stack([wave(template, generator) for _ in range(IDENTITIES)])
    identity = 0.5 * (identity + signs[:, None, None] * identity[:, mirror] * FLIP)
    expression = torch.zeros(len(EXPRESSIONS), len(template), 3)
    for number, other in enumerate(EXPRESSION_MIRROR):
        centre = template[torch.randint(len(template), (1,), generator=generator)]
        bump = torch.exp(-((template - centre) / 0.03).square().sum(1))[:, None]
        expression[number] = 0.012 * bump * torch.randn(1, 3, generator=generator)
        if other < number:
            expression[number] = expression[other][mirror] * FLIP
        if other == number:
            expression[number] = 0.5 * (expression[number] + expression[number][mirror] * FLIP)
    half = torch.randint(ROWS * COLUMNS, (239,), generator=generator)
    half[33] = index[ROWS // 2 + 2, COLUMNS // 2 - 7]
    vertices = torch.cat([half, mirror[half]])
    vertices[263] = mirror[half[33]]
    vertices[263 - 239] = half[33]
    landmark_triangles = torch.stack([(triangles == vertex).any(1).nonzero()[0, 0] for vertex in vertices])
    landmark_weights = (triangles[landmark_triangles] == vertices[:, None]).float()
    uv = torch.stack([u / 3.6 + 0.5, 0.5 - v / 2.4], -1).flatten(0, 1)
    return MorphableModel(
        template, identity, expression, triangles, uv, triangles, torch.full((len(triangles),), int(Region.FACE)),
        mirror, signs, torch.tensor(EXPRESSION_MIRROR), landmark_triangles, landmark_weights, name="egg",
    )  # fmt: skip


def wave(points: Tensor, generator: torch.Generator) -> Tensor:
    """A smooth random displacement of about two millimetres."""
    frequency = 25 * torch.randn(3, 3, generator=generator)
    phase = 2 * math.pi * torch.rand(3, generator=generator)
    return 0.003 * (points @ frequency + phase).sin()


def random_fit(count: int, seed: int, focal: float = 1.6) -> Fit:
    """Heads of random shape, expression and pose (turned by up to about 60 degrees) in plain white light."""
    generator = torch.Generator().manual_seed(seed)
    identity = torch.randn(count, IDENTITIES, generator=generator)
    expression = 0.8 * torch.rand(count, len(EXPRESSIONS), generator=generator).square()
    turn = torch.randn(count, 3, generator=generator) * torch.tensor([0.2, 0.45, 0.15])
    translation = torch.tensor([0.0, 0.0, -0.3 * focal]) + 0.01 * torch.randn(count, 3, generator=generator)
    camera = Camera(torch.full((count,), focal * SIZE), torch.full((count, 2), SIZE / 2), SIZE, SIZE)
    light = torch.zeros(count, 9, 3)
    light[:, 0] = 1 / 0.2820948
    return Fit(identity, expression, axis_angle_to_matrix(turn), translation, light, camera)


def face_of(fit: Fit, image: Tensor | None = None) -> Face:
    """A face whose detector was perfect; grey where no image is given."""
    model = egg_head()
    points = model.landmarks(model.vertices(fit.identity, fit.expression))
    landmarks = fit.camera.project(points @ fit.rotation.transpose(1, 2) + fit.translation[:, None])[..., :2]
    valid = torch.ones(len(fit), 1, SIZE, SIZE)
    crop = torch.tensor([[1.0, 0.0, 0.0]]).repeat(len(fit), 1)
    if image is None:
        image = 0.5 * valid.repeat(1, 3, 1, 1)
    return Face(image, valid, landmarks, fit.expression.clone(), crop)
