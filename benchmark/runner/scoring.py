"""All metrics of one pair of images, whole and inside masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmark.runner.records import Scores, round_number
from ftim.errors import AssetError
from ftim.metrics import l1, load_dlib_face, load_facenet, load_lpips, lpips_distance, psnr, ssim
from ftim.metrics.dlib_face import DlibMissingError, chip_grid, descriptor_distance, face_chips, face_descriptor
from ftim.metrics.facenet import cosine, face_embedding

if TYPE_CHECKING:
    from dlib import face_recognition_model_v1

MIN_PIXELS = 100
"""A region with fewer is not scored: it says nothing."""


@dataclass(frozen=True)
class Target:
    """What methods are compared with in one block: images, where in them, and what the networks make of the faces."""

    block: str
    image: Tensor
    """(B, 3, H, W)."""
    mask: Tensor | None
    """(B, 1, H, W), or None for the whole image."""
    embedding: Tensor | None
    """(B, 512); None in a block that holds no whole face, where likeness has no meaning."""
    chips: Tensor | None = None
    """(B, 150, 150, 2): where dlib's network looks (``chip_grid``); None where it is not asked."""
    descriptor: Tensor | None = None
    """(B, 128) dlib's, of the face there."""

    def applies(self) -> Tensor:
        """(B,) bool: where there are pixels enough."""
        if self.mask is None:
            return torch.ones(len(self.image), dtype=torch.bool)
        return ((self.mask > 0.5).sum((1, 2, 3)) >= MIN_PIXELS).cpu()

    def part(self, indices: list[int]) -> Target:
        """Some of the images."""

        def chosen(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[indices]

        return Target(
            self.block, self.image[indices], chosen(self.mask), chosen(self.embedding), chosen(self.chips),
            chosen(self.descriptor),
        )  # fmt: skip


class Scorer:
    """The metrics with their networks."""

    def __init__(
        self, lpips: nn.Module, facenet: nn.Module, dlib_face: face_recognition_model_v1 | None = None
    ) -> None:
        """Without ``dlib_face`` no row has a dlib distance."""
        self.lpips = lpips
        self.facenet = facenet
        self.dlib_face = dlib_face

    @classmethod
    def build(cls, device: torch.device, say: Callable[[str], None] = lambda text: None) -> Scorer:
        """With the official weights, and dlib's where they can be had, else ``say`` is told. Raises ``AssetError``."""
        networks = (load_lpips(device=device), load_facenet(device=device))
        try:
            dlib_face = load_dlib_face()
        except (DlibMissingError, AssetError) as error:
            say(f"There will be no dlib distance: {error}")
            dlib_face = None
        # A fifth faster on a CPU; scores change by 1e-7.
        lpips, facenet = (network.to(memory_format=torch.channels_last) for network in networks)
        return cls(lpips, facenet, dlib_face)

    @torch.no_grad()
    def target(
        self, block: str, image: Tensor, mask: Tensor | None, likeness: bool = True, landmarks: Tensor | None = None
    ) -> Target:
        """Made once for all methods: a third of the time goes into the embeddings.

        ``landmarks`` (B, 478, 2) of the faces in crop pixels ask for the dlib distance too. dlib takes 60 ms or more a
        face on one core, so only the face itself is judged by it and not the crop around.
        """
        embedding = face_embedding(self.facenet, image, mask) if likeness else None
        if landmarks is None or self.dlib_face is None:
            return Target(block, image, mask, embedding)
        chips = chip_grid(landmarks, image.shape[-1])
        return Target(block, image, mask, embedding, chips, self._descriptor(image, chips, mask))

    def _descriptor(self, image: Tensor, chips: Tensor, mask: Tensor | None) -> Tensor:
        assert self.dlib_face is not None
        return face_descriptor(self.dlib_face, face_chips(image, chips, mask))

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
            None,
        ]
        if target.embedding is not None:
            columns[-2] = cosine(face_embedding(self.facenet, image, mask), target.embedding, mask)
        if target.chips is not None and target.descriptor is not None:
            columns[-1] = descriptor_distance(self._descriptor(image, target.chips, mask), target.descriptor)
        lists = [[None] * len(image) if column is None else column.tolist() for column in columns]
        return [Scores(*map(round_number, values)) for values in zip(*lists, strict=True)]
