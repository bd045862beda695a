"""Numbers for one reconstruction: how near the overlay comes to its own photograph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftim.face import CROP_SIZE
from ftim.metrics import facenet_cosine, l1, load_facenet, psnr, ssim
from ftim.reconstruction import Reconstruction

PLACES = 5


@dataclass(frozen=True)
class OwnScores:
    """As in the paper, on the crop of 224 pixels; None where no skin is visible."""

    l1: float | None
    psnr: float | None
    ssim: float | None
    cosine: float | None


class Reporter:
    """Scores overlays against their photographs."""

    def __init__(self, facenet: nn.Module) -> None:
        self.facenet = facenet

    @classmethod
    def build(cls, device: torch.device | str = "cpu") -> Reporter:
        """Raises ``AssetError``."""
        return cls(load_facenet(device=device))

    @torch.no_grad()
    def __call__(self, result: Reconstruction) -> dict[str, OwnScores]:
        """``overlay``: the whole crop; ``face``: the drawn head where skin is visible."""
        photo, overlay = _small(result.face.image), _small(result.rendering.overlay)
        drawn = torch.where(result.rendering.mask > 0.5, result.rendering.image, result.rendering.overlay)
        mask = (_small(result.rendering.mask * result.skin) > 0.5).to(photo)
        return {"overlay": self._scores(overlay, photo, None), "face": self._scores(_small(drawn), photo, mask)}

    def _scores(self, image: Tensor, photo: Tensor, mask: Tensor | None) -> OwnScores:
        values = (
            l1(image, photo, mask), psnr(image, photo, mask), ssim(image, photo, mask),
            facenet_cosine(self.facenet, image, photo, mask),  # type: ignore[arg-type]
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
