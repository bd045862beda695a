"""A second opinion on what the landmarker took for a face: how human the fitted head is, and how alike it looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ftim.errors import NoFaceError
from ftim.filters import box_blur
from ftim.regressors import landmark_error
from ftim.render.image import ImageRenderer
from ftim.render.shading import LUMA
from ftim.render.surface import RasterizedHead
from ftim.small_faces import SURE as SURE_OF_A_FACE
from ftim.small_faces import SmallFaces
from ftim.structures import Face, Fit

SMOOTH = 31
"""Pixels of a crop of 224: brightness is compared without what is smoother than this."""
SURE = 0.9
"""Confidence above which a fit is not questioned; 98 % of training faces are above, and none of what is no face."""
LEAST = 0.3
"""Confidence, with the other network's word, below which it is no face unless that network is sure."""
MOST_IDENTITY, LARGEST_ERROR = 0.9, 0.05
"""Beyond these a fit makes no sense, whatever the other network says: no face of training reaches half of either."""
WEIGHTS = (-37.0, 10.7, 10.5, 62.0)
"""Of identity, likeness, log(landmark error) and one: a logistic regression over photographs of training people,
ordinary ones and such as are made awkward, and made pictures without a face (``scripts/measure/face_check.py``)."""
WEIGHTS_WITH_NETWORK = (-38.0, 7.7, 13.7, 77.7, 0.28)
"""The same with the other network's log(p / (1 - p)) at the end."""
WEIGHTS_UPRIGHT = (-16.6, 15.8, 0.7)
"""Of identity, likeness and one. A head bent to a face that lies may fit it well: the landmark error is no witness."""
SURELY_UPRIGHT = 0.8
"""95 % of training faces are above."""
FLATTEST = 1e-4
"""Added to a probability and its opposite before their logarithms."""
LOWEST = -60.0
"""Log odds are not taken to be lower: the exponential of their opposite is a number."""


@dataclass(frozen=True)
class FaceEvidence:
    """Of one fitted head."""

    identity: float
    """Root mean square of the identity coefficients, which is 1 on average over the model's own people."""
    likeness: float
    """Correlation of the crop's brightness, without its smooth part, with that of the average face drawn by the fit."""
    landmark_error: float
    """Mean of ``ftim.regressors.landmark_error``."""

    @property
    def features(self) -> tuple[float, float, float, float]:
        """What ``WEIGHTS`` weigh."""
        return self.identity, self.likeness, math.log(max(self.landmark_error, FLATTEST)), 1.0

    @property
    def confidence(self) -> float:
        """In [0, 1], that this is a human face, the right way up. An unusual head that fits its landmarks well was bent
        to them."""
        return logistic(WEIGHTS, self.features)

    @property
    def upright(self) -> float:
        """In [0, 1], that the face is the right way up, to within 45 degrees or so."""
        return logistic(WEIGHTS_UPRIGHT, (self.identity, self.likeness, 1.0))

    def confidence_with(self, sureness: float) -> float:
        """The same when another network gives it a probability in [0, 1]."""
        return logistic(WEIGHTS_WITH_NETWORK, (*self.features, log_odds(sureness)))


def logistic(weights: Sequence[float], features: Sequence[float]) -> float:
    """1 / (1 + exp(-sum of the products)); 0 where a feature is no number, as after a fit that went astray."""
    total = sum(weight * value for weight, value in zip(weights, features, strict=True))
    return 0.0 if math.isnan(total) else 1 / (1 + math.exp(-max(total, LOWEST)))


def log_odds(probability: float) -> float:
    """Within about 9 of 0."""
    return math.log((probability + FLATTEST) / (1 - probability + FLATTEST))


