"""A second judge of likeness: the distance of two faces for dlib's face recognition network (King 2017).

128 numbers a face, by a residual network of 29 convolutions that shares neither architecture nor photographs with
FaceNet; two photographs of one person are mostly nearer than 0.6. It runs in dlib itself, on the CPU and without
gradients: nothing here is trained on it, and nothing is chosen by it. dlib is optional: ``pip install ftim[dlib]``.

The network expects a chip of 150 x 150 pixels in which eyes and nose lie at fixed places. Here they are placed by the
landmarks that the crop has already, so a photograph and a rendering of it are cut alike and nothing is detected again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.assets import asset_path
from ftim.errors import FtimError, ModelFileError
from ftim.metrics.image import check_pair, on_grey

if TYPE_CHECKING:
    from dlib import face_recognition_model_v1

ASSET = "dlib_face_recognition_resnet_model_v1.dat"
CHIP = 150
"""Pixels a side."""
PADDING = 0.25
"""Of the chip, as a share of the face's own square, on each side; what the network was trained with."""
LANDMARKS: tuple[int, ...] = (263, 362, 33, 133, 2)
"""Of MediaPipe's 478, those of dlib's five points: outer and inner corner of the subject's left eye, of the right one,
and the base of the nose."""
_PLACES = (
    (0.8595674595992, 0.2134981538014), (0.6460604764104, 0.2289674387677), (0.1205750620789, 0.2137274526848),
    (0.3340850613712, 0.2290642403242), (0.4901123135679, 0.6277975316475),
)  # fmt: skip
"""Where dlib's ``get_face_chip_details`` puts these points in the face's square, x and y in [0, 1]."""


class DlibMissingError(FtimError):
    """The package dlib is not installed."""


def chip_grid(landmarks: Tensor, side: int) -> Tensor:
    """Where a chip takes its pixels from: (B, 478, 2) in pixels of a crop of ``side`` -> (B, 150, 150, 2) in [-1, 1].

    For ``grid_sample`` with ``align_corners=False``. The similarity transform, without reflection, that brings the five
    places nearest to the five landmarks in least squares (Umeyama 1991), as in ``dlib.get_face_chip``.
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != (478, 2):
        raise ValueError(f"expected (B, 478, 2) landmarks, got {tuple(landmarks.shape)}")
    points = landmarks[:, list(LANDMARKS)]
    places = (points.new_tensor(_PLACES) + PADDING) / (1 + 2 * PADDING) * CHIP
    centre, middle = points.mean(1, keepdim=True), places.mean(0)
    to, origin = points - centre, places - middle
    # Positions as complex numbers: rotation and scale are one factor, its least-squares value a quotient of sums.
    norm = origin.square().sum()
    turn = (to * origin).sum((1, 2)) / norm
    skew = (to[..., 1] * origin[:, 0] - to[..., 0] * origin[:, 1]).sum(1) / norm
    matrix = torch.stack([turn, -skew, skew, turn], 1).reshape(-1, 2, 2)
    steps = torch.arange(CHIP, dtype=points.dtype, device=points.device) + 0.5
    pixels = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(-1, 2) - middle
    positions = pixels @ matrix.transpose(1, 2) + centre
    return (positions / side * 2 - 1).reshape(-1, CHIP, CHIP, 2)


def face_chips(image: Tensor, grid: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, 3, S, S) in [0, 1] -> (B, 3, 150, 150); mid grey outside the mask (B, 1, S, S) and beyond the crop."""
    check_pair(image, image, mask)
    offset = on_grey(image, mask) - 0.5
    return F.grid_sample(offset, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + 0.5


def face_descriptor(network: face_recognition_model_v1, chips: Tensor) -> Tensor:
    """(B, 3, 150, 150) in [0, 1] -> (B, 128) on the CPU; no gradient."""
    if chips.shape[1:] != (3, CHIP, CHIP):
        raise ValueError(f"expected (B, 3, {CHIP}, {CHIP}) chips, got {tuple(chips.shape)}")
    if not len(chips):
        return torch.zeros(0, 128)
    pixels = (chips.detach().permute(0, 2, 3, 1).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    found: Sequence[object] = network.compute_face_descriptor([np.ascontiguousarray(chip) for chip in pixels])
    return torch.from_numpy(np.asarray(found, dtype=np.float32))


def descriptor_distance(a: Tensor, b: Tensor) -> Tensor:
    """(B, 128) descriptors -> (B,) Euclidean distances; 0 for equal faces, about 0.6 where people begin to differ."""
    return (a - b).norm(dim=1)


def load_dlib_face(path: Path | None = None) -> face_recognition_model_v1:
    """The network of ``face_descriptor``.

    Args:
        path: a copy of ``dlib_face_recognition_resnet_model_v1.dat``; by default the asset of that name.

    Raises:
        DlibMissingError: dlib is not installed. AssetError: the file is absent. ModelFileError: it is not that network.
    """
    try:
        import dlib
    except ImportError as error:
        raise DlibMissingError(f"dlib is not installed ({error}): pip install 'ftim[dlib]'") from error
    source = asset_path(ASSET) if path is None else path
    try:
        return dlib.face_recognition_model_v1(str(source))
    except RuntimeError as error:  # what dlib raises for every file that it cannot read
        raise ModelFileError(f"{source} is not dlib's network: {error}. Delete it to fetch the right file.") from error
