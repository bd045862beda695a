"""What training learns from: views, whose fits are those of the fixed regressor, and what is made of them."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ftim.morphable.model import MorphableModel
from ftim.regressors.mirror import mirror_face, mirror_fit
from ftim.structures import PartialTexture, View


def mirror_view(view: View, model: MorphableModel) -> View:
    """What the photographs flipped left to right would have given. Applied twice it gives the view back."""
    partial = view.partial
    return View(
        face=mirror_face(view.face),
        fit=mirror_fit(view.fit, model),
        skin=view.skin.flip(-1),
        partial=PartialTexture(partial.color.flip(-1), partial.visibility.flip(-1), partial.confidence.flip(-1)),
    )


def hide(view: View, visibility: Tensor, confidence: Tensor) -> PartialTexture:
    """What would have been seen of the heads from elsewhere: pose-mask augmentation.

    Args:
        view: B pictures, nearly frontal.
        visibility: (B, 1, T, T), 1 where a texel is seen in the other pose.
        confidence: (B, 1, T, T) in [0, 1], of the other pose.

    Returns:
        The texels that both show, with the lower of the two confidences. The pictures' own ``partial`` stays what is
        known of the skin, and so what the completion is compared with.
    """
    partial = view.partial
    both = partial.visibility * visibility
    return replace(
        partial,
        color=partial.color * both,
        visibility=both,
        confidence=partial.confidence.minimum(confidence) * both,
    )
