"""All metrics of one pair of images, whole and inside masks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.records import Scores, round_number
from ftim.metrics import l1, load_facenet, load_lpips, lpips_distance, psnr, ssim
from ftim.metrics.facenet import cosine, face_embedding

MIN_PIXELS = 100
"""A region with fewer is not scored: it says nothing."""


@dataclass(frozen=True)
class Target:
    """What methods are compared with in one block: images, where in them, and what FaceNet makes of them."""

    block: str
    image: Tensor
    """(B, 3, H, W)."""
    mask: Tensor | None
    """(B, 1, H, W), or None for the whole image."""
    embedding: Tensor | None
    """(B, 512); None in a block that holds no whole face, where likeness has no meaning."""

    def applies(self) -> Tensor:
        """(B,) bool: where there are pixels enough."""
        if self.mask is None:
            return torch.ones(len(self.image), dtype=torch.bool)
        return ((self.mask > 0.5).sum((1, 2, 3)) >= MIN_PIXELS).cpu()


class Scorer:
    """The metrics with their networks."""

    def __init__(self, lpips: nn.Module, facenet: nn.Module) -> None:
        self.lpips = lpips
        self.facenet = facenet

    @classmethod
    def build(cls, device: torch.device) -> Scorer:
        """With the official weights. Raises ``AssetError``."""
        networks = (load_lpips(device=device), load_facenet(device=device))
        # A fifth faster on a CPU; scores change by 1e-7.
        return cls(*(network.to(memory_format=torch.channels_last) for network in networks))

    @torch.no_grad()
    def target(self, block: str, image: Tensor, mask: Tensor | None, likeness: bool = True) -> Target:
        """Made once for all methods: a third of the time goes into the embeddings."""
        return Target(block, image, mask, face_embedding(self.facenet, image, mask) if likeness else None)

    @torch.no_grad()
    def score(self, image: Tensor, target: Target) -> list[Scores]:
        """(B, 3, H, W) -> one for each pair."""
        reference, mask = target.image, target.mask
        columns: list[Tensor | None] = [
            l1(image, reference, mask),
            psnr(image, reference, mask),
            ssim(image, reference, mask),
            lpips_distance(self.lpips, image, reference, mask),
            None,
        ]
        if target.embedding is not None:
            columns[-1] = cosine(face_embedding(self.facenet, image, mask), target.embedding, mask)
        lists = [[None] * len(image) if column is None else column.tolist() for column in columns]
        return [Scores(*map(round_number, values)) for values in zip(*lists, strict=True)]
