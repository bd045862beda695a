"""What training learns from: a photograph with all that does not change while FTIM learns."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from ftim.morphable.model import MorphableModel
from ftim.regressors.mirror import mirror_fit
from ftim.structures import Batched, Fit, PartialTexture


@dataclass(frozen=True)
class Example(Batched):
    """Photographs, their fits by the fixed regressor, and what the camera saw of each head."""

    photo: Tensor
    """(B, 3, S, S) in [0, 1]."""
    skin: Tensor
    """(B, 1, S, S) in [0, 1], the head's own surface: no hair, glasses, padding."""
    fit: Fit
    partial: PartialTexture
    """At the side that training works at."""


def mirror_example(example: Example, model: MorphableModel) -> Example:
    """What the photographs flipped left to right would have given. Applied twice it gives the example back."""
    partial = example.partial
    return Example(
        photo=example.photo.flip(-1),
        skin=example.skin.flip(-1),
        fit=mirror_fit(example.fit, model),
        partial=PartialTexture(partial.color.flip(-1), partial.visibility.flip(-1), partial.confidence.flip(-1)),
    )


def hide(example: Example, visibility: Tensor, confidence: Tensor) -> PartialTexture:
    """What would have been seen of the heads from elsewhere: pose-mask augmentation.

    Args:
        example: B pictures, nearly frontal.
        visibility: (B, 1, T, T), 1 where a texel is seen in the other pose.
        confidence: (B, 1, T, T) in [0, 1], of the other pose.

    Returns:
        The texels that both show, with the lower of the two confidences. The pictures' own ``partial`` stays what is
        known of the skin, and so what the completion is compared with.
    """
    partial = example.partial
    both = partial.visibility * visibility
    return replace(
        partial,
        color=partial.color * both,
        visibility=both,
        confidence=partial.confidence.minimum(confidence) * both,
    )
