"""Colours of a photograph at sparse points of the fitted face: what the light is fitted to."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.morphable import MorphableModel, Region
from ftim.render.rasterizer import Rasterizer
from ftim.structures import Face, Fit


class PointSamples(NamedTuple):
    """What ``fit_light`` takes."""

    colors: Tensor
    """(B, N, 3) sRGB."""
    albedo: Tensor
    """(N, 3) sRGB of the template."""
    normals: Tensor
    """(B, N, 3) unit, camera space."""
    weights: Tensor
    """(B, N) area times visibility, 0 where the photo does not show the point."""


class FacePoints:
    """The vertices of a head's facial skin as a small mesh of their own.

    Only the face itself can hide parts of the face from cameras that see it, so the depth test needs
    no other part of the head.
    """

    def __init__(self, model: MorphableModel, rasterizer: Rasterizer, template_albedo: Tensor) -> None:
        """``template_albedo`` is (3, T, T) sRGB in the model's UV."""
        if template_albedo.ndim != 3 or template_albedo.shape[0] != 3:
            raise ValueError(f"template_albedo must be (3, T, T), not {tuple(template_albedo.shape)}")
        self.rasterizer = rasterizer
        facial = model.regions == Region.FACE
        vertices, renumbered = torch.unique(model.triangles[facial], return_inverse=True)
        self.triangles = renumbered
        self.template = model.template[vertices]
        bases = torch.cat([model.identity_basis[:, vertices], model.expression_basis[:, vertices]])
        self.basis = bases.flatten(1).contiguous()
        uv = torch.full((len(vertices), 2), torch.inf, dtype=model.uv.dtype, device=model.uv.device)
        corners = model.uv[model.uv_triangles[facial]].flatten(0, 1)
        # A vertex on a UV seam has several texels; the smallest coordinates are as good as any, and always the same.
        uv = uv.scatter_reduce(0, renumbered.flatten()[:, None].expand(-1, 2), corners, "amin")
        small = F.adaptive_avg_pool2d(template_albedo[None], min(128, template_albedo.shape[-1]))
        self.albedo = F.grid_sample(small, uv[None, :, None] * 2 - 1, align_corners=False)[0, :, :, 0].T.contiguous()
        a, b, c = self.template[self.triangles].unbind(1)
        area = torch.linalg.cross(b - a, c - a).norm(dim=1, keepdim=True).expand(-1, 3)
        self.area = torch.zeros_like(self.template[:, 0]).index_add(0, renumbered.flatten(), area.flatten())

    def sample(
        self, face: Face, fit: Fit, mask: Tensor, depth_size: int = 112, tolerance: float = 0.006
    ) -> PointSamples:
        """Samples of the crop where ``mask`` (B, 1, S, S) lets through.

        ``depth_size`` is the side of the depth buffer in pixels, ``tolerance`` the depth in metres by which a
        point may lie behind it and still be seen.
        """
        coefficients = torch.cat([fit.identity, fit.expression], dim=1)
        head = self.template + (coefficients @ self.basis).view(len(fit), -1, 3)
        points = head @ fit.rotation.transpose(1, 2) + fit.translation[:, None]
        normals = self._normals(points)
        pixels = fit.camera.project(points)
        side = face.image.shape[-1]
        grid = (pixels[:, :, None, :2] / side) * 2 - 1
        # Averaging four pixels takes out noise and pores; the vertices lie about as far apart.
        colors = F.grid_sample(F.avg_pool2d(face.image, 2), grid, align_corners=False)[..., 0].transpose(1, 2)
        shown = F.grid_sample(mask, grid, align_corners=False)[:, 0, :, 0]
        cosine = -(normals * F.normalize(points, dim=-1)).sum(-1)
        scale = depth_size / side
        scaled = torch.cat([pixels[..., :2] * scale, pixels[..., 2:]], dim=-1)
        buffer = self.rasterizer(scaled, self.triangles, depth_size, depth_size).depth
        index = (pixels[..., :2] * scale).long()
        inside = ((index >= 0) & (index < depth_size)).all(-1)
        index = index.clamp(0, depth_size - 1)
        nearest = buffer.flatten(1).gather(1, index[..., 1] * depth_size + index[..., 0])
        open_view = (pixels[..., 2] < nearest + tolerance) & inside
        # Grazing views mix skin with background, so weight begins at 0.2 and is full at 0.5.
        slant = ((cosine - 0.2) / 0.3).clamp(0, 1)
        weights = self.area * slant * shown * open_view
        return PointSamples(colors, self.albedo, normals, weights)

    def _normals(self, points: Tensor) -> Tensor:
        a, b, c = points[:, self.triangles].unbind(2)
        weighted = torch.linalg.cross(b - a, c - a)
        total = torch.zeros_like(points)
        for corner in range(3):
            total = total.index_add(1, self.triangles[:, corner], weighted)
        return F.normalize(total, dim=-1)
