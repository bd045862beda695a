"""The skin mask: which pixels of a crop really show the surface of the face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from ftim.morphable.model import MorphableModel, Region
from ftim.render.rasterizer import Rasterizer
from ftim.render.surface import RasterizedHead
from ftim.skin.colour import Deviations, bin_numbers, deviations, histogram
from ftim.skin.geometry import HeadPixels, grown, head_pixels
from ftim.skin.glasses import glasses_pixels
from ftim.structures import Face, Fit


class SkinMask(Protocol):
    """What ``skin_mask`` is, and what may take its place."""

    def __call__(
        self, face: Face, fit: Fit, model: MorphableModel, rasterizer: Rasterizer, *, head: RasterizedHead | None = None
    ) -> Tensor:
        """(B, 1, S, S) in [0, 1]; ``head`` is of these fits, where it was rasterised already."""
        ...


BELOW_NOSE = -0.5
CHIN = -1.2
LOBES = -0.25
"""Heights on the head in units of the outer eye distance, 0 at the eyes: see ``HeadPixels.place``."""
HAIR_SPREADS, HAIR_DARKER, HAIR_HUE = 2.2, 0.28, 0.035
"""Beside the face, what differs more than so many spreads of this person's skin, and by at least so much of log
brightness or of a chromaticity, is hair."""


@dataclass(frozen=True)
class SkinSettings:
    """Lengths are in units of the distance between the outer eye corners (80 to 100 pixels of a crop of 224)."""

    smoothing: float = 60.0
    """Strength of the edge-aware smoothing of the evidence."""
    edge: float = 9.0
    """Colour difference, of 255, that stops the smoothing."""
    erosion: float = 0.02
    """Taken off all around, so that no mixed pixel remains."""
    softness: float = 0.012
    """Standard deviation of the blur of the rim."""
    speck: float = 0.02
    """Parts that are thinner than twice this are dropped."""


def skin_mask(
    face: Face,
    fit: Fit,
    model: MorphableModel,
    rasterizer: Rasterizer,
    settings: SkinSettings | None = None,
    *,
    head: RasterizedHead | None = None,
) -> Tensor:
    """Which pixels show the face's own surface rather than hair, glasses, background, or something held before it.

    Brows, eyes, lips, teeth and beard belong to the face. Skin is what this person's inner face looks like under
    the light that falls there; what surrounds the head in the photo is its rival; the fit says how much is
    expected where. The evidence is smoothed along, not across, the edges of the photo.

    Args:
        face: crops of side S.
        fit: the model fitted to them; its light is not used.
        model: the head.
        rasterizer: to see where on the head a pixel lies.
        head: of these fits, where it was rasterised already.

    Returns:
        (B, 1, S, S) in [0, 1] on the device of ``face.image``. Mirrored faces and fits give mirrored masks up to
        rounding.
    """
    settings = settings or SkinSettings()
    heads = head_pixels(face, fit, model, rasterizer, head)
    images = face.image.permute(0, 2, 3, 1).clamp(0, 1).cpu().numpy()
    valid = face.valid[:, 0].cpu().numpy() > 0.5
    masks = [mask_one(image, known, head, settings) for image, known, head in zip(images, valid, heads, strict=True)]
    return torch.from_numpy(np.stack(masks))[:, None].to(face.image)


def mask_one(image: np.ndarray, valid: np.ndarray, head: HeadPixels, settings: SkinSettings) -> np.ndarray:
    """(S, S, 3) image in [0, 1], (S, S) bool inside the photograph, where it lies on the head -> (S, S) in [0, 1]."""
    image = np.ascontiguousarray(image, dtype=np.float32)
    features = (grown(head.eyes, 0.03 * head.unit) | head.brows | head.lips) & head.inside
    expected = where_skin_is_expected(head, features) * valid
    if expected.sum() < 50:
        return np.zeros(valid.shape, np.float32)
    deviation = deviations(image, head, expected)
    evidence = colour_evidence(deviation, head, expected, valid) + place_evidence(head)
    beard = beard_share(deviation, head)
    evidence = keep_face(evidence, deviation, head, features, beard)
    evidence[hair_beside_face(deviation, head)] = -6
    evidence[~valid | ~grown(head.inside, 0.01 * head.unit)] = -6
    smooth = smoothed(image, evidence, settings)
    return cleaned(smooth, glasses_pixels(deviation, head), head, settings) * valid


def where_skin_is_expected(head: HeadPixels, features: np.ndarray) -> np.ndarray:
    """(S, S) float32 weights: cheeks and nose most, forehead and chin less, since hair and beard may cover them."""
    x, y = np.abs(head.place[..., 0]), head.place[..., 1]
    skin = (head.region == Region.FACE) & (head.normal[..., 2] > 0.25) & ~grown(features, 0.03 * head.unit)
    middle = (y < -0.05) & (y > 1.2 * BELOW_NOSE) & (x < 0.6)
    return np.float32(skin & (y < 0.5) & (y > -1.1)) * np.where(middle, 1.0, 0.25).astype(np.float32)


def colour_evidence(deviation: Deviations, head: HeadPixels, expected: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(S, S) log-odds of skin against what surrounds the head, from colour alone."""
    y = head.place[..., 1]
    squared = deviation.squared
    bins = bin_numbers(deviation.value)
    # Bald heads and ears that stick out make skin of the surroundings: what looks like skin tells nothing there.
    beside = ~grown(head.inside, 0.04 * head.unit) & valid
    rows = np.flatnonzero((head.inside & (y > CHIN)).any(1))
    beside[rows.max() + 1 :] = False
    hair = ((head.region == Region.SCALP) & (y > 0.75)) | beside
    around = histogram(bins.ravel(), (hair * np.clip((squared - 9) / 16, 0, 1)).ravel())
    skin = histogram(bins.ravel(), (expected * np.exp(-squared / 18)).ravel())
    uniform = 1 / len(skin)
    rival = 0.6 * around + 0.4 * uniform
    odds = np.log(skin + 0.02 * uniform)[bins] - np.log(rival)[bins]
    return np.clip(odds, -4, 4)


