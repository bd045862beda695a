"""L_pho: rendering against photograph, pixel by pixel and window by window (paper, 2.3; no formula there: S8)."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.losses.masked import full_precision, mean_difference
from ftim.metrics.image import check_pair, ssim_map


def photometric_loss(rendered: Tensor, photo: Tensor, mask: Tensor, *, structure: float = 0.0) -> Tensor:
    """(1 - s) sum of m |I - I^R| / (3 sum of m) + s (1 - SSIM) / 2 over the face region.

    Args:
        rendered: (B, 3, H, W) in [0, 1].
        photo: (B, 3, H, W) in [0, 1].
        mask: (B, 1, H, W) in [0, 1], the rendered face without hair and background.
        structure: s in [0, 1]. With 0 the mean absolute difference alone; above it structural dissimilarity takes part,
            as is usual where rendered views supervise (Godard et al. 2017, eq. 5), over windows centred in the mask.

    Returns:
        (B,) in [0, 1]; 0 for equal images and for an empty mask.

    Raises:
        ValueError: shapes that do not belong together, images under 11 pixels with ``structure``, or s outside [0, 1].
    """
    check_pair(rendered, photo, mask)
    if not 0 <= structure <= 1:
        raise ValueError(f"the share of structure must lie in [0, 1], got {structure}")
    difference = mean_difference(rendered, photo, mask)
    if not structure:
        return difference
    return (1 - structure) * difference + structure * dissimilarity(rendered, photo, mask)


def dissimilarity(image: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """(B,) in [0, 1]: mean of (1 - SSIM) / 2 over windows centred in the mask (above one half); 0 without any."""
    with torch.autocast(image.device.type, enabled=False):
        counts = mask > 0.5
        image, reference = (torch.where(counts, full_precision(item), 0) for item in (image, reference))
        similarity = ssim_map(image, reference, mask)
        border = (image.shape[-1] - similarity.shape[-1]) // 2
        chosen = counts[:, :, border:-border, border:-border]
        total = torch.where(chosen, (1 - similarity) / 2, 0).sum((1, 2, 3))
        return total / (image.shape[1] * chosen.sum((1, 2, 3))).clamp(min=1)
