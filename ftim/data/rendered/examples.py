"""Rendered heads as training examples: what the pipeline makes of the photograph, and the truth in its terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.data.rendered.scene import RenderedHead
from ftim.face import cut_crop
from ftim.pipeline import Pipeline
from ftim.structures import Batched, PartialTexture, View


@dataclass(frozen=True)
class Truth(Batched):
    """What is known of B rendered photographs, at the places where their fits say that the head is."""

    albedo: Tensor
    """(B, 3, T, T) sRGB, complete: at each texel that faces the camera the albedo of the point that the fit takes for
    it, so that an error of the fit is no error of colour; elsewhere that of the true map."""
    bare: Tensor
    """(B, 1, T, T) in [0, 1]: how far what was seen at a texel is the head itself; 1 where nothing was seen."""
    picture: Tensor
    """(B, 3, S, S) sRGB, the true albedo in the crop, as if nothing were before the head."""
    skin: Tensor
    """(B, 1, S, S) in [0, 1]: where the crop shows the head itself."""
    head: Tensor
    """(B, 1, S, S) in [0, 1]: where it would with nothing before it."""


@torch.no_grad()
def lesson(pipeline: Pipeline, head: RenderedHead) -> tuple[View, Truth]:
    """The view of a rendered photograph by the real fit, and its truth. Raises ``FaceError``."""
    face = pipeline.face(head.photo)
    view = pipeline.views(face)
    scale, left, top = face.crop_to_photo[0].tolist()
    side = face.image.shape[-1]

    def crop(image: np.ndarray) -> Tensor:
        colours = image if image.ndim == 3 else np.repeat(image[..., None], 3, 2)
        return torch.from_numpy(cut_crop(colours, left, top, scale, side)).permute(2, 0, 1)[None] * face.valid

    picture, skin, covers = crop(head.albedo), crop(head.skin), crop(head.head)
    map_size = pipeline.uv.size
    whole = torch.from_numpy(head.albedo_map).permute(2, 0, 1)[None].float() / 255
    if map_size != whole.shape[-1]:
        whole = F.interpolate(whole, size=(map_size, map_size), mode="area")
    plain = pipeline.uv(picture, view.fit, covers[:, :1])
    weight = plain.confidence * plain.visibility
    albedo = torch.lerp(whole, plain.color, weight.clamp(0, 1))
    seen: PartialTexture = view.partial
    shown = pipeline.uv(skin, view.fit, view.skin)
    bare = torch.where(seen.visibility > 0, shown.color[:, :1], 1.0)
    return view, Truth(albedo, bare, picture, skin[:, :1], covers[:, :1])
