"""L_pho: rendering against photograph, pixel by pixel (paper, 2.3; no formula there: docs/paper.md, S8)."""

from __future__ import annotations

from torch import Tensor

from ftim.losses.masked import mean_difference
from ftim.metrics.image import check_pair


def photometric_loss(rendered: Tensor, photo: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference over the face region: sum of m |I - I^R| / (3 sum of m).

    Args:
        rendered: (B, 3, H, W) in [0, 1].
        photo: (B, 3, H, W) in [0, 1].
        mask: (B, 1, H, W) in [0, 1], the rendered face without hair and background.

    Returns:
        (B,) in [0, 1]; 0 for equal images and for an empty mask.

    Raises:
        ValueError: shapes that do not belong together.
    """
    check_pair(rendered, photo, mask)
    return mean_difference(rendered, photo, mask)
