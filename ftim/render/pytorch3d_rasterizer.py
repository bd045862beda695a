"""PyTorch3D's rasteriser behind our interface, for comparison and for those who have it built."""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor

from ftim.render.rasterizer import NEAR, Fragments, check_mesh


def pytorch3d_available() -> bool:
    """Whether PyTorch3D can be imported."""
    return importlib.util.find_spec("pytorch3d") is not None


def pixels_to_ndc(positions: Tensor, height: int, width: int) -> Tensor:
    """(B, V, 3) x and y in pixels, depth -> PyTorch3D's normalised device coordinates, depth unchanged.

    There, x points left and y up, the origin is the picture's centre, the shorter side spans [-1, 1], and the longer
    side in proportion. The ends of the range are the outer edges of the outer pixels, as in our pixel positions.
    """
    half = min(height, width) / 2
    x, y, depth = positions.unbind(-1)
    return torch.stack([(width / 2 - x) / half, (height / 2 - y) / half, depth], dim=-1)


class PyTorch3DRasterizer:
    """``pytorch3d.renderer.mesh.rasterize_meshes`` with one triangle a pixel and no blur.

    Differs from the others at ties only: a pixel centre exactly on an edge belongs to no triangle there.
    """

    def __init__(self) -> None:
        if not pytorch3d_available():
            raise ImportError(
                "PyTorch3D is not installed. It must be built from source, see CONTRIBUTING.md; "
                "default_rasterizer() works without it."
            )

    def __call__(self, positions: Tensor, triangles: Tensor, height: int, width: int) -> Fragments:
        """See ``Rasterizer``."""
        from pytorch3d.renderer.mesh import rasterize_meshes
        from pytorch3d.structures import Meshes

        check_mesh(positions, triangles, height, width)
        points = positions.detach().to(torch.float32)
        # Triangles that we drop lose their area, and PyTorch3D drops those.
        usable = (torch.isfinite(points).all(-1) & (points[..., 2] >= NEAR))[:, triangles].all(-1)
        faces = torch.where(usable[..., None], triangles, 0)
        points = pixels_to_ndc(points.nan_to_num(0.0, 0.0, 0.0), height, width)
        face, depth, barycentric, _ = rasterize_meshes(
            Meshes(verts=list(points), faces=list(faces)),
            image_size=(height, width),
            blur_radius=0.0,
            faces_per_pixel=1,
            perspective_correct=True,
            clip_barycentric_coords=False,
            cull_backfaces=False,
        )
        # Triangles of a batch are numbered through from picture to picture.
        start = torch.arange(len(points), device=face.device).view(-1, 1, 1) * len(triangles)
        face, depth, barycentric = face[..., 0], depth[..., 0], barycentric[..., 0, :]
        covered = face >= 0
        return Fragments(
            face=torch.where(covered, face - start, -1),
            barycentric=torch.where(covered[..., None], barycentric, 0.0),
            depth=torch.where(covered, depth, torch.inf),
        )
