"""Scores of one reconstruction against its own photograph, as the tables have them; only when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.face import CROP_SIZE
from ftim.metrics import facenet_cosine, l1, load_facenet, load_lpips, lpips_distance, psnr, ssim
from ftim.pipeline import Pipeline
from ftim.reconstruction import Reconstruction
from ftim.structures import Rendering

if TYPE_CHECKING:
    from facenet_pytorch import InceptionResnetV1
    from lpips import LPIPS

PLACES = 5
Drawn = Literal["texture", "albedo relit"]
"""The photograph's own view from the texture, and from the albedo under the fitted light, which is what a GLB holds."""
Block = Literal["overlay", "face"]
"""The whole crop; the drawn head where skin is visible."""


@dataclass(frozen=True)
class OwnScores:
    """On the crop of 224 pixels; None where no skin is visible."""

    l1: float | None
    psnr: float | None
    ssim: float | None
    lpips: float | None
    cosine: float | None
    """Of FaceNet."""


class Reporter:
    """Scores reconstructions against their photographs, the whole face drawn."""

    def __init__(self, pipeline: Pipeline, facenet: InceptionResnetV1, lpips: LPIPS) -> None:
        """``pipeline`` must be the one that made the reconstructions, or its like."""
        self.pipeline = pipeline
        self.facenet = facenet
        self.lpips = lpips

    @classmethod
    def build(cls, pipeline: Pipeline) -> Reporter:
        """Loads FaceNet and LPIPS. Raises ``AssetError``."""
        return cls(pipeline, load_facenet(device=pipeline.device), load_lpips(device=pipeline.device))

    @torch.no_grad()
    def __call__(self, result: Reconstruction) -> dict[Drawn, dict[Block, OwnScores]]:
        """Of both drawings, each block."""
        return {
            "texture": self._blocks(result, self.pipeline.draw(result.texture, result.view)),
            "albedo relit": self._blocks(result, self.pipeline.draw_albedo(result.texture, result.view)),
        }

    def _blocks(self, result: Reconstruction, rendering: Rendering) -> dict[Block, OwnScores]:
        photo, overlay = _small(result.face.image), _small(rendering.overlay)
        drawn = _small(torch.where(rendering.mask > 0.5, rendering.image, rendering.overlay))
        mask = (_small(rendering.mask * result.skin) > 0.5).to(photo)
        return {"overlay": self._scores(overlay, photo, None), "face": self._scores(drawn, photo, mask)}

    def _scores(self, image: Tensor, photo: Tensor, mask: Tensor | None) -> OwnScores:
        values = (
            l1(image, photo, mask), psnr(image, photo, mask), ssim(image, photo, mask),
            lpips_distance(self.lpips, image, photo, mask), facenet_cosine(self.facenet, image, photo, mask),
        )  # fmt: skip
        numbers = [float(value[0]) for value in values]
        return OwnScores(*(round(number, PLACES) if number == number else None for number in numbers))


def _small(image: Tensor) -> Tensor:
    """On the crop's own size, whatever the photograph's."""
    if image.shape[-1] == CROP_SIZE:
        return image
    return F.interpolate(image, (CROP_SIZE, CROP_SIZE), mode="bilinear", align_corners=False, antialias=True).clamp(
        0, 1
    )
