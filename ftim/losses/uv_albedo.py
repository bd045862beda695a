"""L_UV: the completion keeps what the camera saw, texel by texel (paper, 2.3; no formula: docs/decisions.md, S8)."""

from __future__ import annotations

from torch import Tensor

from ftim.losses.masked import mean_difference
from ftim.metrics.image import check_pair


def uv_albedo_loss(complete: Tensor, partial: Tensor, seen: Tensor) -> Tensor:
    """Mean absolute difference over the texels that were seen: sum of m |T - T_partial| / (3 sum of m).

    Args:
        complete: (B, 3, T, T), ``Texture.texture``: under the light of the photograph, as the partial one is.
        partial: (B, 3, T, T), ``PartialTexture.color``.
        seen: (B, 1, T, T) in [0, 1], ``PartialTexture.visibility`` or, softer, its ``confidence``.

    Returns:
        (B,); 0 for equal textures and where nothing was seen.

    Raises:
        ValueError: shapes that do not belong together.
    """
    check_pair(complete, partial, seen)
    return mean_difference(complete, partial, seen)
