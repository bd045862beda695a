"""One rendered head from its seed: who, how, under what light, behind what, and as which camera shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from ftim.data.rendered.albedos import Skins, as_bytes
from ftim.data.rendered.camera import develop, draw_development
from ftim.data.rendered.draw import Drawing, Skin, draw_head
from ftim.data.rendered.dress import OCCLUDERS, Bust, before_the_face, body, hair
from ftim.data.rendered.light import Lights, lights_of, scaled, turned, with_lamp
from ftim.data.rendered.things import Lens, Thing
from ftim.filters import box_blur
from ftim.morphable.model import MorphableModel
from ftim.render.rasterizer import Rasterizer
from ftim.rotation import axis_angle_to_matrix
from ftim.structures import Camera, Fit

DRAWN_SIDE = 448
"""Pixels that are drawn; the photograph has fewer."""
IDENTITY_SPREAD = 0.6
"""Standard deviations of identities: real fits have 0.58 (root mean square)."""


@dataclass(frozen=True)
class RenderedHead:
    """A photograph of nobody, and the truth about it."""

    photo: np.ndarray
    """(H, W, 3) uint8."""
    albedo: np.ndarray
    """(H, W, 3) uint8 sRGB: the head's albedo at each pixel, as if nothing were before it."""
    skin: np.ndarray
    """(H, W) uint8, 255 where the pixel shows the head itself."""
    head: np.ndarray
    """(H, W) uint8, 255 where it would with nothing before it."""
    albedo_map: np.ndarray
    """(256, 256, 3) uint8 sRGB."""
    fit: Fit
    """True geometry; batch of one. Its camera is the photograph's, its light is unknown (zeros)."""
    person: str
    """Whose skin the albedo was made from."""
    things: tuple[str, ...]
    """Names of what was before the face."""


