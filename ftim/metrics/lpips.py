"""LPIPS (Zhang et al. 2018), version 0.1 on AlexNet: the lpips package, given its weights from one file.

The package downloads AlexNet from its own address and has no switch to forbid that, so its network is built empty here
and filled with the same numbers: convolutions and linear heads from the asset ``alexnet.ckpt``.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ftim.assets import asset_path
from ftim.errors import ModelFileError
from ftim.extras import import_extra
from ftim.metrics.image import check_pair, on_grey
from ftim.metrics.numpy_pickle import read_numpy_pickle

if TYPE_CHECKING:
    from lpips import LPIPS

ASSET = "alexnet.ckpt"


def lpips_distance(network: LPIPS, image: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, 3, H, W) pairs in [0, 1] -> (B,) distances, 0 for equal images; the larger, the less alike.

    With a mask (B, 1, H, W) both images are put on mid grey outside it. The distance remains the mean over the whole
    image, so a smaller mask gives smaller numbers: compare methods on the same masks only. An empty mask gives NaN.
    Differentiable in the images.
    """
    check_pair(image, reference, mask)
    distance = network(2 * on_grey(image, mask) - 1, 2 * on_grey(reference, mask) - 1).flatten()
    return distance if mask is None else torch.where((mask > 0.5).any(3).any(2).any(1), distance, torch.nan)


def load_lpips(path: Path | None = None, device: torch.device | str = "cpu") -> LPIPS:
    """The network of ``lpips_distance``, frozen, in evaluation mode.

    Args:
        path: a copy of ``alexnet.ckpt``; by default the asset of that name.

    Raises:
        AssetError: the file is absent or broken. ModelFileError: it does not hold this network.
    """
    network_class = import_extra("lpips", "benchmark").LPIPS
    source = asset_path(ASSET) if path is None else path
    weights = _convert(read_numpy_pickle(source), source)
    # Building draws random weights: the caller's random numbers stay the same. The package uses a deprecated argument.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        network: LPIPS = network_class(net="alex", version="0.1", pretrained=False, pnet_rand=True, verbose=False)
    state = network.state_dict()
    # The package registers each head twice, as ``lin0`` and as ``lins.0``, and its two constants are its own.
    expected = {name for name in state if not name.startswith(("lins.", "scaling_layer."))}
    if set(weights) != expected or any(weights[name].shape != state[name].shape for name in expected):
        raise ModelFileError(f"{source} does not hold LPIPS on AlexNet: delete it to fetch the right file")
    network.load_state_dict(weights, strict=False)
    return network.eval().requires_grad_(False).to(device)


def _convert(tree: dict, source: Path) -> dict[str, Tensor]:
    """The file's height-width-in-out kernels -> the package's names and out-in-height-width order."""
    # ``net.slice1`` to ``net.slice5`` keep the layer numbers of torchvision's AlexNet.
    convolutions = ["net.slice1.0", "net.slice2.3", "net.slice3.6", "net.slice4.8", "net.slice5.10"]
    try:
        weights = {}
        for index, name in enumerate(convolutions):
            layer = tree["AlexNet_0"][f"Conv_{index}"]
            weights[f"{name}.weight"] = _kernel(layer["kernel"])
            weights[f"{name}.bias"] = torch.from_numpy(np.array(layer["bias"]))
            weights[f"lin{index}.model.1.weight"] = _kernel(tree[f"NetLinLayer_{index}"]["Conv_0"]["kernel"])
    except (KeyError, TypeError) as error:
        raise ModelFileError(f"{source} has no layer {error}: delete it to fetch the right file") from error
    return weights


def _kernel(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.transpose(3, 2, 0, 1)))