def place_evidence(head: HeadPixels) -> np.ndarray:
    """(S, S) log-odds of bare skin from the place on the head: sure about the cheeks, doubtful towards the hair."""
    x, y = np.abs(head.place[..., 0]), head.place[..., 1]
    forehead = np.interp(y, [0.2, 0.45, 0.75, 1.0], [3.0, 1.5, 0.0, -2.0])
    side = np.interp(x, [0.5, 0.75], [3.0, 0.5])
    evidence = np.minimum(forehead, side)
    evidence[head.region == Region.SCALP] -= 1.0
    evidence[(head.region == Region.NECK) | (head.region == Region.EARS)] = 0.0
    return evidence


def beard_share(deviation: Deviations, head: HeadPixels) -> float:
    """How much of the chin and upper lip is darker or greyer than the cheeks, 0 to 1."""
    x, y = np.abs(head.place[..., 0]), head.place[..., 1]
    around_mouth = (head.region == Region.FACE) & (x < 0.4) & (y < BELOW_NOSE - 0.05) & (y > -1.1)
    around_mouth &= ~grown(head.lips, 0.03 * head.unit)
    return float((deviation.squared[around_mouth] > 12).mean()) if around_mouth.any() else 0.0


def keep_face(
    evidence: np.ndarray, deviation: Deviations, head: HeadPixels, features: np.ndarray, beard: float
) -> np.ndarray:
    """The evidence with what belongs to the face although it is no bare skin: features, nostrils, shadows, beard."""
    x, y = np.abs(head.place[..., 0]), head.place[..., 1]
    face = head.region == Region.FACE
    evidence = evidence.copy()
    lower = face & (y < BELOW_NOSE + 0.15) & (x < 0.8)
    bearded = np.clip((beard - 0.15) / 0.2, 0, 1)
    strange = foreign(deviation, head, features)
    lower &= ~strange
    evidence[lower] = np.maximum(evidence[lower], -4 + 7 * bearded)
    # Highlights are as bright as a white wall, but there is no wall in the middle of a face.
    middle = face & (x < 0.45) & (y < 0.5) & (deviation.value[..., 0] > 0)
    evidence[middle] = np.maximum(evidence[middle], 1)
    inner = face & (x < 0.5) & (y < 0.1) & (y > -1.15)
    inner &= ~strange
    evidence[inner] = np.maximum(evidence[inner], 2)
    mouth = np.isin(head.region, (Region.EYES, Region.TEETH, Region.TONGUE, Region.MOUTH))
    evidence[features | mouth] = 4
    return evidence


