"""A contact sheet of fits: the photo, and over it the head's edges, detected and fitted landmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from ftim.morphable import MorphableModel, Region
from ftim.outputs import whole_file
from ftim.structures import Face, Fit

DETECTED, FITTED, SKIN, EAR, EYE = (255, 60, 60), (60, 255, 60), (120, 200, 255), (255, 200, 80), (255, 255, 255)
SHOWN = {Region.FACE: SKIN, Region.EARS: EAR, Region.EYES: EYE}


def draw_fit(model: MorphableModel, face: Face, fit: Fit, side: int) -> Image.Image:
    """Photo and drawing side by side, each ``side`` pixels; batch of one."""
    pixels = (face.image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    photo = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
    drawn = photo.copy()
    draw = ImageDraw.Draw(drawn)
    scale = side / face.image.shape[-1]
    head = model.vertices(fit.identity, fit.expression)
    points = (
        fit.camera.project(head @ fit.rotation.transpose(1, 2) + fit.translation[:, None])[0, :, :2].numpy() * scale
    )
    corners = points[model.triangles.numpy()]
    # Pixels run down, so a counter-clockwise triangle that faces the camera has a negative area here.
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    facing = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] < 0
    for region, colour in SHOWN.items():
        chosen = facing & (model.regions.numpy() == int(region))
        for triangle in corners[chosen]:
            draw.polygon([tuple(corner) for corner in triangle], outline=(*colour, 255))
    drawn = Image.blend(photo, drawn, 0.35)
    draw = ImageDraw.Draw(drawn)
    landmarks = fit.camera.project(model.landmarks(head) @ fit.rotation.transpose(1, 2) + fit.translation[:, None])[
        0, :, :2
    ].numpy()
    for colour, marks in ((DETECTED, face.landmarks[0].numpy()), (FITTED, landmarks)):
        for x, y in marks * scale:
            draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=colour)
    sheet = Image.new("RGB", (2 * side, side))
    sheet.paste(photo, (0, 0))
    sheet.paste(drawn, (side, 0))
    return sheet


def draw_sheet(
    model: MorphableModel, faces: list[Face], fit: Fit, path: Path, count: int = 24, columns: int = 4, side: int = 320
) -> None:
    """Write ``count`` fits, spread evenly over the faces, as one PNG."""
    chosen = np.unique(np.linspace(0, len(faces) - 1, min(count, len(faces))).round().astype(int))
    rows = -(-len(chosen) // columns)
    sheet = Image.new("RGB", (columns * 2 * side, rows * side))
    for place, index in enumerate(chosen.tolist()):
        tile = draw_fit(model, faces[index], fit[index], side)
        sheet.paste(tile, (place % columns * 2 * side, place // columns * side))
    with whole_file(path) as temporary:
        sheet.save(temporary)
