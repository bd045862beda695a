"""A sheet of what the network makes of some training photographs, so that a run can be looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ftim.completion.base import Completion
from ftim.outputs import whole_file
from ftim.render.image import ImageRenderer
from ftim.structures import View

SIDE = 224


@torch.no_grad()
def preview_sheet(example: View, completion: Completion, image_renderer: ImageRenderer) -> Tensor:
    """(3, H, W) in [0, 1]: a row a picture - photograph, what was seen, texture, albedo, that albedo in all poses."""
    texture = completion(example.partial, example.fit)
    rows = []
    for index in range(len(example)):
        albedo = texture.albedo[index : index + 1].expand(len(example), -1, -1, -1)
        drawn = image_renderer(albedo, example.fit, example.photo).overlay
        maps = [example.partial.color[index], texture.texture[index], texture.albedo[index]]
        small = [torch.nn.functional.interpolate(item[None], (SIDE, SIDE), mode="area")[0] for item in maps]
        rows.append(torch.cat([example.photo[index], *small, *drawn], dim=2))
    return torch.cat(rows, dim=1).clamp(0, 1)


def write_sheet(sheet: Tensor, path: Path) -> None:
    """As JPEG, through a temporary name."""
    pixels = (sheet.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
    with whole_file(path) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, quality=88)
