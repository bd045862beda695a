"""Likeness of two faces: the cosine between their FaceNet embeddings (Schroff et al. 2015).

The network is facenet-pytorch's InceptionResnetV1 with the numbers of an original TensorFlow model: asset
``graph_final.pb``, a frozen graph in which each batch norm is folded into the convolution before it. OpenCV reads the
graph; its constants go into the module by name, so that gradients flow and a GPU can be used. Both run the same
arithmetic: only convolutions of stride 1 are padded, with zeros on both sides alike.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ftim.assets import asset_path
from ftim.errors import ModelFileError
from ftim.extras import import_extra
from ftim.metrics.image import check_pair, on_grey

if TYPE_CHECKING:
    from facenet_pytorch import InceptionResnetV1

ASSET = "graph_final.pb"
INPUT_SIZE = 160
"""Pixels a side: the size at which the network was trained."""


def face_embedding(network: InceptionResnetV1, image: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, 3, H, W) in [0, 1], sRGB -> (B, 512) of unit length. Differentiable in the image.

    The square crop is resized to 160 x 160 by bilinear interpolation with antialiasing (a triangle filter as wide as
    the reduction), then scaled to (255 x - 127.5) / 128. With a mask (B, 1, H, W) the image is put on mid grey outside
    it before it is resized.
    """
    check_pair(image, image, mask)
    image = on_grey(image, mask)
    if image.shape[2:] != (INPUT_SIZE, INPUT_SIZE):
        size = (INPUT_SIZE, INPUT_SIZE)
        image = nn.functional.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
    return network((255 * image - 127.5) / 128)


def facenet_cosine(network: InceptionResnetV1, image: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, 3, H, W) pairs in [0, 1] -> (B,) cosines in [-1, 1]; 1 for equal images. An empty mask gives NaN."""
    check_pair(image, reference, mask)
    return cosine(face_embedding(network, image, mask), face_embedding(network, reference, mask), mask)


def cosine(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, 512) unit embeddings -> (B,) cosines, NaN where the mask under which they were made is empty."""
    value = (a * b).sum(1)
    return value if mask is None else torch.where((mask > 0.5).any(3).any(2).any(1), value, torch.nan)


def load_facenet(path: Path | None = None, device: torch.device | str = "cpu") -> InceptionResnetV1:
    """The network of ``face_embedding``, frozen, in evaluation mode.

    Args:
        path: a copy of ``graph_final.pb``; by default the asset of that name.

    Raises:
        AssetError: the file is absent. ModelFileError: it is not that graph.
    """
    network_class = import_extra("facenet_pytorch", "faces").InceptionResnetV1
    source = asset_path(ASSET) if path is None else path
    constants = _graph_constants(source)
    with torch.random.fork_rng(devices=[]):  # building draws random weights; the caller's random numbers stay the same
        network: InceptionResnetV1 = network_class(pretrained=None).eval()
    try:
        _fill(network, constants)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelFileError(
            f"{source} is not the FaceNet graph: {error}. Delete it to fetch the right file."
        ) from error
    return network.requires_grad_(False).to(device)


def _graph_constants(path: Path) -> dict[str, list[np.ndarray]]:
    """Layer name without its common prefix -> its arrays; convolution kernels are out-in-height-width already."""
    import cv2

    try:
        # The bytes rather than the path: OpenCV cannot open paths outside the system's code page on Windows.
        net = cv2.dnn.readNetFromTensorflow(np.fromfile(path, dtype=np.uint8))
    except cv2.error as error:
        raise ModelFileError(f"{path} is not a TensorFlow graph: {error}. Delete it to fetch it again.") from error
    constants = {}
    for name in net.getLayerNames():
        blobs = net.getLayer(net.getLayerId(name)).blobs
        if blobs:
            constants[name.removeprefix("InceptionResnetV1/")] = [np.array(blob) for blob in blobs]
    return constants


