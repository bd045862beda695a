"""What a baseline is given, what it says of a head, and how that is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from benchmark.retrained.detail import DetailShading
from ftim.render.image import ImageRenderer
from ftim.structures import Batched, Fit, Rendering, View
from ftim.uv import UvRenderer


@dataclass(frozen=True)
class Inputs(Batched):
    """A batch of photographs with all that may be known of them."""

    view: View
    """Its partial texture at the side that the baselines work at."""
    embedding: Tensor
    """(B, 512) FaceNet's, of the whole crop."""


@dataclass(frozen=True)
class Appearance(Batched):
    """What is drawn: the albedo, and what goes beyond the shared fit."""

    albedo: Tensor
    """(B, 3, T, T) sRGB."""
    light: Tensor
    """(B, 9, 3) added to the fit's light, in the photograph that it was made from."""
    displacement: Tensor | None = None
    """(B, 1, T, T) metres along the normal: changes the shading, not the outline."""
    offsets: Tensor | None = None
    """(B, V, 3) metres, head space: shape beyond the model's."""

    def __getitem__(self, index: int | slice | list[int] | Tensor) -> Appearance:
        """As ``Batched``, for the fields that are there."""
        if isinstance(index, int):
            index = [index]
        parts = (self.albedo, self.light, self.displacement, self.offsets)
        return Appearance(*(None if part is None else part[index] for part in parts))  # type: ignore[arg-type]


class HeadPainter:
    """Draws appearances on the shared head."""

    def __init__(self, uv_renderer: UvRenderer, image_renderer: ImageRenderer) -> None:
        """``uv_renderer`` has the side of the albedo."""
        self.uv_renderer = uv_renderer
        self.image_renderer = image_renderer
        self._detail = DetailShading(uv_renderer.model, uv_renderer.atlas)

    def __call__(
        self, appearance: Appearance, fit: Fit, photo: Tensor, skin: Tensor | None = None, relit: bool = True
    ) -> Rendering:
        """Draw heads into the crops of their fits (B); gradients reach all parts of the appearance.

        ``relit=False`` leaves the light of the fit as it is: that of another photograph than the appearance's own.
        """
        lit = replace(fit, light=fit.light + appearance.light) if relit else fit
        if appearance.displacement is None:
            return self.image_renderer(appearance.albedo, lit, photo, skin, appearance.offsets)
        texture = appearance.albedo * self._detail(lit, appearance.displacement)
        return self.image_renderer.draw_lit(texture, lit, photo, skin, appearance.offsets)

    def lit_texture(self, albedo: Tensor, fit: Fit) -> Tensor:
        """(B, 3, T, T) under the light of the fit, without detail."""
        return albedo * self.uv_renderer.shading(fit)
