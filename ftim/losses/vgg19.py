"""VGG19 (Simonyan and Zisserman 2014) up to relu4_2: the features of the ID-MRF loss.

The weights are the asset ``vgg_normalized.pth``: the ImageNet network with each channel scaled so that its mean
activation over images and positions is one (Gatys et al. 2016), which weighs channels alike. Its module numbers are
those of a sequence that begins with a 1 x 1 convolution, RGB in [0, 1] to BGR x 255 minus the mean of ImageNet, and
has a reflection padding before each 3 x 3 convolution.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ftim.assets import asset_path
from ftim.errors import ModelFileError

ASSET = "vgg_normalized.pth"
SMALLEST_SIDE = 16
"""Pixels: after three poolings two are left, the fewest that can be reflected."""

_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""Channels and number of the convolutions between poolings; the last block is in the file and not used."""
_UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    struct.error,
)
"""What PyTorch's reader raises for files that are none of its own; it takes their bytes for pickle instructions."""
_RELU3_2 = 20
_RELU4_2 = 33


@dataclass(frozen=True)
class Vgg19Features:
    """Activations, at least 0."""

    relu3_2: Tensor
    """(B, 256, H / 4, W / 4), rounded down."""
    relu4_2: Tensor
    """(B, 512, H / 8, W / 8), rounded down."""


class Vgg19(nn.Module):
    """The network without its weights; ``load_vgg19`` has them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_layers()[: _RELU4_2 + 1])

    def forward(self, image: Tensor) -> Vgg19Features:
        """(B, 3, H, W) in [0, 1], sRGB, at least 16 pixels a side. Differentiable in the image."""
        if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < SMALLEST_SIDE:
            raise ValueError(
                f"expected (B, 3, H, W) of at least {SMALLEST_SIDE} pixels a side, got {tuple(image.shape)}"
            )
        # Channels last: two thirds of the time on a CPU.
        relu3_2 = self.layers[: _RELU3_2 + 1](image.contiguous(memory_format=torch.channels_last))
        return Vgg19Features(relu3_2, self.layers[_RELU3_2 + 1 :](relu3_2))


def load_vgg19(path: Path | None = None, device: torch.device | str = "cpu") -> Vgg19:
    """The network with its weights, frozen, in evaluation mode.

    Args:
        path: a copy of ``vgg_normalized.pth``; by default the asset of that name.

    Raises:
        AssetError: the file is absent. ModelFileError: it does not hold exactly the 16 convolutions of VGG19.
    """
    source = asset_path(ASSET) if path is None else path
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        raise ModelFileError(f"{source} cannot be read as weights: {error}. Delete it to fetch it again.") from error
    # Without memory: no random weights are drawn, the caller's random numbers stay the same.
    with torch.device("meta"):
        expected = {name: value.shape for name, value in nn.Sequential(*_layers()).state_dict().items()}
        network = Vgg19()
    found = {name: getattr(value, "shape", None) for name, value in state.items()} if isinstance(state, dict) else {}
    if found != expected:
        wrong = sorted(str(name) for name in {*found, *expected} if found.get(name) != expected.get(name))
        raise ModelFileError(
            f"{source} is not the normalised VGG19: {', '.join(wrong[:4])} missing, unknown or of another "
            "shape. Delete it to fetch the right file."
        )
    used = {name: state[name.removeprefix("layers.")] for name in network.state_dict()}
    network.load_state_dict(used, assign=True)
    return network.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)


def _layers() -> list[nn.Module]:
    """All modules in the file's numbering."""
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
    channels = 3
    for block, (width, repeats) in enumerate(_BLOCKS):
        if block:
            layers.append(nn.MaxPool2d(2))
        for _ in range(repeats):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, width, 3), nn.ReLU(inplace=True)]
            channels = width
    return layers
