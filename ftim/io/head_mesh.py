"""A fitted head as what mesh files hold: one corner a vertex and place in the texture, expressions as morph targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ftim.morphable.expressions import EXPRESSIONS
from ftim.morphable.model import MorphableModel
from ftim.structures import Fit

if TYPE_CHECKING:
    import trimesh
    from trimesh.visual.material import PBRMaterial, SimpleMaterial

ROUGHNESS = 0.7
"""Of skin that is neither wet nor powdered."""
MATERIAL = "skin"


@dataclass(frozen=True)
class HeadMesh:
    """Metres, y up, the face looks along +z; V corners, F triangles, E expressions."""

    positions: np.ndarray
    """(V, 3) float32, the person without any expression."""
    normals: np.ndarray
    """(V, 3) float32, unit vectors, of ``positions``."""
    expressive_normals: np.ndarray
    """(V, 3) float32, unit vectors, of ``expressive``."""
    uv: np.ndarray
    """(V, 2) float32 in [0, 1], origin top-left, v down."""
    triangles: np.ndarray
    """(F, 3) int64, counter-clockwise seen from outside."""
    morphs: np.ndarray
    """(E, V, 3) float32 metres at weight 1."""
    morph_names: tuple[str, ...]
    """(E,) ARKit's names."""
    weights: np.ndarray
    """(E,) float32 in [0, 1], the expression of the photograph."""
    texture: np.ndarray
    """(T, T, 3) uint8 sRGB."""

    @property
    def expressive(self) -> np.ndarray:
        """(V, 3) float32: the positions with the photograph's expression."""
        moved = self.positions + np.einsum("e,evc->vc", self.weights, self.morphs)
        return np.asarray(moved, dtype=np.float32)

    def to_trimesh(self, pbr: bool, expression: bool, image: Image.Image | None = None) -> trimesh.Trimesh:
        """For trimesh's writers, which count v upwards. ``pbr`` for glTF; else a plain material as MTL knows it.

        ``image`` takes the texture's place: writers encode it, and those of this package know the texture's bytes.
        """
        import trimesh  # takes half a second
        from trimesh.visual import TextureVisuals
        from trimesh.visual.material import PBRMaterial, SimpleMaterial

        image = image or Image.fromarray(self.texture)
        material: PBRMaterial | SimpleMaterial
        if pbr:
            material = PBRMaterial(
                name=MATERIAL, baseColorTexture=image, metallicFactor=0.0, roughnessFactor=ROUGHNESS, doubleSided=False
            )
        else:
            white, black = [255, 255, 255, 255], [0, 0, 0, 255]
            material = SimpleMaterial(image=image, diffuse=white, ambient=white, specular=black, glossiness=0.0)
            material.name = MATERIAL
        return trimesh.Trimesh(
            vertices=self.expressive if expression else self.positions,
            faces=self.triangles,
            vertex_normals=self.expressive_normals if expression else self.normals,
            visual=TextureVisuals(uv=np.stack([self.uv[:, 0], 1 - self.uv[:, 1]], 1), material=material),
            process=False,
        )


@torch.no_grad()
def head_mesh(model: MorphableModel, fit: Fit, texture: Tensor) -> HeadMesh:
    """The head of one fit with its texture.

    Args:
        model: whose expressions are ``EXPRESSIONS``.
        fit: batch of one. Pose, camera and light are left out: they belong to the photograph.
        texture: (1, 3, T, T) sRGB, usually the albedo; values outside [0, 1] are clipped.

    Raises:
        ValueError: another batch than one, or a model with other expressions.
    """
    if len(fit) != 1 or texture.ndim != 4 or texture.shape[:2] != (1, 3):
        raise ValueError(f"one fit and a texture (1, 3, T, T) expected, got {len(fit)} and {tuple(texture.shape)}")
    if len(model.expression_basis) != len(EXPRESSIONS):
        raise ValueError(f"{model.name} has {len(model.expression_basis)} expressions, not ARKit's {len(EXPRESSIONS)}")
    weights = fit.expression.clamp(0, 1)
    neutral, expressive = (model.vertices(fit.identity, weight) for weight in (torch.zeros_like(weights), weights))
    (vertex, place), index = model.corners
    pixels = (texture[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8)
    return HeadMesh(
        positions=neutral[0, vertex].cpu().numpy(),
        normals=model.normals(neutral)[0, vertex].cpu().numpy(),
        expressive_normals=model.normals(expressive)[0, vertex].cpu().numpy(),
        uv=model.uv[place].cpu().numpy(),
        triangles=index.view(-1, 3).cpu().numpy(),
        morphs=model.expression_basis[:, vertex].cpu().numpy(),
        morph_names=tuple(EXPRESSIONS),
        weights=weights[0].cpu().numpy(),
        texture=np.ascontiguousarray(pixels.cpu().numpy()),
    )
