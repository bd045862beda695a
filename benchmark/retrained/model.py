"""What the four baselines have in common: an albedo basis, an encoder, and terms to learn by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from benchmark.retrained.appearance import Appearance, HeadPainter, Inputs
from benchmark.retrained.basis import AlbedoBasis
from benchmark.retrained.networks import Head, PhotoEncoder
from ftim.losses import LossNetworks
from ftim.losses.identity import identity_loss
from ftim.structures import Rendering, View


@dataclass(frozen=True)
class Lesson:
    """One step's pictures, and what it takes to draw and to compare them."""

    example: View
    inputs: Inputs
    looked_at: Tensor
    """(P,) int64: the pictures that the slow networks look at."""
    painter: HeadPainter
    networks: LossNetworks

    def draw(self, appearance: Appearance) -> Rendering:
        """Into the pictures that it was made from, where they show skin."""
        example = self.example
        return self.painter(appearance, example.fit, example.photo, example.skin)

    def identity(self, rendering: Rendering) -> Tensor:
        """Scalar: perceptual distance by FaceNet, on the pictures looked at."""
        chosen = self.looked_at
        image, photo, mask = rendering.image[chosen], self.example.photo[chosen], rendering.mask[chosen]
        assert self.networks.facenet is not None
        return identity_loss(self.networks.facenet, image, photo, mask).mean()


class Baseline(nn.Module, ABC):
    """Photograph and fit -> appearance. The basis is given, the rest is learnt."""

    name: ClassVar[str]
    coefficients: ClassVar[int]
    """Of the linear albedo model."""
    stages: ClassVar[tuple[str, ...]] = ("main",)
    """Learnt one after the other."""

    def __init__(self, basis: AlbedoBasis) -> None:
        super().__init__()
        self.basis = basis
        self.encoder = PhotoEncoder()
        self.to_light = Head(self._features, 27)

    @property
    def _features(self) -> int:
        return self.encoder.join[-2].out_features  # type: ignore[return-value, union-attr]

    @abstractmethod
    def forward(self, inputs: Inputs, stage: str | None = None) -> Appearance:
        """Of a batch; ``stage`` leaves away what is learnt after it."""

    @abstractmethod
    def warm_up(self, inputs: Inputs, target: Tensor) -> Tensor:
        """Scalar: distance of the albedo from ``target`` (B, coefficients), that of completed training textures."""

    @abstractmethod
    def losses(self, lesson: Lesson, stage: str) -> dict[str, Tensor]:
        """Weighed terms of one step by name, each a scalar; their sum is what is minimised."""

    def learnt_in(self, stage: str) -> list[nn.Parameter]:
        """What a stage changes."""
        return list(self.parameters())

    def light(self, features: Tensor) -> Tensor:
        """(B, F) -> (B, 9, 3): what is added to the fit's light."""
        return self.to_light(features).unflatten(1, (9, 3))


class LinearAlbedo(nn.Module):
    """Features -> coefficients of the basis."""

    def __init__(self, features: int, basis: AlbedoBasis, count: int) -> None:
        super().__init__()
        self.basis = basis
        self.head = Head(features, count)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, count) coefficients and (B, 3, T, T) albedo."""
        coefficients = self.head(features)
        return coefficients, self.basis.albedo(coefficients)

    def distance(self, coefficients: Tensor, target: Tensor) -> Tensor:
        """Scalar: mean square difference of the two textures, from their coefficients (components are orthogonal)."""
        count = coefficients.shape[1]
        energy = self.basis.components[:count].square().sum((1, 2))
        return ((coefficients - target[:, :count]).square() * energy).sum(1).mean() / energy.sum()
