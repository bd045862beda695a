"""L_reg: the albedo stays plausible where nothing was seen (paper, 2.3; no formula there: docs/decisions.md, S8)."""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.losses.masked import full_precision, mean_difference
from ftim.metrics.image import check_pair


def regularisation_loss(albedo: Tensor, template: Tensor, unseen: Tensor) -> Tensor:
    """Distance from the template, and total variation of that distance, where nothing was seen.

    With D = albedo - template and u = ``unseen``, each averaged over channels:
    sum of u |D| / sum of u + sum of u_i u_j |D_i - D_j| / sum of u_i u_j, the second over all pairs (i, j) of texels
    next to each other in a row or a column. The variation is that of D and not of the albedo, which would blur the
    rims of lips, lids and brows that the template has: so the minimum, 0, is the template plus nothing.

    Args:
        albedo: (B, 3, T, T), complete.
        template: (3, T, T), of ``load_template_albedo``.
        unseen: (B, 1, T, T) in [0, 1], 1 - ``PartialTexture.visibility``.

    Returns:
        (B,); 0 for the template and where all was seen.

    Raises:
        ValueError: shapes that do not belong together.
    """
    check_pair(albedo, albedo, unseen)
    if template.shape != albedo.shape[1:]:
        raise ValueError(f"expected a template of shape {tuple(albedo.shape[1:])}, got {tuple(template.shape)}")
    template = template.expand_as(albedo)
    return mean_difference(albedo, template, unseen) + total_variation(albedo - template, unseen)


def total_variation(values: Tensor, mask: Tensor) -> Tensor:
    """(B, C, H, W), (B, 1, H, W) -> (B,): the mean absolute step to the right and to the lower neighbour.

    A step weighs the product of the mask at both ends, so none crosses the mask's border; 0 where there is none.
    """
    mask = full_precision(mask)
    right = mask[..., 1:] * mask[..., :-1]
    down = mask[..., 1:, :] * mask[..., :-1, :]
    rights, downs = right.sum((1, 2, 3)), down.sum((1, 2, 3))
    total = rights * mean_difference(values[..., 1:], values[..., :-1], right)
    total = total + downs * mean_difference(values[..., 1:, :], values[..., :-1, :], down)
    return total / torch.where(rights + downs > 0, rights + downs, 1)
