"""The encoders, layer by layer as their checkpoints name them: ResNet-50 as torchvision has it, with heads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FEATURES = 2048
DENG_HEADS: tuple[int, ...] = (80, 64, 80, 3, 27, 2, 1)
"""Identity, expression, texture, angles, light, x and y, z."""
DETAIL_CODE = 128


def resnet50_features() -> nn.Module:
    """(B, 3, 224, 224) -> (B, 2048)."""
    from torchvision.models import resnet50

    network: nn.Module = resnet50(weights=None)
    network.fc = nn.Identity()
    return network


class DengEncoder(nn.Module):
    """(B, 3, 224, 224) RGB in [0, 1] -> (B, 257), the outputs of ``DENG_HEADS`` one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = resnet50_features()
        self.final_layers = nn.ModuleList([nn.Conv2d(FEATURES, count, 1) for count in DENG_HEADS])

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        features = self.backbone(image)[:, :, None, None]
        return torch.cat([layer(features) for layer in self.final_layers], dim=1).flatten(1)


class DecaEncoder(nn.Module):
    """(B, 3, 224, 224) RGB in [0, 1] -> (B, outputs)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.encoder = resnet50_features()
        self.layers = nn.Sequential(nn.Linear(FEATURES, 1024), nn.ReLU(), nn.Linear(1024, outputs))

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        code: Tensor = self.layers(self.encoder(image))
        return code


class DetailDecoder(nn.Module):
    """(B, 181) jaw pose, expression and detail code -> (B, 1, 256, 256) displacement in metres, at most 0.01."""

    def __init__(self) -> None:
        super().__init__()
        self.l1 = nn.Sequential(nn.Linear(3 + 50 + DETAIL_CODE, 128 * 8 * 8))
        blocks: list[nn.Module] = [nn.BatchNorm2d(128)]
        for inputs, outputs in ((128, 128), (128, 64), (64, 64), (64, 32), (32, 16)):
            blocks += [
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.Conv2d(inputs, outputs, 3, padding=1),
                nn.BatchNorm2d(outputs, eps=0.8),
                nn.LeakyReLU(0.2),
            ]
        self.conv_blocks = nn.Sequential(*blocks, nn.Conv2d(16, 1, 3, padding=1), nn.Tanh())

    def forward(self, code: Tensor) -> Tensor:
        """See the class."""
        small = self.l1(code).view(-1, 128, 8, 8)
        displacement: Tensor = 0.01 * self.conv_blocks(small)
        return displacement
