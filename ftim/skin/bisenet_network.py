"""BiSeNet (Yu et al. 2018) for face parsing, in the form and with the parameter names of the published weights.

The form is that of face-parsing.PyTorch (asset ``79999_iter.pth``): ResNet-18 is the context path, its features at an
eighth of the size take the place of the paper's spatial path, and two more heads served its training only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ftim.extras import import_extra

CLASSES = (
    "background", "skin", "left brow", "right brow", "left eye", "right eye", "glasses", "left ear", "right ear",
    "earring", "nose", "mouth", "upper lip", "lower lip", "neck", "necklace", "cloth", "hair", "hat",
)  # fmt: skip
"""What the 19 channels tell apart, in order; "mouth" is what the open lips show."""


class ConvBlock(nn.Module):
    """Convolution without bias, batch norm, ReLU; the size stays."""

    def __init__(self, channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        return self.bn(self.conv(features)).relu()


class AttentionRefinement(nn.Module):
    """A convolution whose channels are weighted by what the whole picture holds (ARM, section 3.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvBlock(channels, 128, 3)
        self.conv_atten = nn.Conv2d(128, 128, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(128)

    def forward(self, features: Tensor) -> Tensor:
        features = self.conv(features)
        return features * self.bn_atten(self.conv_atten(overall(features))).sigmoid()


class ContextPath(nn.Module):
    """(B, 3, H, W) -> (B, 128, H / 8, W / 8) twice: features of the trunk, and of the context that it lies in."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = import_extra("torchvision.models", "faces").resnet18(weights=None)
        self.resnet.fc = nn.Identity()
        self.arm16 = AttentionRefinement(256)
        self.arm32 = AttentionRefinement(512)
        self.conv_head32 = ConvBlock(128, 128, 3)
        self.conv_head16 = ConvBlock(128, 128, 3)
        self.conv_avg = ConvBlock(512, 128, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        trunk = self.resnet
        start = trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(image))))
        eighth = trunk.layer2(trunk.layer1(start))
        sixteenth = trunk.layer3(eighth)
        last = trunk.layer4(sixteenth)
        context = self.arm32(last) + self.conv_avg(overall(last))
        context = self.conv_head32(interpolate(context, sixteenth.shape[2:]))
        context = self.arm16(sixteenth) + context
        return eighth, self.conv_head16(interpolate(context, eighth.shape[2:]))


class FeatureFusion(nn.Module):
    """Both paths joined, with the same kind of attention (FFM, section 3.3)."""

    def __init__(self) -> None:
        super().__init__()
        self.convblk = ConvBlock(256, 256, 1)
        self.conv1 = nn.Conv2d(256, 64, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 256, 1, bias=False)

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        joined = self.convblk(torch.cat([detail, context], dim=1))
        return joined + joined * self.conv2(self.conv1(overall(joined)).relu()).sigmoid()


class Head(nn.Module):
    """Features -> logits of the classes, at the features' size."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.conv = ConvBlock(channels, middle, 3)
        self.conv_out = nn.Conv2d(middle, len(CLASSES), 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.conv_out(self.conv(features))


class BiSeNet(nn.Module):
    """(B, 3, H, W) normalised image -> (B, 19, H, W) logits of ``CLASSES``."""

    def __init__(self) -> None:
        super().__init__()
        self.cp = ContextPath()
        self.ffm = FeatureFusion()
        self.conv_out = Head(256, 256)
        # For training alone: here so that loading is strict, never run.
        self.conv_out16 = Head(128, 64)
        self.conv_out32 = Head(128, 64)

    def forward(self, image: Tensor) -> Tensor:
        logits = self.conv_out(self.ffm(*self.cp(image)))
        return interpolate(logits, image.shape[2:], mode="bilinear", align_corners=True)


def overall(features: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 1, 1) mean."""
    return features.mean((2, 3), keepdim=True)
