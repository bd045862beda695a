"""From albedo and light to ``Texture``: seen skin as it was photographed, over what was completed under its light."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.completion.bands import shrink_seen
from ftim.completion.fill import feather, region_atlas, region_groups, smooth_ratio, smoothstep
from ftim.filters import box_blur, enlarge
from ftim.morphable.model import MorphableModel, Region
from ftim.render.rasterizer import Rasterizer
from ftim.render.shading import SHADING_FLOOR
from ftim.rotation import axis_angle_to_matrix
from ftim.structures import Camera, PartialTexture, Texture
from ftim.uv import UvRenderer

BLEND = 1 / 256
"""Of the side: width over which seen skin gives way to what was completed."""
FAR, NEAR = 1 / 64, 1 / 128
"""Of the side: how fast the light that goes on beyond seen skin may vary, everywhere and right at its rim."""
LIGHT_SIDE = 256
"""Larger maps are compared at this side: no light is finer than that."""
DARKEST = 0.02
"""Colours are not taken to be darker than this when they are compared by their logarithms."""
LARGEST_STEP = 0.7
"""Of logarithms, at the rim: more is no light but another thing."""
RIM = 2.2
"""Times the seen share of what is near is 1 just inside the rim of what was seen."""
YAWS, PITCHES = (-60, -30, 0, 30, 60), (-25, 0, 25)
"""Degrees: skin of the neutral head that none of these views shows is folded away, as inside the lips."""


class PhotographedTexture:
    """The last step of every completion, so that all of them keep what was seen in the same way."""

    def __init__(self, uv_renderer: UvRenderer, light_goes_on: bool = False) -> None:
        """``light_goes_on``: what was completed takes the light of the seen skin beside it (``light_beyond``)."""
        self.blend = max(1, round(BLEND * uv_renderer.size))
        self.light_goes_on = light_goes_on
        self._groups = region_groups(region_atlas(uv_renderer.model, uv_renderer.atlas))
        folded = folded_triangles(uv_renderer.model, uv_renderer.rasterizer)
        atlas = uv_renderer.atlas
        self._folded = atlas.image(folded[atlas.face].float()[None, :, None])[0]

    def __call__(
        self, partial: PartialTexture, albedo: Tensor, shading: Tensor, residual: Tensor | None = None
    ) -> Texture:
        """The whole texture of a photograph.

        Args:
            partial: what the camera saw (B, at T x T).
            albedo: (B, 3, T, T), complete.
            shading: (B, 3, T, T) of the fit, ``UvRenderer.shading``.
            residual: (B, 3, T, T) positive; ones by default.
        """
        residual = torch.ones_like(albedo) if residual is None else residual
        completed = albedo * shading.clamp_min(SHADING_FLOOR) * residual
        share = self.share(partial)
        if self.light_goes_on:
            completed = completed * light_beyond(completed, partial.color, share, self._groups.to(completed))
        return Texture(torch.lerp(completed, partial.color, share), albedo, residual)

    @torch.no_grad()
    def share(self, partial: PartialTexture) -> Tensor:
        """(B, 1, T, T) of the photograph: 1 where skin was seen, falling to 0 towards what was not.

        Skin that is folded away is no end of what was seen: nobody sees the step to it.
        """
        groups, folded = self._groups.to(partial.visibility), self._folded.to(partial.visibility)
        shares = [
            feather(seen, groups * (1 - folded * (1 - seen[0])), self.blend) for seen in partial.visibility.split(1)
        ]
        return torch.cat(shares) * partial.visibility


@torch.no_grad()
def light_beyond(completed: Tensor, photographed: Tensor, share: Tensor, groups: Tensor) -> Tensor:
    """The factor that puts what was completed under the light of the seen skin around it: no step shows where one ends.

    A constant for training: gradients reach what it multiplies. No nine harmonics and no smooth residual explain a
    photograph to its last bit; what is left over of seen skin goes on beyond it: a factor that varies slowly over
    the whole face (``smooth_ratio``), and one that closes the step at the rim of what was seen and ends within
    ``NEAR`` of it.

    Args:
        completed, photographed: (B, 3, T, T) colours.
        share: (B, 1, T, T) in [0, 1]: how much of the photograph shows.
        groups: (3, T, T) of ``region_groups``.

    Returns:
        (B, 3, T, T).
    """
    scale = max(1, completed.shape[-1] // LIGHT_SIDE)
    if scale > 1:
        photographed, amount = shrink_seen(photographed, share, scale)
        completed, _ = shrink_seen(completed, share, scale)
        factor = _light_beyond(completed, photographed, amount, groups[:, ::scale, ::scale])
        return enlarge(factor, scale)
    return _light_beyond(completed, photographed, share, groups)


def _light_beyond(completed: Tensor, photographed: Tensor, share: Tensor, groups: Tensor) -> Tensor:
    size = completed.shape[-1]
    everywhere = smooth_ratio(photographed, completed, share, groups, detail=max(1, round(FAR * size)))
    skin = groups[:1].expand_as(share)
    seen, radius = share * skin, max(1, round(NEAR * size))
    lit = completed * everywhere
    step = photographed.clamp_min(DARKEST).log() - lit.clamp_min(DARKEST).log()
    amount = box_blur(seen, radius)
    near = box_blur(step.clamp(-LARGEST_STEP, LARGEST_STEP) * seen, radius) / amount.clamp_min(1e-4)
    # At the rim about half of what is near was seen: there the step is closed.
    reach = smoothstep(RIM * amount / box_blur(skin, radius).clamp_min(1e-4)) * skin
    return everywhere * (near * reach).exp()


def folded_triangles(model: MorphableModel, rasterizer: Rasterizer, side: int = 448) -> Tensor:
    """(F,) bool: triangles of the neutral face that no view of ``YAWS`` and ``PITCHES`` shows a pixel of."""
    device = model.template.device
    poses = torch.tensor([(pitch, yaw) for yaw in YAWS for pitch in PITCHES], device=device).deg2rad()
    none = torch.zeros_like(poses[:, 0])
    pitched = axis_angle_to_matrix(torch.stack([poses[:, 0], none, none], 1))
    rotations = pitched @ axis_angle_to_matrix(torch.stack([none, poses[:, 1], none], 1))
    middle = model.template.new_full((1, 2), side / 2)
    camera = Camera(model.template.new_full((1,), 2.2 * side), middle, side, side)
    shown = torch.zeros(len(model.triangles), dtype=torch.bool, device=device)
    for rotation in rotations:  # one by one: all at once need a hundred megabytes
        points = model.template @ rotation.mT + model.template.new_tensor([0.0, 0.0, -0.6])
        seen = rasterizer(camera.project(points[None]), model.triangles, side, side).face
        shown[seen[seen >= 0]] = True
    return ~shown & (model.regions == int(Region.FACE))
