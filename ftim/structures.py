"""What the stages hand to each other: one frozen dataclass per border of the pipeline.

    photo -> Face -> Fit -> PartialTexture -> Texture -> Rendering

The first four of one photograph are a ``View``.

Shapes use B batch, S crop side, H and W image height and width, T texture side, V vertices,
K identity coefficients, E expressions. Conventions are those of CONVENTIONS.md: images are
float sRGB in [0, 1], pixel centres lie at +0.5, the camera looks down -z with x right and y up,
lengths are metres.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ftim.render.surface import RasterizedHead


class Batched:
    """Indexing, joining and moving of dataclasses whose fields are tensors with a batch axis first."""

    def __len__(self) -> int:
        value = getattr(self, dataclasses.fields(self)[0].name)  # type: ignore[arg-type]
        return len(value)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        values = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                value = function(value)
            elif isinstance(value, Batched):
                value = value._map(function)
            values[field.name] = value
        return type(self)(**values)

    def __getitem__(self, index: int | slice | list[int] | Tensor) -> Self:
        """A part of the batch; an integer keeps the batch axis, so the result has length 1."""
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"index {index} into a batch of {len(self)}")
            index = [index]
        return self._map(lambda tensor: tensor[index])

    def to(self, device: torch.device | str) -> Self:
        """The same values on another device."""
        return self._map(lambda tensor: tensor.to(device))

    @classmethod
    def concatenate(cls, parts: list[Self]) -> Self:
        """One batch from several, in order."""
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            items = [getattr(part, field.name) for part in parts]
            if isinstance(items[0], Tensor):
                values[field.name] = torch.cat(items)
            elif isinstance(items[0], Batched):
                values[field.name] = type(items[0]).concatenate(items)
            else:
                if any(item != items[0] for item in items[1:]):
                    raise ValueError(f"{cls.__name__}.{field.name} differs between the parts: {items}")
                values[field.name] = items[0]
        return cls(**values)


def learns(*values: Tensor | Batched | None) -> bool:
    """Whether gradients are wanted of one of these, or of one of their fields."""
    return torch.is_grad_enabled() and any(
        value.requires_grad
        if isinstance(value, Tensor)
        else value is not None and learns(*(v for v in vars(value).values() if isinstance(v, Tensor | Batched)))
        for value in values
    )


@dataclass(frozen=True)
class Camera(Batched):
    """A pinhole camera looking down -z.

    A point (X, Y, Z) in camera space, Z < 0 in front, falls on the pixel position
    ``x = principal_x + focal * X / -Z``, ``y = principal_y - focal * Y / -Z``; depth is -Z in metres.
    """

    focal: Tensor
    """(B,) pixels."""
    principal: Tensor
    """(B, 2) x and y in pixels; the image centre is (W / 2, H / 2)."""
    height: int
    width: int

    def project(self, points: Tensor) -> Tensor:
        """(B, N, 3) camera space in metres -> (B, N, 3): x pixels, y pixels, depth in metres."""
        depth = -points[..., 2]
        scale = self.focal[:, None] / depth
        x = self.principal[:, None, 0] + scale * points[..., 0]
        y = self.principal[:, None, 1] - scale * points[..., 1]
        return torch.stack([x, y, depth], dim=-1)

    def resized(self, height: int, width: int) -> Camera:
        """The camera of the same picture resampled to another size of the same aspect."""
        scale = width / self.width
        return Camera(self.focal * scale, self.principal * scale, height, width)


@dataclass(frozen=True)
class Face(Batched):
    """Aligned square crops around detected faces, and how to paste them back."""

    image: Tensor
    """(B, 3, S, S) in [0, 1]."""
    valid: Tensor
    """(B, 1, S, S): 1 where the crop lies inside the photograph, 0 where it was padded."""
    landmarks: Tensor
    """(B, 478, 2) MediaPipe's face mesh in crop pixels, x and y."""
    blendshapes: Tensor
    """(B, 52) MediaPipe's expression scores in [0, 1], ordered as ``ftim.morphable.EXPRESSIONS``."""
    crop_to_photo: Tensor
    """(B, 3): scale s, offset x, offset y. Photo position = s * crop position + offset, in pixels."""


