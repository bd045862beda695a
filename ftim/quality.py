"""How far a result can be trusted: what the photograph showed, how well the head fits, and warnings in words.

Thresholds were set on people of training alone, official portraits, photographs of FRLL and of webmorph, so that
ordinary photographs pass and those with a fringe, glasses or hard light do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ftim.face_check import LEAST
from ftim.facial_skin import FacialSkin
from ftim.metrics.facenet import facenet_cosine
from ftim.reconstruction import Reconstruction
from ftim.regressors import landmark_error
from ftim.render.pose import PosedHead, pose_head
from ftim.render.shading import LUMA, shade
from ftim.structures import Face, Fit

if TYPE_CHECKING:
    from facenet_pytorch import InceptionResnetV1

LARGEST_LANDMARK_ERROR = 0.025
"""Twice the largest of training (0.012)."""
FARTHEST_TURN = 50.0
"""Degrees. FRLL's three-quarter views go up to 46."""
SMALLEST_FACE = 150.0
"""Pixels: below, the crop of 224 has more pixels than the photograph."""
DARKEST = 0.5
"""Of a training photograph ``brightest`` is 0.6 at least, and below this when its sRGB values are halved."""
LARGEST_CONTRAST = 2.3
"""7 of the 70 official portraits are above, all lit from one side; none of the others."""
LARGEST_UNEXPLAINED_LIGHT = 0.12
"""Twice the largest of training (0.058), with the weights that ship: ``scripts/measure/quality.py`` prints it."""
LARGEST_COVERED_FOREHEAD = 0.4
"""Above are 7 of the training photographs, each with a fringe."""
LARGEST_COVERED_EYES = 0.11
"""Above are 20 of the training photographs: 17 with glasses, one with a fringe, two without either."""
LARGEST_COVERED_LOWER = 0.15
"""The largest of training is 0.06."""
DARK_GLASS = 0.2
"""Around the eyes, what is darker than this share of the face's median is no skin: sunglasses, whose lenses the skin
mask takes for shadow. At most 0.03 of a training face without glasses is that dark there."""
FACING = 0.5
"""Cosine of the angle between the skin and the way to the camera; what is steeper is not asked about."""
BROWS, NOSE, TEMPLES = 0.3, -0.35, 0.8
"""Between these heights, and as far to the sides, lies the skin around the eyes: ``FacialSkin.place``."""
PLACES = 4
LARGEST_IDENTITY_DISTANCE = 9.0
"""Between views of training people left out of the metric: 2.6 % of one person's are above, 66 % of two people's
(``scripts/bake/identity_metric.py``)."""
LEAST_FACENET_COSINE = 0.6
"""Between views of training people: none of one person's are below, 99.9 % of two people's."""

Kind = Literal["fit", "turned", "small", "dark", "hard light", "covered", "person", "incomplete", "upright", "doubtful"]


@dataclass(frozen=True)
class QualityWarning:
    """Something that makes a result doubtful."""

    kind: Kind
    text: str
    """A sentence for the user."""


@dataclass(frozen=True)
class Quality:
    """Of one reconstruction; numbers are rounded to the fourth decimal."""

    seen: float
    """Share of the facial skin, by area, that the photographs showed."""
    landmark_error: float
    """Mean distance between detected landmarks and the fitted head's, over the distance of the outer eye corners."""
    unexplained_light: float | None
    """Mean of abs(residual - 1) over seen facial skin; None when the completion tells no residual."""
    contrast: float | None
    """Brightness of the fitted light on seen facial skin: ninth decile over first. None where nothing was seen."""
    turn: float
    """Degrees by which the head is turned away from the camera; positive to the viewer's right."""
    face_pixels: float
    """Longer side of the landmarks' box, in pixels of the photograph."""
    brightest: float
    """Brightness in [0, 1] that half a percent of the crop exceeds: eyes, teeth and highlights, for any skin."""
    covered_forehead: float
    covered_eyes: float
    covered_lower: float
    """Share of the skin towards the camera that hair, glasses, a hand or a mask hides: above the brows, around the
    eyes, and below."""
    warnings: tuple[QualityWarning, ...]
    identity_distances: tuple[float, ...] = ()
    """Of each further photograph's head from the first's (``ftim.identity``); none with one photograph."""
    facenet_cosines: tuple[float, ...] = ()
    """Of each further photograph's face and the first's, when FaceNet was given; it is then asked and not the heads."""
    confidence: float = 1.0
    """In [0, 1], that it is a human face (``ftim.face_check``)."""

    def sentences(self) -> list[str]:
        """What was measured, for people; warnings are apart."""
        texts = [
            f"The photograph shows {self.seen:.0%} of the facial skin; the rest is completed.",
            f"The landmarks of the fitted head are off by {self.landmark_error:.1%} of the eye distance on average.",
        ]
        if self.unexplained_light is not None:
            texts.append(
                f"Gloss, cast shadows and near lamps change the light on the seen skin by {self.unexplained_light:.0%} "
                "on average; the albedo is without them."
            )
        return texts


