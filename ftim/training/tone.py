"""Training of the tone network: rendered heads, whose albedo is known, and photographs under altered exposure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from ftim.completion.fill import region_atlas
from ftim.data.rendered.camera import to_linear, to_srgb
from ftim.morphable.model import Region
from ftim.pipeline import Pipeline
from ftim.provenance import code_commit
from ftim.structures import View
from ftim.tone import ToneMover, photographed_tone, with_tone
from ftim.tone_network import DARKEST, ToneNetwork, plain_features, save_tone, small_picture, tone_loss
from ftim.training.cache import StoredExample
from ftim.training.rendered import read_lesson, rendered_files
from ftim.uv import UvRenderer

FRLL_FACTOR = (1.15, 1.3, 1.25)
"""Linear: FRLL's photographs show skin darker and redder than instruments measure it, on average over people."""


@dataclass(frozen=True)
class ToneConfig:
    """Settings of a run."""

    rendered: Path
    """Folder of rendered heads."""
    output: Path
    """The weights' file."""
    cache: Path | None = None
    """Cache of ``ftim train``: its photographs take part."""
    bank: Path | None = None
    """Bank of albedos: the tones of FRLL's people."""
    epochs: int = 40
    batch: int = 32
    learning_rate: float = 1.5e-3
    real_share: float = 0.5
    """Of a batch that is of photographs."""
    seed: int = 0
    held_out: int = 0
    """The last so many rendered heads are scored and not learnt from."""


@dataclass(frozen=True)
class Lessons:
    """N faces."""

    picture: Tensor
    """(N, 5, 64, 64)."""
    plain: Tensor
    """(N, 35)."""
    tone: Tensor
    """(N, 3)."""

    def __len__(self) -> int:
        return len(self.tone)

    def at(self, index: Tensor) -> Lessons:
        """Some of them."""
        return Lessons(self.picture[index], self.plain[index], self.tone[index])


def tone_of(albedo: Tensor, face: Tensor) -> Tensor:
    """(B, 3, T, T) sRGB albedo, (T, T) bool -> (B, 3) mean of its logarithms over the face."""
    return albedo[:, :, face].clamp_min(DARKEST).log().mean(-1)


def rendered_lessons(folder: Path, uv_renderer: UvRenderer) -> Lessons:
    """All heads of a folder."""
    face = region_atlas(uv_renderer.model, uv_renderer.atlas) == int(Region.FACE)
    parts = []
    for path in tqdm(rendered_files(folder), desc="rendered heads", unit="head"):
        view, truth = read_lesson(path)
        parts.append((small_picture(view).half(), plain_features(view), tone_of(truth.albedo, face)))
    pictures, plain, tones = zip(*parts, strict=True)
    return Lessons(torch.cat(pictures), torch.cat(plain), torch.cat(tones))


def altered(view: View, rng: np.random.Generator) -> View:
    """The photograph under another exposure and white balance; its light follows."""
    linear = to_linear(view.photo.numpy())
    gain = np.exp(rng.normal(0, 0.4) + rng.normal(0, 0.12, 3) * [1, 0.4, 1])[None, :, None, None]
    photo = torch.from_numpy(to_srgb(linear * gain).astype(np.float32))
    skin = view.skin
    amount = skin.sum((2, 3)).clamp_min(1)
    ratio = ((photo * skin).sum((2, 3)) / amount) / ((view.photo * skin).sum((2, 3)) / amount).clamp_min(1e-3)
    return replace(
        view, face=replace(view.face, image=photo), fit=replace(view.fit, light=view.fit.light * ratio[:, None])
    )


def frll_tones(bank: dict[str, Tensor], face: Tensor) -> dict[str, Tensor]:
    """(3,) by FRLL's training people: their albedos of the bank, as instruments would measure them."""
    tones = {}
    for name, albedo in bank.items():
        if name.startswith("frll-"):
            linear = to_linear(albedo.permute(1, 2, 0).numpy()[face.numpy()] / 255.0) * FRLL_FACTOR
            tones[name] = torch.from_numpy(np.log(to_srgb(linear).clip(DARKEST)).mean(0)).float()
    return tones


