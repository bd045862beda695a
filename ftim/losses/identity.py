"""L_id: FaceNet takes rendering and photograph for one person (paper, 2.3; no formula there: docs/decisions.md, S8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ftim.losses.masked import full_precision
from ftim.metrics.facenet import face_embedding
from ftim.metrics.image import check_pair

if TYPE_CHECKING:
    from facenet_pytorch import InceptionResnetV1


def identity_loss(network: InceptionResnetV1, rendered: Tensor, photo: Tensor, mask: Tensor | None = None) -> Tensor:
    """1 - cosine of the FaceNet embeddings of rendering and photograph.

    Args:
        network: of ``ftim.metrics.load_facenet``; the metric uses the same, which flatters (docs/decisions.md, S19).
        rendered: (B, 3, H, W) in [0, 1].
        photo: (B, 3, H, W) in [0, 1]; a constant, no gradient reaches it.
        mask: (B, 1, H, W) in [0, 1]; both images are put on mid grey where it is not above one half, as in the
            metric. Without a mask the whole crops are compared: give an overlay then, not a rendering on black.

    Returns:
        (B,) in [0, 2]; 0 for equal images.

    Raises:
        ValueError: shapes that do not belong together.
    """
    check_pair(rendered, photo, mask)
    with torch.no_grad():
        target = face_embedding(network, photo, mask)
    embedding = face_embedding(network, rendered, mask)
    # Normalised again: under autocast embeddings come in bfloat16, in which they are not of unit length.
    return 1 - torch.nn.functional.cosine_similarity(full_precision(embedding), full_precision(target))