@torch.no_grad()
def assess(result: Reconstruction, facenet: InceptionResnetV1 | None = None) -> Quality:
    """The numbers of a result, and warnings where they pass a threshold.

    ``facenet`` (``ftim.metrics.load_facenet``) tells whether several photographs show one person much better than their
    fitted heads do.
    """
    skin, head, face = FacialSkin.of(result.model), pose_head(result.model, result.fit), result.face
    box = face.landmarks[0].amax(0) - face.landmarks[0].amin(0)
    numbers: dict[str, float | None] = {
        "seen": _mean(skin.in_map(result.partial.visibility)[0], skin.area),
        "landmark_error": float(landmark_error(result.model, face, result.fit).mean()),
        "unexplained_light": unexplained_light(result, skin),
        "contrast": contrast(result, skin, head),
        "turn": turn(result.fit),
        "face_pixels": float(box.max() * face.crop_to_photo[0, 0] * result.reduction),
        "brightest": _quantile(_luma(face.image[0]).flatten(), face.valid.flatten(), 0.995),
    }
    numbers |= covered(result, skin, head) | {"confidence": result.confidence}
    rounded = {name: None if value is None else round(value, PLACES) for name, value in numbers.items()}
    quality = Quality(
        **rounded,  # type: ignore[arg-type]
        warnings=(),
        identity_distances=tuple(round(distance, PLACES) for distance in result.identity_distances),
        facenet_cosines=() if facenet is None else facenet_cosines(result.views, facenet),
    )
    return replace(quality, warnings=(*of_the_file(result), *find_warnings(quality)))


def of_the_file(result: Reconstruction) -> Iterator[QualityWarning]:
    """What was done about a file that breaks off or shows a face that is not upright."""
    if not result.complete:
        yield QualityWarning("incomplete", "The file breaks off before its end: what is missing is grey.")
    if result.turn:
        degrees = {1: "90 degrees counter-clockwise", 2: "180 degrees", 3: "90 degrees clockwise"}[result.turn]
        yield QualityWarning("upright", f"The face was not upright: the photograph was turned by {degrees}.")


def find_warnings(quality: Quality) -> Iterator[QualityWarning]:
    """What a user should know before trusting these numbers' result."""
    if quality.confidence < LEAST:
        yield QualityWarning("doubtful", f"It may be no human face (confidence {quality.confidence:.2f}).")
    if quality.landmark_error > LARGEST_LANDMARK_ERROR:
        yield QualityWarning("fit", "The head does not fit the face well: is it a face, upright and in full view?")
    if abs(quality.turn) > FARTHEST_TURN:
        yield QualityWarning(
            "turned", f"The head is turned far ({abs(quality.turn):.0f} degrees): one side of the face is completed."
        )
    if quality.face_pixels < SMALLEST_FACE:
        yield QualityWarning(
            "small", f"The face is small ({quality.face_pixels:.0f} pixels): the texture has no fine detail."
        )
    if quality.brightest < DARKEST:
        yield QualityWarning("dark", "The photograph is dark: colours and detail are uncertain.")
    if quality.contrast is not None and quality.contrast > LARGEST_CONTRAST:
        yield QualityWarning(
            "hard light", "One part of the face is lit much more than another: some light may remain in the albedo."
        )
    elif quality.unexplained_light is not None and quality.unexplained_light > LARGEST_UNEXPLAINED_LIGHT:
        yield QualityWarning("hard light", "Gloss or cast shadows are strong: some of them may remain in the albedo.")
    if strangers := other_people(quality):
        which = "Photograph " + " and ".join(map(str, strangers))
        seem = "seems to show another person" if len(strangers) == 1 else "seem to show another person"
        yield QualityWarning("person", f"{which} {seem} than photograph 1: their skin is mixed in this texture.")
    parts = [
        (f"{share:.0%} of the {where}", what)
        for share, most, where, what in (
            (quality.covered_forehead, LARGEST_COVERED_FOREHEAD, "forehead", "hair covers"),
            (quality.covered_eyes, LARGEST_COVERED_EYES, "skin around the eyes", "glasses or hair cover"),
            (quality.covered_lower, LARGEST_COVERED_LOWER, "lower face", "a hand or a mask covers"),
        )
        if share > most
    ]
    if parts:
        what = parts[0][1] if len(parts) == 1 else "hair, glasses, a hand or a mask cover"
        where = " and ".join(part for part, _ in parts)
        yield QualityWarning("covered", f"It seems that {what} {where}; what is behind is completed.")