@torch.no_grad()
def photographed(pipeline: Pipeline, view: View) -> Tensor:
    """(B, 3) the tones that the photographs show: those of people whose photographers exposed for their skin."""
    atlas, mover = pipeline.uv.atlas, ToneMover(pipeline.uv)
    texels, tones = torch.arange(len(atlas.texel)), []
    for index in range(len(view.photo)):
        one = view[index]
        texture = pipeline.completion("mirror")(one.partial, one.fit)
        weight = one.partial.confidence.flatten()[atlas.texel]
        tone = photographed_tone(pipeline.uv.shading_at(one.fit, texels), weight)[None]
        tones.append(mover.present(with_tone(texture, one.fit, tone, mover.teeth, mover.openings)[0].albedo))
    return torch.cat(tones)


def real_lessons(cache: Path, pipeline: Pipeline, tones: dict[str, Tensor], copies: int, seed: int) -> Lessons:
    """Photographs of a training cache: as they are, and ``copies`` times under other exposures.

    FRLL's people have ``tones``. Of portraits, the photograph's own tone is taken to be true: their photographers
    exposed for it, and so learns the network what well exposed photographs look like.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for path in tqdm(sorted(cache.glob("*.safetensors")), desc="photographs", unit="case"):
        kind, person = path.stem.split("-")[:2]
        tensors = load_file(path)
        view = StoredExample(tensors, tensors["photo"].shape[-1]).unpack()
        if kind == "frll":
            if (known := tones.get(f"frll-{person}")) is None:
                continue
            tone = known.expand(len(view.photo), 3)
        else:
            tone = photographed(pipeline, view)
        # Six photographs of each of FRLL's people are many already.
        for copy in range(2 if kind == "frll" else copies + 1):
            seen = altered(view, rng) if copy else view
            parts.append((small_picture(seen).half(), plain_features(seen), tone))
    pictures, plain, targets = zip(*parts, strict=True)
    return Lessons(torch.cat(pictures), torch.cat(plain), torch.cat(targets))


def train_tone(config: ToneConfig, rendered: Lessons, real: Lessons | None) -> ToneNetwork:
    """A whole run; the weights are written."""
    torch.manual_seed(config.seed)
    count = len(rendered) - config.held_out
    network = ToneNetwork().train()
    network.middle.copy_(rendered.tone[:count].mean(0))
    network.spread.copy_(rendered.tone[:count].std(0))
    network.plain_mean.copy_(rendered.plain[:count].mean(0))
    network.plain_spread.copy_(rendered.plain[:count].std(0).clamp_min(1e-3))
    average = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=0.05)
    of_real = round(config.batch * config.real_share) if real is not None else 0
    steps = config.epochs * count // (config.batch - of_real)
    generator = torch.Generator().manual_seed(config.seed)
    bar = tqdm(range(steps), desc="tone", unit="step", mininterval=20)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = (
                config.learning_rate
                * min(1, (step + 1) / 100)
                * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
            )
        parts = [rendered.at(torch.randint(count, (config.batch - of_real,), generator=generator))]
        if real is not None:
            parts.append(real.at(torch.randint(len(real), (of_real,), generator=generator)))
        picture = torch.cat([part.picture for part in parts]).float()
        plain, truth = torch.cat([part.plain for part in parts]), torch.cat([part.tone for part in parts])
        flipped = torch.rand(len(picture), generator=generator) < 0.5
        picture[flipped] = picture[flipped].flip(-1)
        picture, plain = _jittered(picture, plain, generator)
        loss = tone_loss(network(picture, plain), truth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimizer.step()
        decay = min(0.998, step / (step + 10))
        for name, value in network.state_dict().items():
            average[name].lerp_(value, 1 - decay)
        if step % 200 == 0:
            bar.set_postfix_str(f"loss {float(loss.detach()):.3f}")
    network.load_state_dict(average)
    network.eval().requires_grad_(False)
    about = {"heads": count, "real": 0 if real is None else len(real), "epochs": config.epochs, "seed": config.seed}
    save_tone(config.output, network, about | {"steps": steps, "commit": code_commit()})
    return network


def _jittered(picture: Tensor, plain: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Small shifts of the crop and a little noise in the plain numbers: neither should be learnt by heart."""
    shift = torch.randint(-4, 5, (2,), generator=generator).tolist()
    noise = torch.randn(plain.shape, generator=generator) * 0.02
    return torch.roll(picture, shift, (2, 3)), plain + noise
