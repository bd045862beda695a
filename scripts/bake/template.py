"""Bake ``ftim/morphable/data/template_albedo.png``: the mean albedo of the people that ftim may be trained on.

Each photograph is fitted, unwrapped, and freed from the light that explains it best under the present template; the
robust mean over all people and their mirror images, without the texels that show hair, is the next template. The first
one has a single colour. Needs ``FTIM_DATA`` with ``frll``, ``webmorph`` (both CC BY 4.0) and ``official_portraits``
(public domain). Unwrapped photographs are kept in the work folder, so a run that was stopped goes on where it was; the
result depends on the photographs alone.

    python -m scripts.bake.template --work build/template
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ftim.data import load_frll, load_official_portraits, load_webmorph
from ftim.data.photo_set import PhotoFile
from ftim.detector import FaceDetector
from ftim.face import align
from ftim.morphable.model import MorphableModel
from ftim.morphable.open_head import load_open_head
from ftim.morphable.template import MEAN_SKIN_ALBEDO, TEMPLATE_PATH, TEMPLATE_SIZE
from ftim.outputs import whole_file
from ftim.photo import read_photo
from ftim.regressors.landmarks import LandmarkRegressor
from ftim.render.rasterizer import default_rasterizer
from ftim.render.shading import SHADING_FLOOR
from ftim.skin import skin_mask
from ftim.structures import Camera, Face, Fit
from ftim.training.hair import without_hair
from ftim.uv import UvRenderer
from scripts.bake.template_fill import Texels, complete, texels
from scripts.bake.template_lips import CLOSED, lips_gap, without_mouth

FIT_TENSORS = ("identity", "expression", "rotation", "translation", "light")
"""Fields of ``Fit`` that are kept on disk."""


@dataclass(frozen=True)
class Settings:
    """Bake the template albedo."""

    work: Path
    """Folder for unwrapped photographs (about 500 MB); made when missing."""
    out: Path = TEMPLATE_PATH
    """The picture to write; a JSON file of the same name goes beside it."""
    rounds: int = 3
    """Light, mean, and again."""
    crop: int = 448
    """Side of the crops that are unwrapped; a multiple of 224."""
    limit: int | None = None
    """Only so many people, for a trial."""


@dataclass(frozen=True)
class Person:
    """Photographs of one person, fitted with one identity."""

    name: str
    photos: tuple[PhotoFile, ...]


def people(limit: int | None) -> list[Person]:
    """The training people of FRLL, all expressions and views, webmorph's portraits, the official ones for training."""
    by_person: dict[str, list[PhotoFile]] = {}
    for photo in load_frll().photos("train").photos:
        by_person.setdefault("frll-train/" + photo.name.split("_")[0], []).append(photo)
    for photos in (load_webmorph(), load_official_portraits("train")):
        for photo in photos.photos:
            by_person[f"{photos.name}/{photo.name}"] = [photo]
    return [Person(name, tuple(photos)) for name, photos in by_person.items()][:limit]


def sources(chosen: list[Person]) -> dict[str, dict[str, object]]:
    """Licence and people of each source."""
    sets = (load_frll().photos("train"), load_webmorph(), load_official_portraits("train"))
    return {
        photos.name: {
            "licence": photos.licence,
            "people": [
                person.name.removeprefix(f"{photos.name}/")
                for person in chosen
                if person.name.startswith(f"{photos.name}/")
            ],
        }
        for photos in sets
    }


class Unwrapper:
    """Photographs of a person -> faces at 224, fit, and unwrapped colour and confidence, kept on disk."""

    def __init__(self, model: MorphableModel, settings: Settings) -> None:
        self.settings = settings
        self.rasterizer = default_rasterizer()
        self.model = model
        self.uv = UvRenderer(model, self.rasterizer, TEMPLATE_SIZE)
        self.detector = FaceDetector()
        constant = torch.tensor(MEAN_SKIN_ALBEDO)[:, None, None].expand(3, TEMPLATE_SIZE, TEMPLATE_SIZE)
        self.regressor = LandmarkRegressor(model, self.rasterizer, constant)
        # Whatever changes the unwrapped colours must change the key.
        state = [model.template, model.uv, model.identity_basis, model.expression_basis]
        digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in state))
        digest.update(f"{settings.crop} 1".encode())
        self.key = digest.hexdigest()[:12]
        settings.work.mkdir(parents=True, exist_ok=True)

    def __call__(self, person: Person) -> Path:
        """The file with ``Unwrapped`` tensors of a person; made when missing."""
        path = self.settings.work / f"{person.name.replace('/', '-')}-{self.key}.pt"
        if path.exists():
            return path
        parts = []
        for photo in person.photos:
            pixels = read_photo(photo.path)
            parts.append(align(pixels, self.detector.detect(pixels)[0], size=self.settings.crop))
        large = Face.concatenate(parts)
        scale = self.settings.crop // 224
        small = Face(
            image=F.avg_pool2d(large.image, scale),
            valid=(F.avg_pool2d(large.valid, scale) > 0.99).float(),
            landmarks=large.landmarks / scale,
            blendshapes=large.blendshapes,
            crop_to_photo=large.crop_to_photo,
        )
        fit = self.regressor.fit_together(small)
        skin = skin_mask(small, fit, self.model, self.rasterizer)
        big = Fit(
            fit.identity, fit.expression, fit.rotation, fit.translation, fit.light,
            fit.camera.resized(self.settings.crop, self.settings.crop),
        )  # fmt: skip
        partial = self.uv(large.image, big, F.interpolate(skin, scale_factor=scale, mode="bilinear"))
        content = {
            "color": (partial.color * 255).round().byte(),
            "confidence": (partial.confidence * 255).round().byte(),
            "image": (small.image * 255).round().byte(),
            "skin": (skin * 255).round().byte(),
        }
        for name in FIT_TENSORS:
            content[name] = getattr(fit, name)
        content["focal"], content["principal"] = fit.camera.focal, fit.camera.principal
        with whole_file(path) as temporary:
            torch.save(content, temporary)
        return path


