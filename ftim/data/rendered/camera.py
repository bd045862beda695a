"""From linear light to the bytes of a photograph: exposure, white balance, tone curve, blur, noise and JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Development:
    """How a photograph was exposed and developed."""

    gain: np.ndarray
    """(3,) factor of the linear light: exposure and white balance."""
    contrast: float
    """Power of the tone around its middle; 1 is the sRGB curve alone."""
    saturation: float
    """Factor of the distance from grey."""
    blur: float
    """Standard deviation in pixels."""
    noise: float
    """Standard deviation in sRGB units, of the middle tones."""
    quality: int
    """Of the JPEG."""


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light -> sRGB values (IEC 61966-2-1), both in [0, 1]; cut at 0 and 1."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """The inverse."""
    srgb = np.clip(srgb, 0, 1)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def draw_development(
    linear: np.ndarray, face: np.ndarray, neutral: np.ndarray, rng: np.random.Generator
) -> Development:
    """A development such as cameras and photographers choose.

    Exposure is set for the face in most pictures and for the whole in the others; the white balance takes out part of
    the light's colour.

    Args:
        linear: (H, W, 3). face: (H, W) bool. neutral: (3,) what a white surface in the middle of the face shines back.
    """
    shown = linear[face] if face.any() else linear.reshape(-1, 3)
    bright = np.percentile(shown.mean(-1), 75)
    if rng.random() < 0.65:
        exposure = 0.42 * 2 ** rng.normal(0, 0.45) / max(bright, 1e-6)
    else:
        middle = np.exp(np.log(linear.mean(-1).clip(1e-4)).mean())
        white = neutral.mean()
        by_scene, by_white = 0.2 / max(middle, 1e-6), 0.85 / max(white, 1e-6)
        exposure = np.exp(rng.uniform(0, 1) * np.log(by_scene / by_white)) * by_white * 2 ** rng.normal(0, 0.3)
        exposure = np.clip(exposure, 0.12 / max(bright, 1e-6), 0.95 / max(bright, 1e-6))
    colour = neutral / neutral.mean()
    balance = colour.clip(0.05) ** -rng.uniform(0.35, 1.0) * np.exp(rng.normal(0, 0.04, 3))
    balance /= balance.mean()
    return Development(
        gain=(exposure * balance).astype(np.float32),
        contrast=float(np.exp(rng.normal(0, 0.12))),
        saturation=float(np.exp(rng.normal(0, 0.12))),
        blur=float(rng.choice([0.0, 0.5, rng.uniform(0.6, 1.6)], p=[0.5, 0.35, 0.15])),
        noise=float(rng.choice([0.002, 0.008, rng.uniform(0.01, 0.03)], p=[0.5, 0.35, 0.15])),
        quality=int(rng.integers(60, 97)),
    )


def develop(linear: np.ndarray, how: Development, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) linear light -> (H, W, 3) uint8 sRGB."""
    image = toned(linear, how)
    if how.blur > 0:
        image = cv2.GaussianBlur(image, (0, 0), how.blur)
    grain = rng.normal(size=image.shape).astype(np.float32)
    grain = 0.6 * grain + 0.4 * grain.mean(-1, keepdims=True)
    image = image + how.noise * grain
    pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "jpeg", quality=how.quality)
    return np.asarray(Image.open(content)).copy()


def toned(linear: np.ndarray, how: Development) -> np.ndarray:
    """(..., 3) linear light -> (..., 3) sRGB in [0, 1] by exposure, white balance, curve and saturation alone."""
    light = linear * how.gain
    # A shoulder: what is brighter than 0.8 is drawn together instead of being cut at 1.
    light = np.where(light > 0.8, 0.8 + 0.2 * np.tanh((light - 0.8) / 0.35), light)
    image = to_srgb(light)
    image = np.clip(0.5 + (image - 0.5) * how.contrast, 0, 1)
    grey = image @ np.array([0.299, 0.587, 0.114])
    return np.clip(grey[..., None] + (image - grey[..., None]) * how.saturation, 0, 1).astype(np.float32)
