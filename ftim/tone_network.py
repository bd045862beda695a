"""Whose is the tone? A small network that tells a face's colour from the light's by all that the crop shows.

A face's mean colour in a photograph is its albedo times the light times the exposure. What tells them apart lies beside
the skin: background, clothes, the white of the eyes, hair, and how the light varies over the face. The network answers
with a mean and a variance; where the photograph tells nothing, the mean is that of people (docs/decisions.md, S39).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ftim.errors import ModelFileError
from ftim.face import CROP_SIZE
from ftim.filters import resized
from ftim.outputs import whole_file
from ftim.structures import View

SIDE = 64
"""Of the crop that is looked at."""
WIDTHS = (24, 48, 72, 96)
TONE_PATH = Path(__file__).parent / "completion" / "data" / "tone.safetensors"
VERSION = 1
DARKEST = 0.02
PLAIN = 35
"""Plain numbers beside the picture: see ``plain_features``."""
EYES = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382),
)  # fmt: skip
"""MediaPipe's landmarks around the opening of each eye."""
WHITE = 0.3
"""Share of an eye's pixels, the brightest, that are taken for its white."""


@dataclass(frozen=True)
class Tone:
    """Of B faces."""

    mean: Tensor
    """(B, 3) logarithm of the mean sRGB albedo of the face's skin, the mean taken of logarithms."""
    deviation: Tensor
    """(B, 3) standard deviation of its error."""


class ToneNetwork(nn.Module):
    """(B, 5, 64, 64) crops and (B, 35) plain numbers -> ``Tone``."""

    middle: Tensor
    spread: Tensor
    plain_mean: Tensor
    plain_spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 5
        for width in WIDTHS:
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.SiLU()]
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.SiLU()]
            before = width
        self.picture = nn.Sequential(*layers)
        self.plain = nn.Sequential(nn.Linear(PLAIN, 64), nn.SiLU())
        last = nn.Linear(96, 6)
        self.head = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(2 * before + 64, 96), nn.SiLU(), nn.Dropout(0.2), last
        )  # fmt: skip
        self.register_buffer("middle", torch.zeros(3))
        self.register_buffer("spread", torch.ones(3))
        self.register_buffer("plain_mean", torch.zeros(PLAIN))
        self.register_buffer("plain_spread", torch.ones(PLAIN))

    def forward(self, picture: Tensor, plain: Tensor) -> Tone:
        maps = self.picture(picture)
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
        numbers = self.plain((plain - self.plain_mean) / self.plain_spread)
        mean, logs = self.head(torch.cat([pooled, numbers], 1)).split(3, dim=1)
        return Tone(self.middle + self.spread * mean, self.spread * logs.clamp(-3, 1.5).exp())


def small_picture(view: View) -> Tensor:
    """(B, 5, 64, 64) in [-1, 1]: the crop, its skin, and where it lies inside the photograph."""
    maps = torch.cat([view.photo, view.skin, view.face.valid], 1)
    return 2 * resized(maps, SIDE, SIDE) - 1


def plain_features(view: View) -> Tensor:
    """(B, 35) numbers of a view.

    Logarithms of the skin's dark, middle and bright colours, those of what is not skin, the fitted light's constant
    term and how much it varies, the shares of the crop that are skin and that are overexposed, the white of the eyes,
    and the light's other terms beside the constant one.
    """
    rows = []
    for photo, skin, valid, light, marks in zip(
        view.photo, view.skin[:, 0], view.face.valid[:, 0], view.fit.light, view.face.landmarks, strict=True
    ):
        whole, step = photo, max(1, photo.shape[-1] // CROP_SIZE)  # a crop of 224 tells as much
        photo, skin, valid = photo[:, ::step, ::step], skin[::step, ::step], valid[::step, ::step]
        inside, beside = photo[:, skin > 0.9], photo[:, (skin < 0.05) & (valid > 0.5)]
        parts = [_quantiles(inside, (0.1, 0.5, 0.9)), _quantiles(beside, (0.2, 0.95))]
        parts.append((0.2820948 * light[0]).clamp_min(0.02).log())
        parts.append(light[1:].square().mean(0).sqrt()[:2])
        burnt = (photo > 0.98).all(0).float()
        parts.append(
            torch.stack([(skin > 0.5).float().mean(), burnt.mean(), (burnt * skin).sum() / skin.sum().clamp_min(1)])
        )
        parts.append(photo.mean().view(1))
        parts.append(eye_white(whole, marks).clamp_min(DARKEST).log())
        parts.append((light[1:] / light[:1].clamp_min(0.1)).mean(1).clamp(-2, 2))
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def eye_white(photo: Tensor, landmarks: Tensor) -> Tensor:
    """(3,) mean of the brightest pixels inside the eyes of a crop (3, S, S); of the whole crop where there are none."""
    mask = np.zeros(photo.shape[1:], np.uint8)
    for eye in EYES:
        cv2.fillPoly(mask, [landmarks[list(eye)].cpu().numpy().round().astype(np.int32)], 1)
    pixels = photo[:, torch.from_numpy(mask > 0).to(photo.device)]
    if pixels.shape[1] < 4:
        return photo.mean((1, 2))
    bright = pixels.mean(0).topk(max(1, round(WHITE * pixels.shape[1]))).indices
    return pixels[:, bright].mean(1)


def _quantiles(colours: Tensor, places: tuple[float, ...]) -> Tensor:
    """(3, N) -> logarithms of each channel's quantiles; of mid grey when there is none."""
    if colours.shape[1] == 0:
        return colours.new_full((3 * len(places),), 0.5).log()
    some = colours[:, :: max(1, colours.shape[1] // 4096)].clamp_min(DARKEST).log()
    return torch.quantile(some, some.new_tensor(places), dim=1).flatten()


def save_tone(path: Path, network: ToneNetwork, training: Mapping[str, object]) -> None:
    """Write weights in half precision, statistics in full; through a temporary name."""
    kept = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    halves = {name: value.half() if value.ndim > 1 else value.float() for name, value in kept.items()}
    with whole_file(path) as temporary:
        save_file(
            halves,
            str(temporary),
            metadata={"about": json.dumps({"version": VERSION, "training": dict(training)}, sort_keys=True)},
        )


def load_tone(path: Path = TONE_PATH, device: torch.device | str = "cpu") -> ToneNetwork:
    """The network, frozen, in evaluation mode. Raises ``ModelFileError`` when the file is missing or damaged."""
    try:
        with safe_open(str(path), framework="pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - no mapping
        if about["version"] != VERSION:
            raise ValueError(f"version {about['version']}, this ftim reads {VERSION}")
        with torch.device("meta"):
            network = ToneNetwork()
        network.load_state_dict(tensors, assign=True)
        if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
            raise ValueError("weights that are not finite")
    except Exception as error:  # safetensors raises its own error, OSError, KeyError, RuntimeError
        raise ModelFileError(f"{path} cannot be read as weights of the tone: {error}. Reinstall ftim") from error
    return network.eval().requires_grad_(False).to(device)


def tone_loss(tone: Tone, truth: Tensor, huber: float = 1.5) -> Tensor:
    """Negative log likelihood of (B, 3) true tones, of a normal distribution with heavy ends."""
    error = (tone.mean - truth) / tone.deviation
    return (F.huber_loss(error, torch.zeros_like(error), delta=huber) + tone.deviation.log()).mean()
