"""The photographs of the albedo protocol: 60 unseen heads, path-traced twice each, with the truth.

    python -m scripts.bake.albedo_set --bank FILE     # needs: pip install "ftim[render]", FTIM_DATA

The bank is of FRLL's 12 validation people: ``--make-bank``. Nothing of it was learnt from: people, environment maps and
what is before the faces are the test's alone. Deterministic by seed; finished photographs stay when it is run again.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import tyro
from PIL import Image
from safetensors.torch import save_file
from tqdm import tqdm

from ftim.data.frll import load_frll
from ftim.data.photo_set import data_folder
from ftim.data.rendered.albedos import SIDE, Skins, as_bytes, merged_albedo
from ftim.data.rendered.camera import Development, develop, draw_development, to_srgb
from ftim.data.rendered.draw import Drawing, Skin, draw_head
from ftim.data.rendered.dress import Bust, body, hair
from ftim.data.rendered.light import Lights, read_environment, turned
from ftim.data.rendered.render import ORIGIN, TEST_ENVIRONMENTS
from ftim.data.rendered.things import Thing
from ftim.errors import FaceError
from ftim.metrics.colour import srgb_to_lab, typology_angle, typology_group
from ftim.outputs import whole_file
from ftim.photo_input import to_photograph
from ftim.pipeline import Pipeline
from ftim.rotation import axis_angle_to_matrix
from ftim.structures import Camera, Fit
from ftim.uv import UvRenderer
from scripts.bake.albedo_things import KINDS, before
from scripts.bake.path_tracer import Lamp, Surface, trace

PICTURE = 352
HEADS = 60
LIGHT_SCALE = 2.0
"""Shading up to this is kept."""
FOLDER = Path(__file__).parents[2] / "benchmark" / "data" / "rendered"


@dataclass(frozen=True)
class Config:
    """Make the set."""

    bank: Path
    """Albedos of people that nobody trains on."""
    make_bank: bool = False
    """Write the bank first, from FRLL's validation people."""
    output: Path = FOLDER
    samples: int = 40
    """A pixel."""
    first: int = 0
    step: int = 1
    """Of the heads' numbers: several processes share the work by these two."""


def make_bank(path: Path) -> None:
    """Merged albedos of FRLL's 12 validation people, neutral and smiling."""
    pipeline, frll = Pipeline.build(device="cpu", texture_size=SIDE), load_frll(None)
    found = {}
    for person in frll.people("validation"):
        for expression in ("neutral", "smiling"):
            albedo = merged_albedo(pipeline, list(frll.triplet(person, expression)))  # type: ignore[arg-type]
            found[f"frll-{person}-{expression}"] = (albedo * 255).round().to(torch.uint8).contiguous()
    with whole_file(path) as temporary:
        save_file(found, str(temporary))