def samples(
    files: list[Path], uv: UvRenderer, regressor: LandmarkRegressor, atlas: Texels
) -> Iterator[tuple[Tensor, Tensor]]:
    """Albedo (3, T, T) and weight (1, T, T) of the skin of each photograph, under the regressor's template."""
    for file in tqdm(files, desc="light", unit="person"):
        content = torch.load(file, weights_only=True)
        count = len(content["color"])
        camera = Camera(content["focal"], content["principal"], 224, 224)
        identity, expression, rotation, translation, light = (content[name] for name in FIT_TENSORS)
        fit = Fit(identity, expression, rotation, translation, light, camera)
        image = content["image"].float() / 255
        # The light asks for image and validity only.
        unused = [image.new_zeros(count, *shape) for shape in ((478, 2), (52,), (3,))]
        face = Face(image, torch.ones_like(image[:, :1]), *unused)
        fit = regressor.relight(face, fit, content["skin"].float() / 255)
        albedo = content["color"].float() / 255 / uv.shading(fit).clamp_min(SHADING_FLOOR)
        gap = lips_gap(uv.model, identity, expression)
        for index in range(count):
            # All photographs of a person together count as one.
            weight = content["confidence"][index].float() / 255 / count
            weight = without_hair(albedo[index], weight, atlas.regions, atlas.place)
            yield albedo[index], weight if gap[index] < CLOSED else without_mouth(weight, atlas)


def robust_mean(albedo: Tensor, weight: Tensor) -> Tensor:
    """(N, 3, P) samples and (N, 1, P) weights -> (3, P): Tukey's biweight about the weighted median."""
    order = albedo.argsort(0)
    ordered = albedo.gather(0, order)
    total = weight.expand_as(albedo).gather(0, order).cumsum(0)
    middle = (total < 0.5 * total[-1:]).sum(0, keepdim=True).clamp_max(len(albedo) - 1)
    median = ordered.gather(0, middle)
    deviation = (albedo - median).abs()
    spread = ((deviation * weight).sum(0) / weight.sum(0).clamp_min(1e-6)).clamp_min(0.03)
    robust = (1 - (deviation / (4 * spread)).square()).clamp_min(0).square().amin(1, keepdim=True) * weight
    return (albedo * robust).sum(0) / robust.sum(0).clamp_min(1e-6)


def average(files: list[Path], uv: UvRenderer, regressor: LandmarkRegressor, atlas: Texels) -> tuple[Tensor, Tensor]:
    """(3, T, T) robust mean with the mirror image, symmetric, and (1, T, T) summed weight in people; of skin alone."""
    half = TEMPLATE_SIZE // 2
    albedos, weights = [], []
    for albedo, weight in samples(files, uv, regressor, atlas):
        for one, certainty in ((albedo, weight), (albedo.flip(-1), weight.flip(-1))):
            albedos.append(one[..., :half].flatten(1).clamp(0, 2).half())
            weights.append(certainty[..., :half].flatten(1).half())
    total = torch.zeros(1, TEMPLATE_SIZE * half)
    for weight in weights:
        total += weight.float() / 2
    mean = torch.zeros(3, TEMPLATE_SIZE * half)
    seen = torch.nonzero(total[0])[:, 0]
    for chunk in tqdm(seen.split(2048), desc="mean", unit="part"):
        albedo = torch.stack([a[:, chunk] for a in albedos]).float()
        weight = torch.stack([w[:, chunk] for w in weights]).float()
        mean[:, chunk] = robust_mean(albedo, weight)
    left, certain = (half_map.view(-1, TEMPLATE_SIZE, half) for half_map in (mean, total))
    return torch.cat([left, left.flip(-1)], -1), torch.cat([certain, certain.flip(-1)], -1)


def save(albedo: Tensor, path: Path, record: dict[str, object]) -> None:
    """Write picture and record through temporary names."""
    pixels = (albedo * 255).round().byte().permute(1, 2, 0).numpy()
    with whole_file(path) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG", optimize=True)
    with whole_file(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


@torch.no_grad()
def main(settings: Settings) -> None:
    """Unwrap everybody, average in rounds, write the picture and its record."""
    chosen = people(settings.limit)
    model = load_open_head()
    unwrapper = Unwrapper(model, settings)
    files = [unwrapper(person) for person in tqdm(chosen, desc="unwrap", unit="person")]
    atlas = texels(model, unwrapper.uv)
    regressor = unwrapper.regressor
    albedo = torch.empty(0)
    for number in range(settings.rounds):
        mean, weight = average(files, unwrapper.uv, regressor, atlas)
        torch.save((mean, weight), settings.work / "mean.pt")
        albedo = complete(mean, weight, atlas)
        regressor = LandmarkRegressor(model, unwrapper.rasterizer, albedo)
        save(albedo, settings.work / f"round-{number + 1}.png", {})
    record: dict[str, object] = {
        "mean_skin_albedo": MEAN_SKIN_ALBEDO,
        "model": {"name": model.name, "version": model.version},
        "rounds": settings.rounds,
        "sources": sources(chosen),
        "photographs": sum(len(person.photos) for person in chosen),
    }
    save(albedo, settings.out, record)
    print(f"wrote {settings.out}")


if __name__ == "__main__":
    main(tyro.cli(Settings))
