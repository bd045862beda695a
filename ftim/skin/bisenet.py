"""The skin mask by face parsing: BiSeNet's classes inside the fitted head's silhouette.

An option for those whose use the weights' licence allows (CelebAMask-HQ: non-commercial); nothing fetches them unasked.
"""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ftim.assets import present_asset_path
from ftim.errors import ModelFileError
from ftim.morphable.model import MorphableModel
from ftim.render.rasterizer import Rasterizer
from ftim.render.surface import RasterizedHead
from ftim.skin.bisenet_network import CLASSES, BiSeNet
from ftim.skin.geometry import HeadPixels, grown, head_pixels
from ftim.skin.mask import SkinSettings
from ftim.structures import Face, Fit

ASSET = "79999_iter.pth"
INPUT_SIZE = 512
"""Pixels a side: the size that the weights are published for."""
SURFACE = (
    "skin", "left brow", "right brow", "left eye", "right eye", "left ear", "right ear", "nose", "mouth",
    "upper lip", "lower lip", "neck",
)  # fmt: skip
"""The classes that are the head's own surface: those that ``skin_mask`` keeps, hence ears and neck as well.

They come in pairs, so a flipped photograph needs no exchange of left and right.
"""
SHARPNESS = 5.0
"""Factor on the logits. The training was hard-example mining: a pixel no longer counts once its class has 0.7, so the
network hardly says more where it is sure, and half of all pixels stay below 0.77. The factor makes 0.985 of 0.7."""
_SURFACE_CHANNELS = [CLASSES.index(name) for name in SURFACE]
_MEAN = (0.485, 0.456, 0.406)
_SPREAD = (0.229, 0.224, 0.225)
_CHUNK = 4


def bisenet_skin_mask(
    network: nn.Module,
    face: Face,
    fit: Fit,
    model: MorphableModel,
    rasterizer: Rasterizer,
    settings: SkinSettings | None = None,
    *,
    head: RasterizedHead | None = None,
) -> Tensor:
    """As ``skin_mask``, from what a parsing network sees: a probability rather than a decision.

    Two things differ from ``skin_mask``. Glasses are left out with all of their lenses, since the network has no
    class for an eye behind one. And earrings are told from ears. With the network bound, as in
    ``functools.partial(bisenet_skin_mask, load_bisenet())``, both are called alike.

    Args:
        network: that of ``load_bisenet``, on the device of ``face.image``.
        face: crops of side S.
        fit: the model fitted to them; its light is not used.
        model: the head.
        rasterizer: to see where the head lies.
        settings: ``erosion`` and ``softness`` are used.
        head: of these fits, where it was rasterised already.

    Returns:
        (B, 1, S, S) in [0, 1] on the device of ``face.image``; 0 outside the head. Mirrored faces and fits give
        mirrored masks up to rounding.
    """
    settings = settings or SkinSettings()
    shares = surface_share(network, face.image)[:, 0].cpu().numpy()
    valid = face.valid[:, 0].cpu().numpy() > 0.5
    heads = head_pixels(face, fit, model, rasterizer, head)
    masks = [
        _inside_head(share * known, head, settings) for share, known, head in zip(shares, valid, heads, strict=True)
    ]
    return torch.from_numpy(np.stack(masks) * valid)[:, None].to(face.image)


@torch.no_grad()
def surface_share(network: nn.Module, image: Tensor) -> Tensor:
    """(B, 3, S, S) in [0, 1] -> (B, 1, S, S): the probability of the classes in ``SURFACE``.

    The mean over the image and its mirror image, each seen at 512 x 512 and normalised as ImageNet is.
    """
    mean, spread = (image.new_tensor(values)[:, None, None] for values in (_MEAN, _SPREAD))
    parts = []
    for part in image.clamp(0, 1).split(_CHUNK):  # the first layers of a large batch would need gigabytes
        seen = interpolate(
            (part - mean) / spread, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=False, antialias=True
        )
        logits = SHARPNESS * network(torch.cat([seen, seen.flip(-1)]))
        share = logits.softmax(1)[:, _SURFACE_CHANNELS].sum(1, keepdim=True)
        straight, mirrored = share.chunk(2)
        parts.append((straight + mirrored.flip(-1)) / 2)
    share = interpolate(torch.cat(parts), image.shape[2:], mode="bilinear", align_corners=False, antialias=True)
    return share.clamp(0, 1)


def _inside_head(share: np.ndarray, head: HeadPixels, settings: SkinSettings) -> np.ndarray:
    """(S, S) probability -> (S, S) in [0, 1]: cut to the head, drawn in so that no mixed pixel remains, soft rim."""
    share = np.where(grown(head.inside, 0.01 * head.unit), share, 0).astype(np.float32)
    side = 2 * round(settings.erosion * head.unit) + 1
    share = cv2.erode(share, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return cv2.GaussianBlur(share, (0, 0), max(settings.softness * head.unit, 0.5))


def load_bisenet(path: Path | None = None, device: torch.device | str = "cpu") -> BiSeNet:
    """The network of ``bisenet_skin_mask``: float32, frozen, in evaluation mode.

    Args:
        path: a copy of ``79999_iter.pth``; by default the asset of that name, which must be present already.

    Raises:
        AssetError: the asset is absent; the text has its licence and how to fetch it. ModelFileError: the file holds
        something else. OSError: ``path`` cannot be read.
    """
    source = present_asset_path(ASSET) if path is None else path
    with torch.device("meta"):  # no numbers are drawn: each comes from the file
        network = BiSeNet()
    content = io.BytesIO(source.read_bytes())
    try:
        network.load_state_dict(torch.load(content, map_location="cpu", weights_only=True), assign=True)
    except Exception as error:  # by where a file is cut off, its reader raises anything from IndexError to OSError
        reason = " ".join(str(error).split())[:300]
        raise ModelFileError(
            f"{source} does not hold the weights of BiSeNet: {reason}. The right file is {ASSET}, which "
            f"`ftim assets --fetch {ASSET}` fetches."
        ) from error
    return network.float().eval().requires_grad_(False).to(device)
