"""The mean facial albedo that ships with ftim: what the fitted light is measured against and unseen skin is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ftim.errors import ModelFileError

TEMPLATE_SIZE = 512
TEMPLATE_PATH = Path(__file__).parent / "data" / "template_albedo.png"
MEAN_SKIN_ALBEDO = (0.65, 0.49, 0.43)
"""Mean sRGB of the template over ``Region.FACE``, weighted by texels.

A photograph gives the product of light and albedo only: a dark face in bright light and a bright face in dim
light are one picture. So the scale of the template is a choice. This one is close to the mean skin of the photographs
that it was made from, so that an ordinary exposure has a shading of about 1. A darker or redder skin than this
comes out as a dimmer or redder light, and its albedo keeps the template's overall tone.
"""


def load_template_albedo(size: int = TEMPLATE_SIZE, path: Path = TEMPLATE_PATH) -> Tensor:
    """(3, size, size) sRGB albedo in (0, 1] in the open head's UV, left-right symmetric, no texel empty.

    Made by ``scripts/bake/template.py``; the JSON file beside the picture names the sources and their licence.
    Raises ``ModelFileError`` when the picture is missing or not as baked.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode != "RGB" or picture.size != (TEMPLATE_SIZE, TEMPLATE_SIZE):
                raise ModelFileError(
                    f"{path} is {picture.mode} of {picture.size}, expected RGB of {TEMPLATE_SIZE}. Reinstall ftim."
                )
            pixels = np.array(picture)
    except OSError as error:
        raise ModelFileError(f"cannot read the template albedo {path}: {error}. Reinstall ftim.") from error
    albedo = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    if size == TEMPLATE_SIZE:
        return albedo
    return F.interpolate(albedo[None], (size, size), mode="bilinear", antialias=True, align_corners=False)[0]
