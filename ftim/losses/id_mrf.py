"""L_mrf: implicit diversified Markov random fields (Wang et al. 2018, 3.2; paper, eq. 2; docs/decisions.md, S9).

With v the features of the rendering and s those of the photograph, one each place of a layer ("patches" of 1 x 1,
as in the code that Wang et al. published), both minus the mean of s and of unit length:

    d(v, s)  = (1 - v . s) / 2                                      cosine distance
    RS(v, s) = exp(-d(v, s) / (min over s' of d(v, s') + eps) / h)  relative similarity
    RS'(v, s) = RS(v, s) / sum over s' of RS(v, s')
    L_M      = -log(mean over s of max over v of RS'(v, s))

Relative: what matters is not how near v comes to s, but that it is nearer to s than to anything else. Diversified:
each s wants a v of its own, so a rendering that repeats one blurred patch everywhere scores badly. This is the
form of the published code, with its constants; the text writes the ratio with similarities instead of distances. Only
places of the face take part (half of their cell or more lies in the mask).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ftim.losses.masked import apply_mask, full_precision
from ftim.losses.vgg19 import Vgg19
from ftim.metrics.image import check_pair

BANDWIDTH = 0.5
"""h: ``nn_stretch_sigma`` of the code that Wang et al. published (inpainting_gmcnn, pytorch/model/loss.py)."""
EPSILON = 1e-5
"""eps, of the same code."""
RELU3_2_WEIGHT = 1.0
"""Eq. 2."""
RELU4_2_WEIGHT = 2.0
"""Eq. 2."""

_CPU_CHUNK = 1 << 20
"""Entries of RS' computed at a time: 4 MB, which stay in a processor's cache."""
_GPU_CHUNK = 1 << 25


def id_mrf_loss(network: Vgg19, rendered: Tensor, photo: Tensor, mask: Tensor) -> Tensor:
    """Eq. 2 of one view: 2 L_M(relu4_2) + L_M(relu3_2). Its sum over the views is that of ``total_loss``.

    Args:
        network: of ``load_vgg19``.
        rendered: (B, 3, H, W) in [0, 1], at least 16 pixels a side.
        photo: (B, 3, H, W) in [0, 1]; a constant, no gradient reaches it.
        mask: (B, 1, H, W) in [0, 1], the rendered face; it multiplies both images.

    Returns:
        (B,), at least 0; 0 (within rounding) for equal images whose patches all differ, and for an empty mask.

    Raises:
        ValueError: shapes that do not belong together, or images too small.
    """
    check_pair(rendered, photo, mask)
    with torch.no_grad():
        target = network(apply_mask(photo, mask))
    generated = network(apply_mask(rendered, mask))
    relu3_2 = markov_loss(generated.relu3_2, target.relu3_2, F.avg_pool2d(mask, 4))
    relu4_2 = markov_loss(generated.relu4_2, target.relu4_2, F.avg_pool2d(mask, 8))
    return RELU4_2_WEIGHT * relu4_2 + RELU3_2_WEIGHT * relu3_2


def markov_loss(generated: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """L_M of one layer.

    Args:
        generated: (B, C, H, W) features.
        target: (B, C, H, W); a constant, no gradient reaches it.
        mask: (B, 1, H, W); a place takes part where it is at least one half.

    Returns:
        (B,), at least 0. A picture without a place that takes part has 0.

    Raises:
        ValueError: shapes that do not belong together.
    """
    if generated.ndim != 4 or generated.shape != target.shape:
        raise ValueError(
            f"expected two (B, C, H, W) feature maps, got {tuple(generated.shape)} and {tuple(target.shape)}"
        )
    if mask.shape != (len(generated), 1, *generated.shape[2:]):
        raise ValueError(f"expected a mask (B, 1, H, W) for {tuple(generated.shape)}, got {tuple(mask.shape)}")
    # Ratios of small distances: bfloat16 would round most of them to 0.
    with torch.autocast(generated.device.type, enabled=False):
        return torch.stack(
            [
                _picture_loss(v[:, place].T, s[:, place].T)
                for v, s, place in zip(
                    full_precision(generated).flatten(2),
                    full_precision(target).detach().flatten(2),
                    mask.flatten(1) >= 0.5,
                    strict=True,
                )
            ]
        )


def relative_similarity(v: Tensor, s: Tensor) -> Tensor:
    """RS': (N, C) and (M, C) of unit length -> (N, M), each row of sum 1."""
    distance = ((1 - v @ s.T) / 2).clamp(min=0)
    relative = distance / (distance.amin(1, keepdim=True) + EPSILON)
    return torch.softmax(-relative / BANDWIDTH, dim=1)


def _picture_loss(v: Tensor, s: Tensor) -> Tensor:
    """(N, C) features of rendering and photograph -> L_M.

    The N x N matrix RS' of relu3_2 has ten million entries at 224 x 224, and a gradient would keep several copies.
    So it is never whole: without gradients the best v of each s is found, some rows at a time; then only the rows
    that are best for some s are computed again, since no other has a gradient, and once more on the way back.
    """
    if len(v) == 0:
        return v.sum()
    mean = s.mean(0)
    v, s = F.normalize(v - mean, dim=1), F.normalize(s - mean, dim=1)
    rows = max(1, (_CPU_CHUNK if v.device.type == "cpu" else _GPU_CHUNK) // len(s))
    largest, best = _best_rows(v.detach(), s, rows)
    if not v.requires_grad:
        return -largest.mean().log()
    winners, place = best.unique(return_inverse=True)
    total = v.new_zeros(())
    for start in range(0, len(winners), rows):
        columns = ((place >= start) & (place < start + rows)).nonzero()[:, 0]
        part = v[winners[start : start + rows]]
        total = total + checkpoint(
            _chosen_sum, part, s, place[columns] - start, columns, use_reentrant=False, preserve_rng_state=False
        )
    return -(total / len(s)).log()


@torch.no_grad()
def _best_rows(v: Tensor, s: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """(M,) max over v of RS'(v, s), and (M,) which v it is; ``rows`` of v at a time."""
    largest = s.new_full((len(s),), -1.0)
    best = torch.zeros(len(s), dtype=torch.long, device=s.device)
    for start in range(0, len(v), rows):
        value, row = relative_similarity(v[start : start + rows], s).max(0)
        better = value > largest
        largest = torch.where(better, value, largest)
        best = torch.where(better, row + start, best)
    return largest, best


def _chosen_sum(v: Tensor, s: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sum of the entries (rows, columns) of RS'."""
    return relative_similarity(v, s)[rows, columns].sum()
