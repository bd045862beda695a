"""How faithfully a photograph survives unwrapping and rendering at the same pose, and whether the face has holes.

    python -m scripts.measure.round_trip
    python -m scripts.measure.round_trip --limit 50 --json runs/round_trip.json

For each of the 609 portraits: photo -> fit -> unwrap at 512 -> render at 224. Prints the median PSNR inside the
visible face (where all texels that a pixel mixes were seen), the share of the rendered face that is visible, the
number of pixels enclosed by the rendered face that it does not cover (eyes and mouth must be no holes), and the number
that look up a texel outside the atlas and its gutter. A second run on the flipped photo with the mirrored fit, each
with its own skin mask, gives the mean difference of the partial textures over the texels that either saw.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from scipy.ndimage import binary_fill_holes
from torch import Tensor
from tqdm import tqdm

from ftim.data import load_portraits
from ftim.detector import FaceDetector, detect_face
from ftim.errors import FtimError
from ftim.face import align
from ftim.morphable.open_head import load_open_head
from ftim.outputs import whole_file
from ftim.photo import read_photo
from ftim.regressors import LandmarkRegressor
from ftim.regressors.mirror import mirror_face, mirror_fit
from ftim.render.image import ImageRenderer
from ftim.render.rasterizer import default_rasterizer
from ftim.skin import skin_mask
from ftim.structures import Face, Fit, PartialTexture
from ftim.uv import UvRenderer

ALL_SEEN = 0.999
"""A pixel whose rendered visibility is above this mixes seen texels only."""


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.measure.round_trip``."""

    limit: int | None = None
    """Only the first so many portraits."""
    texture_size: int = 512
    json: Path | None = None
    """Where to write a row per portrait."""


@dataclass(frozen=True)
class Row:
    """One portrait."""

    name: str
    psnr: float
    visible: float
    """Share of the rendered face."""
    holes: int
    """Pixels."""
    empty: int
    """Pixels."""
    mirror: float
    """Mean difference of the partial textures, over the texels that either saw."""


class RoundTrip:
    """Unwraps and renders."""

    def __init__(self, texture_size: int) -> None:
        rasterizer = default_rasterizer()
        self.model = load_open_head()
        # The template only serves the light, which plays no part here.
        self.regressor = LandmarkRegressor(self.model, rasterizer, torch.full((3, texture_size, texture_size), 0.6))
        self.uv = UvRenderer(self.model, rasterizer, texture_size)
        self.image = ImageRenderer(self.model, rasterizer)
        atlas = self.uv.atlas
        self.filled = atlas.image(torch.ones(1, len(atlas.texel), 1))

    def __call__(self, name: str, face: Face) -> Row:
        fit = self.regressor(face)
        partial = self.uv(face.image, fit, face.valid)
        again = self.image.draw_lit(partial.color, fit, face.image)
        drawn = again.mask[0, 0] > 0
        seen = drawn & (self._draw_map(partial.visibility, fit) > ALL_SEEN)
        error = (again.image - face.image)[0, :, seen].square().mean()
        holes = torch.from_numpy(binary_fill_holes(drawn.numpy())) & ~drawn
        empty = drawn & (self._draw_map(self.filled, fit) < ALL_SEEN)
        original = self._skin_texture(face, fit)
        mirrored = self._skin_texture(mirror_face(face), mirror_fit(fit, self.model))
        either = torch.maximum(original.visibility, mirrored.visibility.flip(-1)) > 0
        difference = (mirrored.color.flip(-1) - original.color).abs()
        return Row(
            name=name,
            psnr=float(-10 * error.log10()),
            visible=float(seen.sum() / drawn.sum()),
            holes=int(holes.sum()),
            empty=int(empty.sum()),
            mirror=float(difference.masked_select(either).mean()),
        )

    def _skin_texture(self, face: Face, fit: Fit) -> PartialTexture:
        """As the pipeline unwraps: only where the skin mask, found anew, shows skin."""
        skin = skin_mask(face, fit, self.model, self.uv.rasterizer) * face.valid
        return self.uv(face.image, fit, skin)

    def _draw_map(self, values: Tensor, fit: Fit) -> Tensor:
        """(1, 1, T, T) -> (H, W)."""
        size = fit.camera.height
        return self.image.draw_lit(values.expand(-1, 3, -1, -1), fit, torch.zeros(1, 3, size, size)).image[0, 0]


@torch.no_grad()
def run(config: Config) -> list[Row]:
    """Evaluate; one picture after the other. Raises ``FtimError``."""
    photos = load_portraits("all").first(config.limit).photos
    detector, trip = FaceDetector(), RoundTrip(config.texture_size)
    rows = []
    for file in tqdm(photos, unit="photo"):
        photo = read_photo(file.path)
        rows.append(trip(file.name, align(photo, detect_face(photo, 0, detector))))
    if config.json:
        text = json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n"
        with whole_file(config.json) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return rows


def main() -> None:
    """Run and print; an expected error is one line on standard error and exit code 1."""
    torch.set_num_threads(1)
    try:
        rows = run(tyro.cli(Config, description=__doc__))
    except FtimError as error:
        sys.exit(f"error: {error}")
    psnr = torch.tensor([row.psnr for row in rows])
    visible = torch.tensor([row.visible for row in rows])
    mirror = 255 * torch.tensor([row.mirror for row in rows])
    print(f"{len(rows)} portraits")
    print(f"PSNR inside the visible face: median {psnr.median():.1f} dB, lowest {psnr.min():.1f} dB")
    print(f"visible share of the rendered face: median {visible.median():.3f}, lowest {visible.min():.3f}")
    print(f"portraits with holes in the face: {sum(row.holes > 0 for row in rows)}")
    print(f"portraits with pixels on empty texels: {sum(row.empty > 0 for row in rows)}")
    print(f"mirrored partial texture: mean difference {mirror.mean():.4f} / 255, largest {mirror.max():.4f} / 255")


if __name__ == "__main__":
    main()
