"""Differences of images inside masks in [0, 1]. What lies where a mask is 0 has no influence, even if it is NaN.

``ftim.metrics.image`` has means inside masks too: there a mask is a choice of pixels and an empty one gives NaN; here
it is a weight, since soft edges should weigh softly, and an empty one gives 0, since training must go on.
"""

from __future__ import annotations

import torch
from torch import Tensor


def apply_mask(image: Tensor, mask: Tensor) -> Tensor:
    """(B, C, H, W) times (B, 1, H, W); exactly 0 with no gradient where the mask is 0."""
    return torch.where(mask > 0, image * mask, 0)


def mean_difference(image: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """(B, C, H, W) pairs, (B, 1, H, W) -> (B,): sum of mask * |image - reference| / (C * sum of mask); 0 if it is 0.

    Written as the difference of the masked images, so that nothing outside the mask reaches value or gradient.
    """
    image, reference, mask = full_precision(image), full_precision(reference), full_precision(mask)
    total = (apply_mask(image, mask) - apply_mask(reference, mask)).abs().sum((1, 2, 3))
    weight = mask.sum((1, 2, 3)) * image.shape[1]
    return total / torch.where(weight > 0, weight, 1)


def full_precision(tensor: Tensor) -> Tensor:
    """float32 of lower precisions, such as autocast's bfloat16: sums over a picture would keep two digits there."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
