"""What ``ftim.quality`` says of people of training, on whom its thresholds are set, and nobody else's.

    FTIM_DATA=... python -m scripts.measure.quality                       # all; some minutes on 2 cores
    FTIM_DATA=... python -m scripts.measure.quality --every 5 --completion mirror

Prints quantiles of each number, the photographs with the largest values, and every warning; writes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import tyro
from tqdm import tqdm

from ftim.data import PhotoFile, load_frll, load_official_portraits, load_webmorph
from ftim.errors import FtimError
from ftim.pipeline import Pipeline
from ftim.quality import Quality, assess

SHARES = (0.0, 0.05, 0.5, 0.95, 1.0)
SHOWN = 6


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.measure.quality``."""

    completion: str = "ftim"
    """Whose residual light is measured; the rest does not depend on it."""
    every: int = 1
    """Only every so many photographs."""
    texture_size: int = 256
    """Side of the map that is averaged over."""


def training_photos() -> Iterator[tuple[str, PhotoFile]]:
    """Set and photograph: 70 official portraits, FRLL's 70 people in six pictures each, webmorph's 40."""
    for photos in (load_official_portraits("train"), load_frll().photos("train"), load_webmorph()):
        for photo in photos.photos:
            yield photos.name, photo


def print_number(name: str, qualities: dict[str, Quality]) -> None:
    """Quantiles, and whose values are the largest."""
    values = {photo: getattr(quality, name) for photo, quality in qualities.items()}
    known = {photo: value for photo, value in values.items() if value is not None}
    if not known:
        return
    quantiles = " ".join(f"{value:8.4f}" for value in np.quantile(list(known.values()), SHARES))
    largest = sorted(known, key=lambda photo: -known[photo])[:SHOWN]
    print(f"{name:18} {quantiles}  largest: {', '.join(f'{photo} {known[photo]:.3f}' for photo in largest)}")


def main(config: Config) -> None:
    """Reconstruct, assess, print."""
    pipeline = Pipeline.build(texture_size=config.texture_size)
    chosen = list(training_photos())[:: config.every]
    qualities = {
        f"{name}/{photo.name}": assess(pipeline.reconstruct(photo.path, config.completion))
        for name, photo in tqdm(chosen, unit="photo")
    }
    print(f"{'':18} " + " ".join(f"{share:8.0%}" for share in SHARES))
    for field in fields(Quality):
        if field.name not in ("warnings", "identity_distances", "facenet_cosines"):
            print_number(field.name, qualities)
    warned = {photo: quality.warnings for photo, quality in qualities.items() if quality.warnings}
    print(f"{len(warned)} of {len(qualities)} photographs have a warning:")
    for photo, warnings in warned.items():
        print(f"  {photo}: {' '.join(warning.text for warning in warnings)}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Config, description=__doc__))
    except FtimError as error:
        sys.exit(f"error: {error}")