class FaceCheck:
    """Asks the fit first, and the network of small faces where that is in doubt."""

    def __init__(self, renderer: ImageRenderer, template: Tensor, small_faces: SmallFaces) -> None:
        """template (3, T, T) sRGB in [0, 1]."""
        self.renderer = renderer
        self.template = template
        self.small_faces = small_faces

    def evidence(self, face: Face, fit: Fit, head: RasterizedHead | None = None) -> list[FaceEvidence]:
        """Of each head of a batch; ``head`` is of one fit, where it was rasterised already."""
        return face_evidence(self.renderer, self.template, face, fit, head)

    def __call__(self, face: Face, fit: Fit) -> float:
        """The confidence in [0, 1] that this is a human face, with the other network's word where the fit leaves it in
        doubt; a batch of one.

        Raises ``NoFaceError`` when it is low, or when the fit makes no sense.
        """
        (evidence,) = self.evidence(face, fit)
        return self.judged(face, evidence)

    def judged(self, face: Face, evidence: FaceEvidence) -> float:
        """As ``__call__``, with the evidence that was found already."""
        # Written so that what is no number fails as well.
        if not (evidence.identity <= MOST_IDENTITY and evidence.landmark_error <= LARGEST_ERROR):
            shape, error = evidence.identity / MOST_IDENTITY, evidence.landmark_error / LARGEST_ERROR
            raise NoFaceError(
                "the head that fits what was found in the photo makes no sense: its shape has "
                f"{shape:.1f} and its landmarks {error:.1f} times what is accepted. If there is a face, cut out the "
                "part with it, upright and in full view"
            )
        if evidence.confidence >= SURE:
            return evidence.confidence
        if not self.small_faces.available:
            sureness, confidence = 0.0, evidence.confidence
        else:
            sureness = self._sureness(face)
            confidence = evidence.confidence_with(sureness)
        if confidence < LEAST and sureness < SURE_OF_A_FACE:
            raise NoFaceError(
                "what was found in the photo does not look like a human face: the head that fits it is none "
                f"(confidence {confidence:.2f}). If there is a face, cut out the part with it, upright and in full "
                "view"
            )
        return confidence

    def _sureness(self, face: Face) -> float:
        crop = (face.image[0].permute(1, 2, 0).cpu().numpy() * 255).round().astype("uint8")
        return self.small_faces.sureness(crop)


@torch.no_grad()
def face_evidence(
    renderer: ImageRenderer, template: Tensor, face: Face, fit: Fit, head: RasterizedHead | None = None
) -> list[FaceEvidence]:
    """Of each head of a batch; template (3, T, T) sRGB in [0, 1]; ``head`` is of one fit, where it was rasterised
    already."""
    drawn = renderer(template[None].expand(len(face.image), -1, -1, -1), fit, face.image, head=head)
    mask = (drawn.mask > 0.5).to(face.image) * face.valid
    likeness = _correlation(_detail(face.image, mask), _detail(drawn.image, mask), mask)
    identity = fit.identity.square().mean(1).sqrt()
    errors = landmark_error(renderer.model, face, fit).mean(1)
    return [FaceEvidence(*values) for values in torch.stack([identity, likeness, errors.to(identity)], 1).tolist()]


def _detail(image: Tensor, mask: Tensor) -> Tensor:
    """(B, 1, S, S): brightness without its smooth part, both of the mask alone."""
    luma = torch.einsum("bchw,c->bhw", image, image.new_tensor(LUMA))[:, None]
    side = SMOOTH * image.shape[-1] // 224 // 2 * 2 + 1

    def blur(value: Tensor) -> Tensor:
        return box_blur(value, side // 2, 1)

    return (luma - blur(luma * mask) / blur(mask).clamp(min=1e-3)) * mask


def _correlation(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """(B,) over the mask; 0 where it is empty or one of the two is flat."""
    count = mask.sum((1, 2, 3)).clamp(min=1)
    a, b = ((x - (x.sum((1, 2, 3)) / count)[:, None, None, None]) * mask for x in (a, b))
    scale = (a.square().sum((1, 2, 3)) * b.square().sum((1, 2, 3))).sqrt()
    return (a * b).sum((1, 2, 3)) / scale.clamp(min=1e-6)