def other_people(quality: Quality) -> list[int]:
    """Numbers, from 2, of the photographs that seem to show another person than the first."""
    if quality.facenet_cosines:
        return [number for number, value in enumerate(quality.facenet_cosines, 2) if value < LEAST_FACENET_COSINE]
    distances = enumerate(quality.identity_distances, 2)
    return [number for number, value in distances if value > LARGEST_IDENTITY_DISTANCE]


def facenet_cosines(views: Face, facenet: InceptionResnetV1) -> tuple[float, ...]:
    """``Quality.facenet_cosines``."""
    others = views.image[1:]
    if not len(others):
        return ()
    cosines = facenet_cosine(facenet, others, views.image[:1].expand_as(others))
    return tuple(round(value, PLACES) for value in cosines.tolist())


def turn(fit: Fit) -> float:
    """Degrees between where the first head of a batch looks and the camera, seen from above."""
    forward, to_camera = fit.rotation[0, :, 2].tolist(), (-fit.translation[0]).tolist()
    angle = math.atan2(forward[0], forward[2]) - math.atan2(to_camera[0], to_camera[2])
    return math.degrees(math.remainder(angle, math.tau))


def unexplained_light(result: Reconstruction, skin: FacialSkin) -> float | None:
    """How much of the light the nine harmonics do not hold: ``Quality.unexplained_light``."""
    residual = result.texture.residual
    if bool((residual == 1).all()):
        return None
    return _mean((skin.in_map(residual) - 1).abs().mean(0), _seen(result, skin))


def contrast(result: Reconstruction, skin: FacialSkin, head: PosedHead) -> float | None:
    """``Quality.contrast``."""
    weight = _seen(result, skin)
    if not weight.sum() > 0:
        return None
    light = _luma(shade(skin.normals(head)[None], result.fit.light)[0].T)
    return _quantile(light, weight, 0.9) / _quantile(light, weight, 0.1)


def covered(result: Reconstruction, skin: FacialSkin, head: PosedHead) -> dict[str, float]:
    """``Quality.covered_forehead`` and its like; 0 for a part that does not face the camera."""
    inside = skin.in_picture(result.face.valid, head)[0]
    weight = skin.area * (skin.cosines(head) > FACING) * inside
    hidden = 1 - skin.in_picture(result.skin, head)[0]
    x, y = skin.place.abs()[:, 0], skin.place[:, 1]
    around_eyes = (y <= BROWS) & (y > NOSE) & (x < TEMPLES)
    if weight.sum() > 0:
        brightness = _luma(skin.in_picture(result.face.image, head))
        black = brightness < DARK_GLASS * _quantile(brightness, weight, 0.5)
        hidden = torch.where(black & around_eyes, 1.0, hidden)
    parts = {"covered_forehead": y > BROWS, "covered_eyes": around_eyes, "covered_lower": y <= NOSE}
    return {name: _mean(hidden, weight * part) or 0.0 for name, part in parts.items()}


def _seen(result: Reconstruction, skin: FacialSkin) -> Tensor:
    """(N,) weights."""
    return skin.in_map(result.partial.confidence)[0] * skin.area


def _luma(color: Tensor) -> Tensor:
    """(3, ...) -> (...)."""
    return torch.tensordot(color.new_tensor(LUMA), color, dims=1)


def _mean(value: Tensor, weight: Tensor) -> float | None:
    """None where nothing weighs."""
    total = float(weight.sum())
    return float((value * weight).sum()) / total if total > 0 else None


def _quantile(value: Tensor, weight: Tensor, share: float) -> float:
    """Of values (N,) that weigh (N,), not all nothing."""
    order = value.argsort()
    total = weight[order].cumsum(0)
    return float(value[order][torch.searchsorted(total, share * total[-1]).clamp(max=len(value) - 1)])
