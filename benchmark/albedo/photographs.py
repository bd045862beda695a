"""The committed photographs of the albedo protocol, made by scripts/bake/albedo_set.py, and the truth about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ftim.assets import sha256_of
from ftim.data.rendered.camera import Development, toned
from ftim.errors import DatasetError
from ftim.metrics.colour import srgb_to_linear
from ftim.structures import Camera, Fit

FOLDER = Path(__file__).resolve().parents[1] / "data" / "rendered"
LIGHT_SCALE = 2.0
"""Stored shading is divided by this."""
LICENCE = (
    "CC BY 4.0; rendered heads, whose albedos are made from photographs of DeBruine and Jones, Face Research Lab "
    "London Set; environment maps of Poly Haven, CC0"
)


@dataclass(frozen=True)
class TrueHead:
    """One photograph, and all that is known of it."""

    name: str
    head: int
    before: str
    """What is before the face; empty for nothing."""
    photo: np.ndarray
    """(S, S, 3) uint8."""
    albedo: Tensor
    """(1, 3, 256, 256) sRGB."""
    skin: Tensor
    """(1, 1, S, S): 1 where the photograph shows the head itself."""
    covers: Tensor
    """(1, 1, S, S): 1 where it would with nothing before it."""
    shading: Tensor
    """(3, S, S) linear: what multiplies the linear albedo, exposure included; 0 where no skin is seen."""
    gloss: Tensor
    """(3, S, S) linear, added to that."""
    fit: Fit
    """True geometry; batch of one, its light is unknown (zeros)."""
    contrast: float
    saturation: float

    def lit(self, albedo: Tensor) -> Tensor:
        """(1, 3, S, S) sRGB albedo at each pixel -> (1, 3, S, S) the picture under the true light, as developed."""
        linear = srgb_to_linear(albedo[0]) * self.shading + self.gloss
        how = Development(np.ones(3), self.contrast, self.saturation, 0.0, 0.0, 95)
        picture = toned(linear.permute(1, 2, 0).cpu().numpy(), how)
        return torch.from_numpy(picture).permute(2, 0, 1)[None].to(albedo)


def load_heads(folder: Path = FOLDER, limit: int | None = None) -> list[TrueHead]:
    """In order, both photographs of a head one after the other. Raises ``DatasetError`` for a file that is broken."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise DatasetError(f"{manifest} is missing: the checkout is not whole, or run scripts/bake/albedo_set.py")
    sums = json.loads(manifest.read_text(encoding="utf-8"))
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != expected:
            raise DatasetError(f"{path} is missing or not the file of manifest.json: check it out again")
    names = sorted(Path(name).stem for name in sums if name.startswith("truth/"))
    return [_read(folder, name) for name in names[:limit]]


def _read(folder: Path, name: str) -> TrueHead:
    about = json.loads((folder / "truth" / f"{name}.json").read_text(encoding="utf-8"))
    side = int(about["side"])

    def picture(path: str, size: int | None = None) -> Tensor:
        image = Image.open(folder / path).convert("RGB")
        if size is not None and image.width != size:
            image = image.resize((size, size), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255

    def mask(kind: str) -> Tensor:
        pixels = np.asarray(Image.open(folder / kind / f"{name}.png").convert("L"))
        return torch.from_numpy((pixels > 127).astype(np.float32))[None, None]

    camera = Camera(torch.tensor([about["focal"]]), torch.full((1, 2), side / 2), side, side)
    fit = Fit(
        torch.tensor([about["identity"]]), torch.tensor([about["expression"]]),
        torch.tensor(about["rotation"]).view(1, 3, 3), torch.tensor([about["translation"]]), torch.zeros(1, 9, 3),
        camera,
    )  # fmt: skip
    return TrueHead(
        name, int(about["head"]), about["before"], np.asarray(Image.open(folder / "photo" / f"{name}.jpg")).copy(),
        picture(f"albedo/{about['head']:02d}.jpg")[None], mask("skin"), mask("head"),
        LIGHT_SCALE * srgb_to_linear(picture(f"shading/{name}.jpg", side)),
        srgb_to_linear(picture(f"gloss/{name}.jpg", side)), fit, about["contrast"], about["saturation"],
    )  # fmt: skip