class AlbedoSet:
    """Draws and writes the heads."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.pipeline = Pipeline.build(device="cpu", texture_size=256)
        self.model = self.pipeline.model
        self.skins = Skins.load(config.bank, UvRenderer(self.model, self.pipeline.rasterizer, SIDE))
        folder = data_folder("hdri", None, ORIGIN)
        self.skies = {name: read_environment(folder / f"{name}.exr") for name in TEST_ENVIRONMENTS}

    def head(self, number: int) -> None:
        """Two photographs of one head."""
        rng = np.random.default_rng(7000 + number)
        albedo, person = self._albedo(rng, number % 6)
        identity = np.clip(rng.normal(0, 0.55, len(self.model.identity_basis)), -1.6, 1.6)
        look = int(rng.integers(1 << 30))
        for letter in "ab":
            name = f"{number:02d}{letter}"
            if (self.config.output / "truth" / f"{name}.json").is_file():
                continue
            for attempt in range(20):
                if self._photograph(name, number, albedo, person, identity, look, attempt):
                    break
        small = cv2.resize(albedo, (256, 256), interpolation=cv2.INTER_AREA)
        path = self.config.output / "albedo" / f"{number:02d}.jpg"
        with whole_file(path) as temporary:
            Image.fromarray(as_bytes(small)).save(temporary, "jpeg", quality=95, subsampling=0)

    def _albedo(self, rng: np.random.Generator, group: int) -> tuple[np.ndarray, str]:
        """One whose mean skin lies in this ITA group."""
        while True:
            albedo, person = self.skins.draw(rng)
            mean = torch.from_numpy(to_srgb(albedo[self.skins.face].mean(0)))
            if typology_group(float(typology_angle(srgb_to_lab(mean)))) == group:
                return albedo, person

    def _pose(self, rng: np.random.Generator, identity: np.ndarray) -> Fit:
        model = self.model
        expression = np.zeros(len(model.expression_basis))
        some = rng.integers(len(expression), size=int(rng.integers(0, 6)))
        expression[some] = rng.uniform(0, 0.6, len(some))
        expression = np.maximum(expression, expression[model.expression_mirror.numpy()])
        angles = np.deg2rad([rng.uniform(-12, 12), rng.uniform(-45, 45), rng.uniform(-5, 5)])
        pitch, yaw, roll = (
            torch.tensor([[value if axis == place else 0.0 for axis in range(3)]], dtype=torch.float32)
            for place, value in enumerate(angles)
        )
        rotation = axis_angle_to_matrix(roll) @ axis_angle_to_matrix(pitch) @ axis_angle_to_matrix(yaw)
        field = np.deg2rad(np.exp(rng.uniform(np.log(12), np.log(60))))
        focal = PICTURE / 2 / np.tan(field / 2)
        distance = 0.24 * focal / (rng.uniform(0.7, 0.9) * PICTURE)
        place = torch.tensor([[*(rng.normal(0, 0.006, 2)), -distance]], dtype=torch.float32)
        camera = Camera(
            torch.tensor([focal], dtype=torch.float32), torch.full((1, 2), PICTURE / 2), PICTURE, PICTURE
        )  # fmt: skip
        return Fit(
            torch.from_numpy(identity).float()[None], torch.from_numpy(expression).float()[None], rotation, place,
            torch.zeros(1, 9, 3), camera,
        )  # fmt: skip

    def _photograph(
        self, name: str, number: int, albedo: np.ndarray, person: str, identity: np.ndarray, look: int, attempt: int
    ) -> bool:
        rng = np.random.default_rng([number, ord(name[-1]), attempt])
        fit = self._pose(rng, identity)
        vertices = self.model.vertices(fit.identity, fit.expression)
        bust = Bust(
            vertices[0].numpy(), self.model.normals(vertices)[0].numpy(), self.model.triangles.numpy(),
            self.model.regions.numpy(), self.model.place.numpy(), self.model.landmarks(vertices)[0].numpy(),
        )  # fmt: skip
        grown, tone = hair(bust, np.random.default_rng(look))
        things: list[Thing] = [*grown, *body(bust, rng)] if number % 3 != 1 else body(bust, rng)
        kind = KINDS[(number // 3 + (name[-1] == "b")) % len(KINDS)] if number % 3 == 0 else ""
        if kind:
            skin = np.exp(np.log(albedo[self.skins.face]).mean(0))
            things = [*things, *before(kind, bust, rng, tone, skin)]
        surface = Surface(float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.3, 0.6)))
        map_name = TEST_ENVIRONMENTS[int(rng.integers(len(TEST_ENVIRONMENTS)))]
        sky = turned(self.skies[map_name], float(rng.random()))
        sky = sky / sky.mean()
        lamps = self._lamps(rng)
        flat = self._flat(fit, albedo, things)
        # A first, coarse picture: is it a face at all?
        gray = Development(np.ones(3), 1.0, 1.0, 0.0, 0.0, 90)
        rough = self._trace(fit, albedo, surface, things, sky, lamps, 160, 9, attempt)
        rough = rough * 0.4 / np.percentile(rough.mean(-1), 70)
        try:
            self.pipeline.finder.one(to_photograph(develop(rough, gray, rng)), 0)
        except FaceError:
            return False
        linear = self._trace(fit, albedo, surface, things, sky, lamps, PICTURE, self.config.samples, 1)
        black = np.full_like(albedo, 0.0)
        gloss = self._trace(fit, black, surface, things, sky, lamps, PICTURE // 2, self.config.samples, 2)
        gloss = cv2.resize(gloss, (PICTURE, PICTURE), interpolation=cv2.INTER_CUBIC).clip(0)
        linear, gloss = without_noise(linear, gloss, flat)
        neutral = np.median((linear - gloss)[flat.skin > 0.9] / flat.albedo[flat.skin > 0.9].clip(0.02), axis=0)
        how = draw_development(linear, flat.skin > 0.9, neutral, rng)
        how = replace(how, noise=min(how.noise, 0.008), blur=min(how.blur, 0.6), quality=92)
        photo = develop(linear, how, rng)
        try:
            self.pipeline.finder.one(to_photograph(photo), 0)
        except FaceError:
            return False
        shading = (linear - gloss).clip(0) / flat.albedo.clip(0.02) * how.gain * (flat.skin > 0.5)[..., None]
        about = {"head": number, "person": person, "before": kind, "environment": map_name, "lamps": len(lamps)}
        self._write(name, photo, shading, gloss * how.gain, flat, fit, how, about)
        return True

    def _lamps(self, rng: np.random.Generator) -> list[Lamp]:
        lamps = []
        if rng.random() < 0.5:
            azimuth, height = rng.uniform(-1.7, 1.7), rng.uniform(-0.2, 1.0)
            direction = np.array([np.cos(height) * np.sin(azimuth), np.sin(height), np.cos(height) * np.cos(azimuth)])
            warmth = np.exp(np.array([1.0, 0.0, -1.0]) * rng.normal(0.08, 0.15))
            lamps.append(Lamp(direction, 1.6, float(rng.uniform(0.06, 0.35)), np.exp(rng.uniform(-1, 1.2)) * warmth))
        if rng.random() < 0.12:
            lamps.append(Lamp(np.array([0.08, 0.12, 0.99]), 0.6, 0.02, np.full(3, rng.uniform(0.6, 2.5))))
        return lamps

    def _flat(self, fit: Fit, albedo: np.ndarray, things: list[Thing]) -> Drawing:
        """What is skin, and its albedo at each pixel."""
        front = np.array([[0.0, 0.0, 1.0]], np.float32)
        light = Lights(front, np.ones((1, 3), np.float32), np.full(1, 0.01, np.float32), np.ones((4, 8, 3), np.float32))
        colour = torch.from_numpy(albedo).permute(2, 0, 1).contiguous()
        flat = torch.full_like(colour[:1], 0.03)
        skin = Skin(colour, flat + 0.5, flat, torch.zeros_like(colour))
        background = np.zeros((PICTURE, PICTURE, 3), np.float32)
        return draw_head(self.model, self.pipeline.rasterizer, fit, skin, things, [], light, background)

    def _trace(
        self, fit: Fit, albedo: np.ndarray, surface: Surface, things: list[Thing], sky: np.ndarray,
        lamps: list[Lamp], side: int, samples: int, seed: int,
    ) -> np.ndarray:  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            return trace(self.model, fit, albedo, surface, things, sky, lamps, side, samples, seed, Path(folder))

    def _write(
        self, name: str, photo: np.ndarray, shading: np.ndarray, gloss: np.ndarray, flat: Drawing, fit: Fit,
        how: Development, about: dict[str, Any],
    ) -> None:  # fmt: skip
        pictures = {
            f"photo/{name}.jpg": (photo, 92),
            f"shading/{name}.jpg": (
                as_bytes(cv2.resize(shading / LIGHT_SCALE, (176, 176), interpolation=cv2.INTER_AREA)),
                90,
            ),
            f"gloss/{name}.jpg": (as_bytes(cv2.resize(gloss, (176, 176), interpolation=cv2.INTER_AREA)), 90),
        }
        files = {}
        for path, (pixels, quality) in pictures.items():
            with whole_file(self.config.output / path) as temporary:
                Image.fromarray(pixels).save(temporary, "jpeg", quality=quality, subsampling=0)
        for kind, mask in (("skin", flat.skin), ("head", flat.head)):
            path = f"{kind}/{name}.png"
            with whole_file(self.config.output / path) as temporary:
                Image.fromarray(((mask > 0.5) * 255).astype(np.uint8)).convert("1").save(temporary, "png")
        for path in [*pictures, f"skin/{name}.png", f"head/{name}.png"]:
            files[path] = hashlib.sha256((self.config.output / path).read_bytes()).hexdigest()
        truth = about | {
            "identity": _rounded(fit.identity[0]), "expression": _rounded(fit.expression[0]),
            "rotation": _rounded(fit.rotation[0].flatten()), "translation": _rounded(fit.translation[0]),
            "focal": float(fit.camera.focal), "side": PICTURE, "contrast": how.contrast,
            "saturation": how.saturation, "files": files,
        }  # fmt: skip
        with whole_file(self.config.output / "truth" / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(truth, sort_keys=True) + "\n", encoding="utf-8")


def without_noise(linear: np.ndarray, gloss: np.ndarray, flat: Drawing) -> tuple[np.ndarray, np.ndarray]:
    """Radiance and gloss without the grain of few samples, which no camera has.

    What multiplies the albedo is smooth but for the edges of shadows: divided by the albedo, filtered along its edges,
    and multiplied again, as is usual in path tracing. So is gloss. What is not skin keeps its grain, but for specks.
    """
    inside = cv2.erode((flat.skin > 0.99).astype(np.uint8), np.ones((3, 3), np.uint8))[..., None] > 0
    shading = np.where(inside, (linear - gloss).clip(0) / flat.albedo.clip(0.02), 0)

    def filtered(values: np.ndarray) -> np.ndarray:
        logs = np.log(values + 0.02).astype(np.float32)
        for _ in range(2):
            logs = np.asarray(cv2.bilateralFilter(logs, 9, 0.35, 2.0), np.float32)
        return np.exp(logs) - 0.02

    smooth_gloss = filtered(gloss).clip(0)
    clean = flat.albedo * filtered(shading).clip(0) + smooth_gloss
    rest = np.asarray(cv2.medianBlur(linear.astype(np.float32), 3), np.float32)
    return np.where(inside, clean, rest).astype(np.float32), np.where(inside, smooth_gloss, gloss)


def _rounded(values: torch.Tensor) -> list[float]:
    return [round(float(value), 5) for value in values]


def main(config: Config) -> None:
    """Make what is missing."""
    if config.make_bank:
        make_bank(config.bank)
    maker = AlbedoSet(config)
    for number in tqdm(range(config.first, HEADS, config.step), desc="path-traced heads", unit="head"):
        maker.head(number)
    if len(list((config.output / "truth").glob("*.json"))) == 2 * HEADS:
        write_manifest(config.output)


def write_manifest(folder: Path) -> None:
    """``manifest.json``: the sha256 of every file of the set."""
    files = sorted(path for kind in ("albedo", "gloss", "head", "photo", "shading", "skin", "truth") for path in
                   (folder / kind).iterdir())  # fmt: skip
    sums = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    with whole_file(folder / "manifest.json") as temporary:
        temporary.write_text(json.dumps(sums, indent=0, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