def foreign(deviation: Deviations, head: HeadPixels, features: np.ndarray) -> np.ndarray:
    """(S, S) bool: broad patches in a colour that is not skin's, such as a lock of hair or a glove.

    A shadow keeps the hue of skin, and nostrils and folds are narrow. Around the mouth, where a beard may be, only
    hues that no beard has count.
    """
    hue = np.square(deviation.value[..., 1:] / deviation.sigma[1:]).sum(-1)
    odd = (deviation.squared > 40) & (hue > np.where(head.place[..., 1] > BELOW_NOSE + 0.15, 20, 120))
    odd &= ~grown(features, 0.06 * head.unit)
    core = grown(odd, -0.06 * head.unit)
    return grown(core, 0.08 * head.unit) if core.any() else core


def hair_beside_face(deviation: Deviations, head: HeadPixels) -> np.ndarray:
    """(S, S) bool: above the brows and before the ears, what is darker than skin, or of another hue: hair's edge.

    Tips of a fringe, cropped temples and sideburns are too fine, or too like skin, for the surroundings to tell. Below,
    a beard belongs to the face. Skin that is lost here to a cast shadow is made up again; hair would be painted in.
    """
    x, y = np.abs(head.place[..., 0]), head.place[..., 1]
    brows = (x < 0.72) & (y < 0.36)
    around = ((y > 0.36) | ((x > 0.5) & (y > LOBES))) & ~brows & head.inside
    value = cv2.GaussianBlur(deviation.value, (0, 0), max(0.012 * head.unit, 0.5))
    darker = value[..., 0] < -np.maximum(HAIR_SPREADS * deviation.sigma[0], HAIR_DARKER)
    other = (np.abs(value[..., 1:]) > np.maximum(HAIR_SPREADS * deviation.sigma[1:], HAIR_HUE)).any(-1)
    return around & (darker | (other & (value[..., 0] < 0)))


def smoothed(image: np.ndarray, evidence: np.ndarray, settings: SkinSettings) -> np.ndarray:
    """Edge-aware smoothing by weighted least squares (Min et al. 2014, fast global smoothing) -> log-odds."""
    guide = (image * 255 + 0.5).astype(np.uint8)
    source = np.clip(evidence, -6, 6).astype(np.float32)
    return cv2.ximgproc.fastGlobalSmootherFilter(guide, source, settings.smoothing, settings.edge)


def cleaned(evidence: np.ndarray, glasses: np.ndarray, head: HeadPixels, settings: SkinSettings) -> np.ndarray:
    """Log-odds -> soft mask: one part around the nose without holes, thin spurs, and glasses; soft at the rim."""
    unit = head.unit
    solid = grown(evidence > 0, -settings.speck * unit)
    x, y = np.abs(head.place[..., 0]), head.place[..., 1]
    core = head.inside & (x < 0.5) & (y < 0.2) & (y > -1)
    _, labels = cv2.connectedComponents(solid.astype(np.uint8))
    share = np.bincount(labels[core & solid], minlength=1)
    if share.sum() == 0:
        return np.zeros(evidence.shape, np.float32)
    kept = np.isin(labels, np.flatnonzero(share > 0.02 * share.sum()))
    kept = grown(kept, settings.speck * unit)
    # What is enclosed by the face belongs to it: highlights, moles, shadows.
    _, labels = cv2.connectedComponents((~kept).astype(np.uint8), connectivity=4)
    frame = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1], labels[~head.inside]])
    kept |= ~np.isin(labels, np.unique(frame))
    kept = grown(kept, -settings.erosion * unit) & ~glasses
    soft = cv2.GaussianBlur(kept.astype(np.float32), (0, 0), max(settings.softness * unit, 0.5))
    return np.minimum(soft, 1)  # its weights sum to 1 up to rounding
