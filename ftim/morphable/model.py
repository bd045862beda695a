"""A linear morphable head: template + identity basis + expression basis, with its UV atlas."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import torch
from torch import Tensor

from ftim.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from ftim.structures import Batched


class Region(IntEnum):
    """What a triangle of the head belongs to."""

    FACE = 0
    """Facial skin with lids and lips, up to the hair line, the ears and the jaw line."""
    EARS = 1
    SCALP = 2
    NECK = 3
    EYES = 4
    TEETH = 5
    TONGUE = 6
    MOUTH = 7
    """The inside of the mouth behind the lips."""


INSIDE_MOUTH: tuple[Region, ...] = (Region.TEETH, Region.TONGUE, Region.MOUTH)
OPENINGS: tuple[Region, ...] = (Region.EYES, *INSIDE_MOUTH)
"""Parts seen through an opening of the face. However deep they lie, no background shines in at their rim; and none of
them is skin, to which the light of a photograph is fitted."""


@dataclass(frozen=True)
class MorphableModel(Batched):
    """A parametric head in metres; x to the viewer's right of a face seen from the front, y up, z to the viewer.

    ``vertices = template + sum_k identity_k * identity_basis_k + sum_e expression_e * expression_basis_e``
    (Blanz and Vetter 1999). The same class serves every 3DMM; a model with a jaw joint is
    linearised to expressions.
    """

    template: Tensor
    """(V, 3) metres."""
    identity_basis: Tensor
    """(K, V, 3) metres a standard deviation, strongest first."""
    expression_basis: Tensor
    """(E, V, 3) metres at weight 1, ordered as ``ftim.morphable.EXPRESSIONS``."""
    triangles: Tensor
    """(F, 3) vertex indices, counter-clockwise seen from outside."""
    uv: Tensor
    """(U, 2) in [0, 1], origin top-left, v down; symmetric about u = 0.5."""
    uv_triangles: Tensor
    """(F, 3) indices into ``uv``: the same corners as ``triangles``."""
    regions: Tensor
    """(F,) values of ``Region``."""
    vertex_mirror: Tensor
    """(V,) index of the vertex on the other side."""
    identity_mirror: Tensor
    """(K,) +1 for components that are symmetric, -1 for those that change sign in the mirror."""
    expression_mirror: Tensor
    """(E,) index of the expression on the other side."""
    landmark_triangles: Tensor
    """(478,) triangle on which each MediaPipe landmark lies."""
    landmark_barycentrics: Tensor
    """(478, 3) weights of that triangle's corners."""
    name: str = "open-head"
    version: int = 1

    @cached_property
    def corners(self) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """What files have in the place of vertices: each pair of vertex and place in the atlas, (N,) and (N,); and
        which of them the triangles' corners are, (3 F,)."""
        pairs = torch.stack([self.triangles.flatten(), self.uv_triangles.flatten()], 1)
        found, index = torch.unique(pairs, dim=0, return_inverse=True)
        vertex, place = found.unbind(1)
        return (vertex, place), index

    def vertices(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(B, K) and (B, E) -> (B, V, 3) in head space, metres."""
        if (
            identity.shape[1:] != self.identity_basis.shape[:1]
            or expression.shape[1:] != self.expression_basis.shape[:1]
        ):
            raise ValueError(
                f"identity {tuple(identity.shape)} and expression {tuple(expression.shape)} do not fit "
                f"{self.name} with {len(self.identity_basis)} and {len(self.expression_basis)} components"
            )
        offsets = identity @ self.identity_basis.flatten(1) + expression @ self.expression_basis.flatten(1)
        return self.template + offsets.view(-1, *self.template.shape)

    def landmarks(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) -> (B, 478, 3): MediaPipe's landmarks on the surface."""
        corners = vertices[:, self.triangles[self.landmark_triangles]]
        return (corners * self.landmark_barycentrics[:, :, None]).sum(2)

    @property
    def place(self) -> Tensor:
        """(V, 3) where each vertex lies on the template: right, up and to the viewer from the middle between the outer
        corners of the eyes, in units of their distance."""
        corners = self.landmarks(self.template[None])[0, [RIGHT_EYE_OUTER, LEFT_EYE_OUTER]]
        return (self.template - corners.mean(0)) / (corners[1] - corners[0]).norm()

    def normals(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) -> (B, V, 3): unit vertex normals, each the area-weighted mean of its triangles."""
        a, b, c = vertices[:, self.triangles].unbind(2)
        weighted = torch.linalg.cross(b - a, c - a)
        triangles, starts = self._around
        # One lookup for the whole batch, which sums in the same order on every run.
        table = weighted.permute(1, 0, 2).flatten(1)
        total = torch.nn.functional.embedding_bag(triangles, table, starts, mode="sum")
        return torch.nn.functional.normalize(total.unflatten(1, (len(vertices), 3)).permute(1, 0, 2), dim=-1)

    def part_of(self, regions: tuple[Region, ...]) -> Tensor:
        """(F,) bool: the triangles that belong to one of these regions."""
        return torch.isin(self.regions, self.regions.new_tensor([int(region) for region in regions]))

    @cached_property
    def openings(self) -> Tensor:
        """(F,) bool: the triangles of ``OPENINGS``, whose shading is grey."""
        return self.part_of(OPENINGS)

    @cached_property
    def _around(self) -> tuple[Tensor, Tensor]:
        """(3 F,) the triangles around each vertex, vertex after vertex, and (V,) where each vertex's begin."""
        vertices, order = self.triangles.flatten().sort(stable=True)
        return order // 3, torch.searchsorted(vertices, torch.arange(len(self.template), device=vertices.device))

    def mirror_identity(self, identity: Tensor) -> Tensor:
        """(B, K) -> (B, K): the coefficients of the mirrored head."""
        return identity * self.identity_mirror

    def mirror_expression(self, expression: Tensor) -> Tensor:
        """(B, E) -> (B, E): the weights of the mirrored expression."""
        return expression[:, self.expression_mirror]
