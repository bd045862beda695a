"""Colour of teeth in the albedo: teeth are never bluer than red, whatever the light on the face.

    FTIM_DATA=... python -m scripts.measure.teeth --photos celeba --every 7          # 300 photographs, some minutes
    FTIM_DATA=... python -m scripts.measure.teeth --photos frll --warm 0.75          # the same people in warm light

Of each photograph where teeth were seen: the mean of blue - red over them, in units of 255, in the albedo as it is
written and in the photograph. Prints quantiles and the photographs beyond ``LARGEST``; exit status 1 when there are
any. ``--warm`` multiplies the photographs' green by its root and blue by itself: a lamp.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tyro
from tqdm import tqdm

from ftim.data import PhotoSet, load_celeba, load_frll, load_official_portraits, load_portraits
from ftim.errors import FaceError, FtimError
from ftim.morphable import Region
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.reconstruction import Reconstruction
from ftim.tone import part_mask

LARGEST = 10.0
"""Of 255: blue over red, from which teeth look blue."""
LEAST_SEEN = 0.05
"""Share of the teeth's texels that must have been seen: below are a few texels of the lips' rim."""


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.measure.teeth``."""

    photos: Literal["celeba", "frll", "official", "portraits"] = "celeba"
    """FRLL: smiling, of training; official portraits: those of training; portraits: the 109 of the benchmark."""
    every: int = 1
    """Only every so many photographs."""
    completion: str = "ftim"
    texture_size: Literal[256, 512, 1024] = 256
    warm: float = 1.0
    """Factor of the photograph's blue; that of green is its square root."""


@dataclass(frozen=True)
class Teeth:
    """Of one photograph: mean of blue - red over its seen teeth, in units of 255."""

    name: str
    albedo: float
    photographed: float


def photo_set(name: str) -> PhotoSet:
    """The photographs that ``Config.photos`` names. Raises ``DatasetError``."""
    if name == "frll":
        return load_frll().photos("train", expressions=("smiling",))
    if name == "official":
        return load_official_portraits("train")
    return load_celeba() if name == "celeba" else load_portraits("test")


def warmed(photo: np.ndarray, blue: float) -> np.ndarray:
    """(H, W, 3) uint8 under a lamp that gives so much of the blue."""
    return (photo * np.array([1.0, blue**0.5, blue])).round().astype(np.uint8)


def measure(name: str, result: Reconstruction, pipeline: Pipeline) -> Teeth | None:
    """None where no teeth were seen."""
    teeth = part_mask(pipeline.model, pipeline.uv.atlas, (Region.TEETH,))[0, 0] > 0
    seen = teeth & (result.partial.visibility[0, 0] > 0)
    if seen.sum() < LEAST_SEEN * teeth.sum():
        return None
    red, _, blue = result.texture.albedo[0, :, seen].clamp(0, 1).mean(1).tolist()
    red_lit, _, blue_lit = result.partial.color[0, :, seen].mean(1).tolist()
    return Teeth(name, 255 * (blue - red), 255 * (blue_lit - red_lit))


def main(config: Config) -> int:
    """Reconstruct, measure, print; the number of photographs with blue teeth."""
    pipeline = Pipeline.build(texture_size=config.texture_size)
    photos = photo_set(config.photos).photos[:: config.every]
    found: list[Teeth] = []
    failed: list[str] = []
    for photo in tqdm(photos, unit="photo", mininterval=10):
        try:
            result = pipeline.reconstruct(warmed(read_photo(photo.path), config.warm), config.completion)
        except FaceError as error:
            failed.append(f"{photo.name}: {error}")
            continue
        if (teeth := measure(photo.name, result, pipeline)) is not None:
            found.append(teeth)
    print(f"{len(found)} of {len(photos)} photographs show teeth; {len(failed)} have no usable face")
    for line in failed:
        print(f"  {line}")
    if not found:
        return 0
    for what in ("albedo", "photographed"):
        quantiles = np.quantile([getattr(teeth, what) for teeth in found], (0, 0.05, 0.5, 0.95, 0.99, 1))
        print(f"blue - red, {what:12}: " + " ".join(f"{value:7.1f}" for value in quantiles))
    blue = sorted((teeth for teeth in found if teeth.albedo > LARGEST), key=lambda teeth: -teeth.albedo)
    print(f"more than {LARGEST:.0f}: {len(blue)}")
    for teeth in blue:
        print(f"  {teeth.name}: {teeth.albedo:.1f}, photographed {teeth.photographed:.1f}")
    return len(blue)


if __name__ == "__main__":
    try:
        sys.exit(min(main(tyro.cli(Config, description=__doc__)), 1))
    except FtimError as error:
        sys.exit(f"error: {error}")
