"""Which pictures a step learns from, and how they are altered: all drawn from the seed and the step's number.

So a run that was stopped and resumed draws what it would have drawn, and nothing needs to be stored for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ftim.morphable.model import MorphableModel
from ftim.structures import Fit, PartialTexture, View
from ftim.training.cache import StoredExample
from ftim.training.config import TrainingConfig
from ftim.training.examples import hide, mirror_view
from ftim.uv import UvRenderer

MASK_YAWS = tuple(range(-70, 71, 5))
"""Degrees: poses whose visibility is laid over nearly frontal textures."""
VIEWS = 3


@dataclass(frozen=True)
class Batch:
    """Three pictures."""

    example: View
    partial: PartialTexture
    """What the completion is given: what was seen, or less."""
    chosen: Tensor
    """(3,) int64: whose albedo is drawn into each picture: one at random for a triplet, its own for a portrait."""
    perceptual: Tensor
    """(P,) int64: the pictures that the identity and ID-MRF losses look at."""


class Sampler:
    """Step number -> ``Batch``."""

    def __init__(
        self,
        triplets: list[StoredExample],
        portraits: list[StoredExample],
        masks: PartialTexture,
        model: MorphableModel,
        config: TrainingConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        """``masks``: visibility and confidence of ``pose_masks``."""
        self.triplets = triplets
        self.portraits = portraits
        self.masks = masks
        self.model = model
        self.config = config
        self.device = device

    def __call__(self, step: int) -> Batch:
        """Deterministic in the seed and the step."""
        config = self.config
        generator = torch.Generator().manual_seed(1_000_003 * config.seed + step)

        def chance(share: float) -> bool:
            return bool(torch.rand((), generator=generator) < share)

        def draw(count: int, below: int) -> Tensor:
            return torch.randint(below, (count,), generator=generator)

        hidden: list[int]
        if not self.portraits or chance(config.triplet_share):
            example = self.triplets[int(draw(1, len(self.triplets)))].unpack(self.device)
            chosen = draw(1, VIEWS).expand(VIEWS)
            hidden = [1] if chance(config.hidden_front_share) else []
        else:
            picks = [self.portraits[index].unpack(self.device) for index in draw(VIEWS, len(self.portraits)).tolist()]
            example = View.concatenate(picks)
            chosen = torch.arange(VIEWS)
            hidden = list(range(VIEWS))
        if chance(config.mirror_share):
            example = mirror_view(example, self.model)
        masks = self.masks[draw(VIEWS, len(self.masks))].to(self.device)
        partial = example.partial
        if hidden:
            less = hide(example, masks.visibility, masks.confidence)
            partial = PartialTexture.concatenate(
                [(less if index in hidden else partial)[index] for index in range(VIEWS)]
            )
        perceptual = torch.randperm(VIEWS, generator=generator)[: config.perceptual_views]
        return Batch(example, partial, chosen.to(self.device), perceptual.to(self.device))


@torch.no_grad()
def pose_masks(uv_renderer: UvRenderer, fit: Fit) -> PartialTexture:
    """What a camera would see of a head (fit, batch of one) at each yaw of ``MASK_YAWS``: masks without colours.

    Pitch alternates between a little up, level and a little down.
    """
    parts = []
    side = fit.camera.height
    white = fit.light.new_ones(1, 3, side, side)
    for index, yaw in enumerate(MASK_YAWS):
        turned = replace(fit, rotation=turn(yaw, (index % 3 - 1) * 8.0).to(fit.rotation)[None])
        parts.append(uv_renderer(white, turned))
    return PartialTexture.concatenate(parts)


def turn(yaw: float, pitch: float = 0.0) -> Tensor:
    """(3, 3) rotation by degrees: ``pitch`` about x, then ``yaw`` about y; positive yaw looks to the right."""
    a, b = math.radians(yaw), math.radians(pitch)
    around_y = torch.tensor(
        [[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]], dtype=torch.float32
    )
    around_x = torch.tensor(
        [[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]], dtype=torch.float32
    )
    return around_y @ around_x
