"""UV Render: photograph and fit -> the texture that the camera saw."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.morphable.model import INSIDE_MOUTH, MorphableModel
from ftim.render.atlas import build_atlas
from ftim.render.interpolate import interpolate
from ftim.render.lookup import look_up
from ftim.render.pose import PosedHead, pose_head
from ftim.render.rasterizer import Fragments, Rasterizer
from ftim.render.shading import shade
from ftim.render.surface import RasterizedHead, rasterize_head
from ftim.render.visibility import depth_planes, distance_to, facing, in_sight, outlines, ramp, triangle_cosines
from ftim.structures import Fit, PartialTexture, learns
from ftim.unwrap import unwrap_listed
from ftim.uv_settings import UvSettings


class UvRenderer:
    """Unwraps photographs into the texture map of one model."""

    def __init__(
        self, model: MorphableModel, rasterizer: Rasterizer, size: int = 512, settings: UvSettings | None = None
    ) -> None:
        self.model = model
        self.rasterizer = rasterizer
        self.size = size
        self.settings = settings or UvSettings()
        self.atlas = build_atlas(model, rasterizer, size)
        self._grey = model.openings[self.atlas.face][None]
        self._mouth = model.part_of(INSIDE_MOUTH)[self.atlas.face]

    def __call__(
        self, image: Tensor, fit: Fit, skin: Tensor | None = None, head: RasterizedHead | None = None
    ) -> PartialTexture:
        """Unwrap.

        Args:
            image: (B, 3, H, W) in [0, 1], of the size of the fit's camera.
            fit: of the same B pictures.
            skin: (B, 1, H, W) in [0, 1], where the picture shows the head itself and not hair, glasses or padding;
                everywhere when None. A texel is seen where it is at least one half.
            head: of this fit, when there is one picture and it was rasterised already.

        Returns:
            The map; gradients reach the image and, through the positions, the fit. The gutter around each chart is
            seen where the chart's border is.
        """
        height, width = fit.camera.height, fit.camera.width
        if image.shape != (len(fit), 3, height, width):
            raise ValueError(
                f"image must be {(len(fit), 3, height, width)} as the fit's camera, got {tuple(image.shape)}"
            )
        if skin is not None and skin.shape != (len(fit), 1, height, width):
            raise ValueError(f"skin must be {(len(fit), 1, height, width)}, got {tuple(skin.shape)}")
        if image.device.type != "cpu" or learns(image, fit):
            return self.unwrap_whole(image, fit, skin)
        # One by one, because a batch of maps leaves the processor's caches: half the time.
        parts = []
        for number in range(len(fit)):
            one = slice(number, number + 1)
            here = head or rasterize_head(self.model, self.rasterizer, fit[one])
            shown = None if skin is None else skin[one]
            parts.append(
                unwrap_listed(image[one], fit[one].camera, here, shown, self.atlas, self._mouth, self.settings)
            )
        return PartialTexture.concatenate(parts)

    def unwrap_whole(self, image: Tensor, fit: Fit, skin: Tensor | None) -> PartialTexture:
        """As ``__call__`` for all texels and pixels at once, with gradients and on any device: the slow twin."""
        height, width = fit.camera.height, fit.camera.width
        head = pose_head(self.model, fit)
        points = self.atlas.spread(head.vertices)
        projected = fit.camera.project(points)
        grid = projected[:, None, :, :2] / projected.new_tensor([width, height]) * 2 - 1
        color = self._look_up(image, grid)

        with torch.no_grad():
            fragments = self.rasterizer(head.positions, self.model.triangles, height, width)
            seen, confidence = self._judge(head, points, projected, grid, fragments)
            if skin is not None:
                shown = F.grid_sample(skin, grid, mode="bilinear", align_corners=False)[:, 0, 0, :, None]
                seen = seen & (shown >= 0.5)
                confidence = confidence * shown
            visibility = seen.to(color.dtype)
            confidence = confidence * visibility
            lost = self._lost_detail(image, grid, fragments, color * visibility, visibility)
        return PartialTexture(
            color=self.atlas.image((color + lost).clamp(0, 1) * visibility),
            visibility=self.atlas.image(visibility),
            confidence=self.atlas.image(confidence),
        )

    @staticmethod
    def _look_up(image: Tensor, grid: Tensor) -> Tensor:
        """(B, N, C) of the photograph (B, C, H, W) at the texels' places (B, 1, N, 2)."""
        values = F.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=False)
        return values[:, :, 0].mT

    def _lost_detail(
        self, image: Tensor, grid: Tensor, fragments: Fragments, color: Tensor, visibility: Tensor
    ) -> Tensor:
        """(B, N, 3) what the seen texels need besides their samples so that a lookup gives the photograph back.

        A map about as fine as the photograph loses its finest detail twice, when it is sampled and when it is looked
        up. The map that gives the photograph back is a least-squares problem; these are Landweber steps of it.
        """
        uv = interpolate(fragments, self.model.uv[None], self.model.uv_triangles)
        # A cubic lookup beside what was not seen is wrong in either direction, so that 1.02 is as bad as 0.98.
        whole = look_up(self.atlas.image(visibility), uv, fragments.covered)
        known = ((whole - 1).abs() < 0.01) & fragments.covered[:, None]
        lost = torch.zeros_like(color)
        for _ in range(self.settings.refinements):
            drawn = look_up(self.atlas.image(color + lost), uv, fragments.covered)
            lost = lost + self._look_up((image - drawn) * known, grid) * visibility
        return lost

    def shading(self, fit: Fit) -> Tensor:
        """(B, 3, T, T) what the fit's light multiplies each texel's albedo by; 1 where the map is empty.

        It has colour on skin alone: see ``shade``.
        """
        vertex_normals = pose_head(self.model, fit).normals
        one_by_one = [slice(index, index + 1) for index in range(len(fit))]
        parts = one_by_one if vertex_normals.device.type == "cpu" and len(fit) else [slice(None)]
        return torch.cat([self._shading(vertex_normals[part], fit.light[part]) for part in parts])

    def shading_at(self, fit: Fit, texels: Tensor) -> Tensor:
        """(N, 3) of one fit at N texels, numbered as in the atlas; on openings as on skin."""
        normals = pose_head(self.model, fit).normals[0]
        corners, weights = self.atlas.corners[texels], self.atlas.weights[texels].to(normals.dtype)
        spread = F.embedding_bag(corners, normals, per_sample_weights=weights, mode="sum")
        return shade(F.normalize(spread, dim=-1)[None], fit.light)[0]

    def view_cosine(self, fit: Fit) -> Tensor:
        """(B, 1, T, T) cosine of the angle between normal and the way to the camera, at least 0; 0 in gaps.

        Taken at the vertices and spread from there.
        """
        head = pose_head(self.model, fit)
        return self.atlas.image(self.atlas.spread(facing(head.normals, head.vertices)[..., None].clamp(min=0)))

    def _shading(self, vertex_normals: Tensor, light: Tensor) -> Tensor:
        normals = F.normalize(self.atlas.spread(vertex_normals), dim=-1)
        return self.atlas.image(shade(normals, light, self._grey), empty=1.0)

    def _judge(
        self, head: PosedHead, points: Tensor, projected: Tensor, grid: Tensor, fragments: Fragments
    ) -> tuple[Tensor, Tensor]:
        """Geometry's verdict on each texel: seen (B, N, 1) bool, confidence (B, N, 1)."""
        settings, triangles = self.settings, self.model.triangles
        planes = depth_planes(fragments, head.positions, triangles)
        # Smooth normals say how steep the skin is; at rims of thin parts, such as teeth, they point nowhere, and the
        # triangle itself knows better. A triangle seen from behind is never seen.
        flat = triangle_cosines(head.vertices, triangles)[:, self.atlas.face]
        cosine = torch.maximum(facing(self.atlas.spread(head.normals), points), flat)[..., None]
        front = (flat > 0)[..., None] & (cosine > settings.min_cosine)
        # A texel that the picture itself would be drawn with is in sight, however thin the part that it lies on.
        drawn = drawn_texels(fragments, self.model, self.size)[:, self.atlas.texel, None]
        seen = (in_sight(planes, projected, settings.tolerance)[..., None] | drawn) & front
        drawn_mouth = drawn & self._mouth[None, :, None]  # teeth and tongue are all rim: their angle says nothing
        seen = seen | drawn_mouth

        scale = max(fragments.face.shape[1:]) / 224
        erosion, outer = settings.outer_erosion * scale, settings.outer_fade * scale
        inner = settings.inner_fade * scale
        # Distances are measured from pixel to pixel; half a pixel more to the edge between them.
        openings = self.model.openings[fragments.face.clamp(min=0)] & fragments.covered
        from_outer = distance_to(outlines(planes, settings.outer_jump, openings), round(outer)) + 0.5
        from_inner = distance_to(outlines(planes, settings.inner_jump), round(inner) + 1) + 0.5
        distances = F.grid_sample(
            torch.cat([from_outer, from_inner], 1), grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        from_outer, from_inner = distances[:, :, 0, :, None].unbind(1)
        seen = seen & (from_outer > erosion)
        angle = ramp(cosine, settings.min_cosine, settings.full_cosine)
        fade = ramp(from_outer, erosion, outer) * (0.8 + 0.2 * ramp(from_inner, 0.5, inner + 0.5))
        return seen, torch.where(drawn_mouth, 1.0, angle * fade)


def drawn_texels(fragments: Fragments, model: MorphableModel, size: int) -> Tensor:
    """(B, size * size) bool: the texels that a bilinear lookup at the fragments reads."""
    batch, height, width = fragments.face.shape
    corners = model.uv[model.uv_triangles[fragments.face.clamp(min=0)]]
    position = (corners * fragments.barycentric[..., None].to(corners.dtype)).sum(-2) * size - 0.5
    first = position.floor().long()
    picture = torch.arange(batch, device=first.device)[:, None, None].expand(-1, height, width)[fragments.covered]
    first = first[fragments.covered]
    read = fragments.face.new_zeros(batch * size * size, dtype=torch.bool)
    for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        column = (first[..., 0] + right).clamp(0, size - 1)
        row = (first[..., 1] + down).clamp(0, size - 1)
        read[(picture * size + row) * size + column] = True
    return read.view(batch, size * size)
