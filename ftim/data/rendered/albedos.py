"""Albedos that rendered heads wear: merged photographs of training people and MakeHuman's skins, varied."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from ftim.completion.fill import region_atlas, region_groups
from ftim.data.frll import EXPRESSIONS, load_frll
from ftim.data.rendered.camera import to_linear, to_srgb
from ftim.data.webmorph import load_webmorph
from ftim.errors import DatasetError, FaceError
from ftim.filters import box_blur
from ftim.merge import merge_views
from ftim.morphable.model import Region
from ftim.outputs import whole_file
from ftim.pipeline import Pipeline
from ftim.structures import PartialTexture, View
from ftim.tone import ToneMover, photographed_tone, with_tone
from ftim.training.hair import HairFinder
from ftim.uv import UvRenderer

SIDE = 512
SKIN_TONES = ((0.66, 0.43, 0.33), (0.44, 0.245, 0.165), (0.22, 0.108, 0.068), (0.085, 0.043, 0.03))
"""Linear albedo of faces from light to dark: red is taken away least."""


@torch.no_grad()
def merged_albedo(pipeline: Pipeline, photos: Sequence[Path]) -> Tensor:
    """(3, T, T) sRGB albedo of one person from photographs of one moment, without what looks like hair.

    Nothing that was learnt takes part: what no photograph shows is mirrored, or the template's. Raises ``FaceError``.
    """
    hair = HairFinder(pipeline.uv)
    views = [pipeline.view(photo) for photo in photos]
    if len(views) > 1:
        fits = [view.fit for view in views]
        partials = [_bare(hair, view) for view in views]
        shading = torch.cat([pipeline.uv.shading(fit) for fit in fits])
        middle = min(1, len(views) - 1)
        partial = merge_views(type(partials[0]).concatenate(partials), shading, middle)
        fit, own = fits[middle], partials[middle]
    else:
        fit, partial = views[0].fit, _bare(hair, views[0])
        own = partial
    texture = pipeline.completion("mirror")(partial, fit)
    atlas = pipeline.uv.atlas
    tone = photographed_tone(
        pipeline.uv.shading_at(fit, torch.arange(len(atlas.texel))), own.confidence.flatten()[atlas.texel]
    )
    mover = ToneMover(pipeline.uv)
    toned, _ = with_tone(texture, fit, tone[None], mover.teeth, mover.openings)
    return toned.albedo[0].clamp(0, 1)


def _bare(hair: HairFinder, view: View) -> PartialTexture:
    """What the view shows of skin, without what looks like hair."""
    shown, partial = hair(view), view.partial
    seen = partial.visibility * (shown > 0.5)
    return replace(partial, color=partial.color * seen, visibility=seen, confidence=partial.confidence * shown * seen)


def build_bank(path: Path, folder: Path | None = None, skins: Path | None = None, quiet: bool = False) -> None:
    """Write the bank: FRLL's 70 training people, webmorph's portraits, and PNGs of MakeHuman's skins in our atlas.

    ``skins`` is their folder; every other one is left to the test. Raises ``DatasetError``.
    """
    pipeline = Pipeline.build(device="cpu", texture_size=SIDE)
    frll = load_frll(folder)
    jobs: list[tuple[str, list[Path]]] = []
    for person, expression in itertools.product(frll.people("train"), EXPRESSIONS[:1]):
        jobs.append((f"frll-{person}", list(frll.triplet(person, expression))))
    jobs += [(f"webmorph-{photo.name}", [photo.path]) for photo in load_webmorph(folder).photos]
    found = {}
    for name, photos in tqdm(jobs, desc="albedos", unit="person", disable=quiet):
        try:
            found[name] = (merged_albedo(pipeline, photos) * 255).round().to(torch.uint8)
        except FaceError:
            continue
    if skins is not None:
        for file in sorted(skins.glob("*.png"))[::2]:
            pixels = np.asarray(Image.open(file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
            found[f"makehuman-{file.stem}"] = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    with whole_file(path) as temporary:
        save_file({name: value.contiguous() for name, value in found.items()}, str(temporary))


@dataclass(frozen=True)
class Skins:
    """The bank, and what is needed to vary it."""

    names: tuple[str, ...]
    maps: Tensor
    """(N, 3, T, T) uint8."""
    skin: np.ndarray
    """(T, T) in [0, 1]: skin, no eyes, teeth or tongue."""
    face: np.ndarray
    """(T, T) bool."""
    place: np.ndarray
    """(3, T, T) on the mean head, in outer eye distances."""

    @classmethod
    def load(cls, path: Path, uv_renderer: UvRenderer) -> Skins:
        """Of ``build_bank``; the renderer's side is ``SIDE``. Raises ``DatasetError``."""
        if not path.is_file():
            raise DatasetError(f"{path}: there is no bank of albedos. Make it first: ftim data albedos")
        maps = load_file(path)
        regions = region_atlas(uv_renderer.model, uv_renderer.atlas)
        place = uv_renderer.atlas.image(uv_renderer.atlas.spread(uv_renderer.model.place[None]))[0]
        return cls(
            tuple(maps), torch.stack(list(maps.values())), region_groups(regions)[0].numpy(),
            (regions == int(Region.FACE)).numpy(), place.numpy(),
        )  # fmt: skip

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        """(T, T, 3) linear albedo of nobody, and the name of the person it was made from."""
        first = int(rng.integers(len(self.names)))
        albedo = self._linear(first)
        if rng.random() < 0.5:
            albedo = albedo[:, ::-1]
        logs = np.log(albedo.clip(4e-3))
        mean = logs[self.face].mean(0)
        if rng.random() < 0.4:  # the skin of one person, the broad colouring of another
            other = np.log(self._linear(int(rng.integers(len(self.names)))).clip(4e-3))
            share = rng.uniform(0.2, 0.6)
            broad, broad_other = (_broad(value - value[self.face].mean(0)) for value in (logs, other))
            logs = logs + share * (broad_other - broad)
        target = self.tone(rng) if rng.random() < 0.85 else mean
        shift = target - mean
        contrast = np.exp(rng.normal(0, 0.12))
        skin = self.skin[..., None]
        varied = mean + contrast * (logs - mean) + shift
        logs = skin * varied + (1 - skin) * (logs + np.clip(shift.mean(), -0.5, 0.1) * 0.3)
        logs += self._marks(rng, float(target.mean()))
        return np.exp(logs).clip(0.004, 0.92).astype(np.float32), self.names[first]

    def tone(self, rng: np.random.Generator) -> np.ndarray:
        """(3,) logarithm of the linear albedo of a face: light to dark, more and less red or yellow."""
        share = rng.beta(0.85, 1.15)
        anchors = np.log(SKIN_TONES)
        steps = np.linspace(0, 1, len(anchors))
        tone = np.array([np.interp(share, steps, anchors[:, channel]) for channel in range(3)])
        redness, yellowness, brightness = rng.normal(0, [0.05, 0.05, 0.1])
        return tone + np.array([redness + brightness, brightness, brightness - yellowness])

    def _linear(self, index: int) -> np.ndarray:
        return to_linear(self.maps[index].permute(1, 2, 0).numpy() / 255.0)

    def _marks(self, rng: np.random.Generator, darkness: float) -> np.ndarray:
        """(T, T, 3) to be added to logarithms: moles, freckles, spots, stubble, rouge and lipstick."""
        side = self.skin.shape[0]
        marks = np.zeros((side, side, 3), np.float32)
        x, y, _ = self.place
        row, column = np.nonzero(self.face)
        brown, red = np.array([0.6, 0.9, 1.1]), np.array([-0.05, 0.5, 0.45])
        fade = np.clip((darkness + 3) / 2, 0.25, 1)
        if rng.random() < 0.7:
            self._spots(marks, rng, row, column, int(rng.integers(1, 25)), (0.8, 3.0), brown * 0.9 * fade)
        if rng.random() < 0.25:
            self._spots(marks, rng, row, column, int(rng.integers(80, 500)), (0.5, 1.4), brown * 0.35 * fade)
        if rng.random() < 0.4:
            self._spots(
                marks, rng, row, column, int(rng.integers(2, 40)), (1.0, 6.0), red * rng.uniform(0.2, 0.6) * fade
            )
        if rng.random() < 0.25:
            grown = np.clip(((-0.35 - y) / 0.2), 0, 1) * np.clip((1.35 + y) / 0.2, 0, 1) * (np.abs(x) < 0.75)
            grown = np.maximum(grown, np.clip((np.abs(x) - 0.55) / 0.1, 0, 1) * (y < -0.1) * (y > -1.2)) * self.face
            lips = (np.abs(x) < 0.3) & (np.abs(y + 0.72) < 0.1)
            noise = rng.normal(size=(side, side)).astype(np.float32)
            hairs = noise * rng.uniform(0.1, 0.7)
            strength = rng.uniform(0.1, 0.7)
            marks -= (grown * ~lips * strength * (0.7 + hairs).clip(0, 2))[..., None] * [1.0, 0.9, 0.8]
        if rng.random() < 0.25:
            lips = _blurred(((np.abs(x) < 0.28) & (np.abs(y + 0.72) < 0.085)).astype(np.float32)[..., None], 4)
            marks -= lips * rng.uniform(0.1, 0.5) * np.array([0.1, 1.0, 0.8])
            cheeks = np.exp(-(((np.abs(x) - 0.5) / 0.18) ** 2 + ((y + 0.35) / 0.16) ** 2))[..., None]
            marks -= cheeks * rng.uniform(0.0, 0.25) * np.array([0.0, 1.0, 0.7])
        patches = _blurred(rng.normal(size=(side, side, 3)).astype(np.float32), 24) * 24
        marks += patches * rng.uniform(0.0, 0.05)
        return marks * self.skin[..., None]

    @staticmethod
    def _spots(
        marks: np.ndarray, rng: np.random.Generator, row: np.ndarray, column: np.ndarray, count: int,
        sizes: tuple[float, float], strength: np.ndarray,
    ) -> None:  # fmt: skip
        side = len(marks)
        for index in rng.integers(len(row), size=count):
            size = rng.uniform(*sizes)
            reach = int(3 * size) + 1
            rows = np.arange(max(row[index] - reach, 0), min(row[index] + reach + 1, side))
            columns = np.arange(max(column[index] - reach, 0), min(column[index] + reach + 1, side))
            distance = (rows[:, None] - row[index]) ** 2 + (columns[None] - column[index]) ** 2
            spot = np.exp(-((distance / size**2) ** 1.5))[..., None]
            marks[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] -= spot * strength * rng.uniform(0.3, 1)


def _broad(logs: np.ndarray) -> np.ndarray:
    """(T, T, C) without detail."""
    return _blurred(logs.astype(np.float32), 12)


def _blurred(values: np.ndarray, radius: int) -> np.ndarray:
    return (
        box_blur(torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1)[None], radius, 2)[0]
        .permute(1, 2, 0)
        .numpy()
    )


def as_bytes(linear: np.ndarray) -> np.ndarray:
    """Linear albedo -> uint8 sRGB."""
    return (to_srgb(linear) * 255).round().astype(np.uint8)