@dataclass(frozen=True)
class Fit(Batched):
    """A morphable model fitted to a ``Face``: geometry, camera and light of one crop."""

    identity: Tensor
    """(B, K) in units of one standard deviation."""
    expression: Tensor
    """(B, E) weights in [0, 1]."""
    rotation: Tensor
    """(B, 3, 3): camera = rotation @ head + translation."""
    translation: Tensor
    """(B, 3) metres; translation z is negative."""
    light: Tensor
    """(B, 9, 3) real spherical-harmonic coefficients a colour channel, in camera space."""
    camera: Camera
    """Of the crop."""


@dataclass(frozen=True)
class PartialTexture(Batched):
    """What the camera saw, in UV space; rows run down, u = 0 is the left column."""

    color: Tensor
    """(B, 3, T, T) sRGB as photographed (lit); 0 where nothing was seen."""
    visibility: Tensor
    """(B, 1, T, T): 1 where the texel was seen, 0 elsewhere."""
    confidence: Tensor
    """(B, 1, T, T) in [0, 1], soft: viewing angle, distance to occlusion borders, skin mask."""


@dataclass(frozen=True)
class View(Batched):
    """Photographs with all that is known of them before anything is completed: what every method starts from."""

    face: Face
    fit: Fit
    skin: Tensor
    """(B, 1, S, S) in [0, 1], where the crop shows the head's own surface: no hair, glasses, padding."""
    partial: PartialTexture
    head: RasterizedHead | None = None
    """Of a batch of one: the head as its camera sees it, so that drawing need not find that out again. Parts and joins
    of views have none."""

    @property
    def photo(self) -> Tensor:
        """(B, 3, S, S) in [0, 1], the crops."""
        return self.face.image

    def _map(self, function: Callable[[Tensor], Tensor]) -> View:
        return View(self.face._map(function), self.fit._map(function), function(self.skin), self.partial._map(function))

    @classmethod
    def concatenate(cls, parts: list[View]) -> View:
        """One batch from several, in order."""
        return View(
            Face.concatenate([part.face for part in parts]),
            Fit.concatenate([part.fit for part in parts]),
            torch.cat([part.skin for part in parts]),
            PartialTexture.concatenate([part.partial for part in parts]),
        )


@dataclass(frozen=True)
class Texture(Batched):
    """A complete texture of the head; no texel is empty.

    texture = albedo x shading x residual, to rounding, where skin was seen with full confidence and where nothing was
    seen; shading is that of the fit's nine harmonics. In between the texture keeps what was seen, and the albedo may
    give it up.
    """

    texture: Tensor
    """(B, 3, T, T) sRGB, the skin as this photograph shows it: what was seen has the photograph's colours and detail,
    feathered into what was completed under the same light."""
    albedo: Tensor
    """(B, 3, T, T) sRGB with the light taken out; not clipped above 1."""
    residual: Tensor
    """(B, 3, T, T) positive, smooth: light of this one photograph that nine harmonics do not hold, such as gloss, cast
    shadow and the falloff of a near lamp; 1 where none is known."""
    skin: Tensor | None = None
    """(B, 1, T, T) in [0, 1]: how far what was seen is skin and no hair, glass or hand; 1 where nothing was seen. None
    when the completion does not tell: all is."""


@dataclass(frozen=True)
class Rendering(Batched):
    """The textured head rendered into a crop."""

    image: Tensor
    """(B, 3, H, W) in [0, 1]; 0 outside the mask."""
    mask: Tensor
    """(B, 1, H, W): 1 where the rendered part of the head covers the pixel centre."""
    overlay: Tensor
    """(B, 3, H, W) the rendering blended over the input image."""