def _fill(network: InceptionResnetV1, constants: dict[str, list[np.ndarray]]) -> None:
    """Every parameter and statistic of the network from the graph's constants, each constant used once."""
    unused = dict(constants)
    state = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            kernel, bias = unused.pop(f"{_graph_name(name)}/Conv2D")
            state[f"{name}.weight"] = torch.from_numpy(kernel)
            if module.bias is not None:
                state[f"{name}.bias"] = torch.from_numpy(bias)
            else:
                state |= _identity_batch_norm(name.removesuffix("conv") + "bn", bias, network.conv2d_1a.bn.eps)
    (state["last_linear.weight"],) = (torch.from_numpy(blob) for blob in unused.pop("Bottleneck/MatMul"))
    mean, variance, bias = unused.pop("Bottleneck/BatchNorm/cond/FusedBatchNorm_1")
    state |= _batch_norm("last_bn", mean, variance, bias)
    if unused:
        raise ValueError(f"constants without a place: {sorted(unused)}")
    network.load_state_dict(state)


def _batch_norm(name: str, mean: np.ndarray, variance: np.ndarray, bias: np.ndarray) -> dict[str, Tensor]:
    """State of a batch norm without a learned scale."""
    return {
        f"{name}.running_mean": torch.from_numpy(mean),
        f"{name}.running_var": torch.from_numpy(variance),
        f"{name}.weight": torch.ones(len(bias)),
        f"{name}.bias": torch.from_numpy(bias),
        f"{name}.num_batches_tracked": torch.tensor(0),
    }


def _identity_batch_norm(name: str, bias: np.ndarray, eps: float) -> dict[str, Tensor]:
    """State of a batch norm that only adds: mean 0, variance 1 - eps (eps is added back), scale 1."""
    return _batch_norm(name, np.zeros_like(bias), np.full_like(bias, 1 - eps), bias)


_REPEATS = {"repeat_1": ("Repeat", "block35"), "repeat_2": ("Repeat_1", "block17"), "repeat_3": ("Repeat_2", "block8")}

_BLOCK_KERNELS = {"35": ("1x1", "3x3", "3x3"), "17": ("1x1", "1x7", "7x1"), "8": ("1x1", "1x3", "3x1")}

# (Module, branch) -> the place of its last convolution; None where the branch is that convolution alone.
_REDUCTION_ENDS: dict[tuple[str, int], int | None] = {
    ("Mixed_6a", 0): None,
    ("Mixed_6a", 1): 2,
    ("Mixed_7a", 0): 1,
    ("Mixed_7a", 1): 1,
    ("Mixed_7a", 2): 2,
}


def _graph_name(name: str) -> str:
    """A convolution in the graph: ``repeat_1.0.branch1.1.conv`` -> ``Repeat/block35_1/Branch_1/Conv2d_0b_3x3``."""
    parts = name.split(".")
    if parts[0].startswith("conv2d_"):
        kernel = {"conv2d_3b": "1x1"}.get(parts[0], "3x3")
        return f"Conv2d_{parts[0].removeprefix('conv2d_')}_{kernel}"
    if parts[0] in _REPEATS:
        scope, block = _REPEATS[parts[0]]
        prefix, rest = f"{scope}/{block}_{int(parts[1]) + 1}", parts[2:]
    else:
        prefix, rest = parts[0].capitalize(), parts[1:]
    if rest[0] == "conv2d":  # the 1x1 convolution that joins a residual block's branches
        return f"{prefix}/Conv2d_1x1"
    branch = int(rest[0].removeprefix("branch"))
    step = int(rest[1]) if rest[1].isdigit() else None
    return f"{prefix}/Branch_{branch}/{_step_name(prefix, branch, step)}"


def _step_name(prefix: str, branch: int, step: int | None) -> str:
    """The last part of a branch convolution's name; ``step`` is its place in the branch, None if it is alone there."""
    residual = re.search(r"[Bb]lock(35|17|8)", prefix)
    if residual:
        if step is None:
            return "Conv2d_1x1"
        return f"Conv2d_0{'abc'[step]}_{_BLOCK_KERNELS[residual[1]][step]}"
    # The two reductions: each branch ends in a 3x3 of stride 2 called 1a; before it come a 1x1 and perhaps a 3x3.
    if step == _REDUCTION_ENDS[prefix, branch]:
        return "Conv2d_1a_3x3"
    return ("Conv2d_0a_1x1", "Conv2d_0b_3x3")[step or 0]
