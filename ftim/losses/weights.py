"""How much each loss counts."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LossWeights:
    """The lambdas of eq. 1, by default the paper's (2.3). A loss of weight 0 is not computed.

    Raises ``ValueError`` for a weight that is negative or not finite, and if all are 0.
    """

    photometric: float = 1.0
    """lambda_pho: rendering against photograph, pixel by pixel."""
    uv_albedo: float = 0.2
    """lambda_UV: complete against partial texture, where something was seen."""
    identity: float = 0.2
    """lambda_id: FaceNet cosine of rendering and photograph."""
    id_mrf: float = 0.02
    """lambda_mrf: the rendering's texture, patch by patch of VGG19 features."""
    symmetry: float = 0.25
    """lambda_sym: albedo against its mirror image."""
    regularisation: float = 0.01
    """lambda_reg: the albedo where nothing was seen."""

    def __post_init__(self) -> None:
        values = dataclasses.asdict(self)
        for name, value in values.items():
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"the weight of the {name} loss must be a number of at least 0, got {value}")
        if not any(values.values()):
            raise ValueError("all loss weights are 0: there is nothing to learn from")