class HeadStudio:
    """Renders heads: seed -> ``RenderedHead``."""

    def __init__(
        self, model: MorphableModel, rasterizer: Rasterizer, skins: Skins, environments: Sequence[np.ndarray]
    ) -> None:
        """``environments`` of ``read_environment``."""
        self.model, self.rasterizer, self.skins, self.environments = model, rasterizer, skins, environments

    def __call__(self, seed: int) -> RenderedHead:
        """The same seed gives the same head with the same bank and environments."""
        rng = np.random.default_rng(seed)
        fit = self._pose(rng)
        vertices = self.model.vertices(fit.identity, fit.expression)
        bust = Bust(
            vertices[0].numpy(), self.model.normals(vertices)[0].numpy(), self.model.triangles.numpy(),
            self.model.regions.numpy(), self.model.place.numpy(), self.model.landmarks(vertices)[0].numpy(),
        )  # fmt: skip
        albedo, person = self.skins.draw(rng)
        tone = np.exp(np.log(albedo[self.skins.face]).mean(0))
        things, lenses, names = self._dress(bust, tone, rng)
        lights, background = self._light(fit, rng)
        drawn = draw_head(
            self.model, self.rasterizer, fit, self._skin(albedo, rng), things, lenses, lights, background
        )  # fmt: skip
        return self._photograph(drawn, fit, albedo, person, names, lights, rng)

    def _pose(self, rng: np.random.Generator) -> Fit:
        model = self.model
        identity = np.clip(rng.normal(0, IDENTITY_SPREAD, len(model.identity_basis)), -2, 2)
        expression = np.zeros(len(model.expression_basis))
        if rng.random() < 0.7:
            some = rng.integers(len(expression), size=int(rng.integers(1, 9)))
            expression[some] = rng.beta(1.2, 2.5, len(some)) * 0.8
            expression = np.maximum(expression, expression[model.expression_mirror.numpy()] * 0.9)
        yaw = rng.choice([rng.normal(0, 8), rng.normal(0, 22), rng.uniform(-55, 55)], p=[0.4, 0.35, 0.25])
        angles = np.deg2rad([rng.normal(0, 8), np.clip(yaw, -58, 58), rng.normal(0, 5)])
        pitch, turn, roll = (torch.tensor([[a if i == j else 0.0 for j in range(3)]], dtype=torch.float32)
                             for i, a in enumerate(angles))  # fmt: skip
        rotation = axis_angle_to_matrix(roll) @ axis_angle_to_matrix(pitch) @ axis_angle_to_matrix(turn)
        field = np.deg2rad(
            rng.choice([rng.uniform(14, 28), rng.uniform(28, 45), rng.uniform(45, 68)], p=[0.45, 0.35, 0.2])
        )
        focal = DRAWN_SIDE / 2 / np.tan(field / 2)
        share = rng.uniform(0.5, 0.8)  # of the picture's side that a head of 24 cm fills
        distance = 0.24 * focal / (share * DRAWN_SIDE)
        offset = rng.normal(0, 0.05, 2) * DRAWN_SIDE / focal * distance
        translation = torch.tensor([[offset[0], offset[1] - 0.01, -distance]], dtype=torch.float32)
        camera = Camera(
            torch.tensor([focal], dtype=torch.float32), torch.full((1, 2), DRAWN_SIDE / 2), DRAWN_SIDE, DRAWN_SIDE
        )
        return Fit(
            torch.from_numpy(identity).float()[None], torch.from_numpy(expression).float()[None], rotation, translation,
            torch.zeros(1, 9, 3), camera,
        )  # fmt: skip

    @staticmethod
    def _dress(
        bust: Bust, tone: np.ndarray, rng: np.random.Generator
    ) -> tuple[list[Thing], list[Lens], tuple[str, ...]]:
        things, hair_tone = hair(bust, rng)
        things += body(bust, rng)
        lenses: list[Lens] = []
        names: list[str] = []
        for kind, share in zip(
            OCCLUDERS, (0.28, 0.25, 0.1, 0.2, 0.03, 0.07, 0.05, 0.05, 0.06, 0.08, 0.06), strict=True
        ):
            if rng.random() < share:
                more, sheets = before_the_face(kind, bust, rng, hair_tone, tone)
                things, lenses, names = things + more, lenses + sheets, [*names, kind]
        return things, lenses, tuple(names)

    def _light(self, fit: Fit, rng: np.random.Generator) -> tuple[Lights, np.ndarray]:
        sky = self.environments[int(rng.integers(len(self.environments)))]
        sky = turned(sky, rng.random(), rng.uniform(-0.05, 0.05))
        mix = rng.random()
        if mix < 0.25:  # an even studio or a clouded sky
            even = sky.mean((0, 1), keepdims=True)
            sky = even * np.exp(rng.normal(0, 0.05, 3)) + rng.uniform(0.05, 0.5) * (sky.clip(0, 8 * even) - even)
            sky = sky.clip(0).astype(np.float32)
        lights = lights_of(sky, rng)
        ambient = float(lights.colour.sum(0).mean())
        lights = scaled(lights, 1 / max(ambient, 1e-6))
        for _ in range(int(rng.choice([0, 1, 2], p=[0.45, 0.4, 0.15]))):
            azimuth, height = rng.uniform(-2.2, 2.2), rng.uniform(-0.3, 1.2)
            direction = np.array([np.cos(height) * np.sin(azimuth), np.sin(height), np.cos(height) * np.cos(azimuth)])
            warmth = np.array([1.0, 0.0, -1.0]) * rng.normal(0.08, 0.2)
            strength = np.exp(rng.uniform(np.log(0.25), np.log(4.0)))
            size = rng.choice([0.01, rng.uniform(0.05, 0.6)], p=[0.3, 0.7])
            lights = with_lamp(lights, direction, strength * np.exp(warmth + rng.normal(0, 0.04, 3)), size, rng)
        if rng.random() < 0.1:
            where = np.array([rng.normal(0, 0.1), rng.uniform(0, 0.25), 1.0])
            lights = with_lamp(lights, where / np.linalg.norm(where), np.full(3, rng.uniform(0.8, 4.0)), 0.01, rng)
        return lights, self._background(fit, lights, rng)

    @staticmethod
    def _background(fit: Fit, lights: Lights, rng: np.random.Generator) -> np.ndarray:
        side = fit.camera.height
        if rng.random() < 0.4:
            colour = rng.choice([np.full(3, rng.uniform(0.02, 0.9)), rng.uniform(0.02, 0.8, 3)])
            if rng.random() < 0.3:
                colour = np.array([0.05, 0.08, 0.2]) * rng.uniform(0.3, 2)
            slope = np.linspace(rng.uniform(0.4, 1.4), rng.uniform(0.4, 1.4), side)
            return (colour * slope[:, None, None] * np.ones((1, side, 1))).astype(np.float32) * lights.colour.sum(0)
        x, y = np.meshgrid((np.arange(side) - side / 2), (side / 2 - np.arange(side)))
        rays = np.stack([x, y, np.full_like(x, -float(fit.camera.focal))], -1)
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        return cv2.GaussianBlur(lights.look_up(rays).astype(np.float32), (0, 0), rng.uniform(4, 16))

    def _skin(self, albedo: np.ndarray, rng: np.random.Generator) -> Skin:
        side = albedo.shape[0]
        x, y, _ = self.skins.place
        oily = np.exp(-((x / 0.25) ** 2)) * np.clip((y + 0.6) / 0.3, 0, 1)
        broad = box_blur(torch.from_numpy(rng.normal(size=(1, 2, side, side)).astype(np.float32)), 20, 2) * 20
        rough = rng.uniform(0.38, 0.62) - rng.uniform(0, 0.12) * torch.from_numpy(oily) + 0.05 * broad[:, 0]
        shine = rng.uniform(0.5, 1.8) * 0.028 * (1 + rng.uniform(0, 1.0) * torch.from_numpy(oily) + 0.3 * broad[:, 1])
        grain = torch.from_numpy(rng.normal(size=(1, 3, side, side)).astype(np.float32))
        bump = (box_blur(grain, 1) * rng.uniform(0.05, 0.3) + box_blur(grain, 4) * rng.uniform(0, 0.5))[0]
        return Skin(
            torch.from_numpy(albedo).permute(2, 0, 1).contiguous(), rough.float().clamp(0.25, 0.8),
            shine.float().clamp(0.01, 0.09), bump,
        )  # fmt: skip

    @staticmethod
    def _photograph(
        drawn: Drawing, fit: Fit, albedo: np.ndarray, person: str, names: tuple[str, ...], lights: Lights,
        rng: np.random.Generator,
    ) -> RenderedHead:  # fmt: skip
        """The drawing as a camera develops it, smaller than it was drawn, and the truth at its size."""
        side = int(DRAWN_SIDE * rng.choice([rng.uniform(0.22, 0.5), rng.uniform(0.5, 0.9)], p=[0.3, 0.7]))

        def smaller(image: np.ndarray) -> np.ndarray:
            return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)

        linear, skin, head = smaller(drawn.radiance), smaller(drawn.skin), smaller(drawn.head)
        weight = cv2.resize(drawn.head, (side, side), interpolation=cv2.INTER_AREA)[..., None]
        plain = smaller(drawn.albedo) / np.maximum(weight, 1e-3)
        neutral = (lights.colour * np.clip(lights.directions[:, 2:], 0, None)).sum(0) + 0.05 * lights.colour.sum(0)
        how = draw_development(linear, skin > 0.9, neutral, rng)
        small = torch.from_numpy(albedo).permute(2, 0, 1)[None]
        map_256 = torch.nn.functional.avg_pool2d(small, albedo.shape[0] // 256)[0].permute(1, 2, 0).numpy()
        return RenderedHead(
            develop(linear, how, rng), as_bytes(plain), (skin * 255).round().astype(np.uint8),
            (head * 255).round().astype(np.uint8), as_bytes(map_256),
            replace(fit, camera=fit.camera.resized(side, side)), person, names,
        )  # fmt: skip
