"""L_sym: the two halves of an albedo are alike (paper, eq. 3; its contradictions: docs/decisions.md, S10)."""

from __future__ import annotations

from torch import Tensor

from ftim.losses.masked import mean_difference
from ftim.metrics.image import check_pair


def symmetry_loss(albedo: Tensor, seen: Tensor) -> Tensor:
    """Mean over the texels j in ``seen`` of |A_j - flip(A)_j|, averaged over channels too (eq. 3 sums).

    Args:
        albedo: (B, 3, T, T), complete. Its flip is the reversal of its last axis.
        seen: (B, 1, T, T) in [0, 1]: U_proj, the texels over which eq. 3 runs, ``PartialTexture.visibility``. With
            ``one_sided`` of it only texels whose mirror image was not seen: moles and scars stay.

    Returns:
        (B,); 0 for a symmetric albedo and where nothing was seen. The gradient reaches a texel in ``seen`` and its
        mirror image.

    Raises:
        ValueError: shapes that do not belong together.
    """
    check_pair(albedo, albedo, seen)
    return mean_difference(albedo, albedo.flip(3), seen)


def one_sided(seen: Tensor) -> Tensor:
    """(B, 1, T, T) in [0, 1] -> same: the part of it whose mirror image was not seen."""
    return seen * (1 - seen.flip(3))
