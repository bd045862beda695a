"""Fits and partial textures computed once: one checked file a case, read back to the same numbers.

Colours and masks are kept as bytes. A file names what made it (code, head, template, sizes) and the sha256 of its
content, so neither a stale nor a damaged one is ever learnt from.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from ftim.assets import sha256_of
from ftim.errors import CacheEntryError, FtimError
from ftim.morphable.open_head import OPEN_HEAD_PATH
from ftim.morphable.template import TEMPLATE_PATH
from ftim.outputs import whole_file
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.provenance import code_sha256
from ftim.structures import Camera, Face, Fit, PartialTexture, View
from ftim.training.cases import TrainingCase

EXAMPLE_CODE: tuple[str, ...] = (
    "decoding.py", "detector.py", "face.py", "filters.py", "landmarks.py", "morphable", "official", "photo.py",
    "regressors", "render", "rotation.py", "skin", "small_faces.py", "unwrap.py", "uv.py", "uv_settings.py",
)  # fmt: skip
"""The modules that turn photographs into fits and partial textures."""


@dataclass(frozen=True)
class StoredExample:
    """A ``View`` with its pictures as bytes: half a megabyte a photograph."""

    tensors: dict[str, Tensor]
    side: int

    @classmethod
    def pack(cls, example: View) -> StoredExample:
        """Colours and masks are rounded to 1 / 255."""
        fit, partial = example.fit, example.partial
        pictures = {
            "photo": example.photo,
            "valid": example.face.valid,
            "skin": example.skin,
            "color": partial.color,
            "visibility": partial.visibility,
            "confidence": partial.confidence,
        }
        numbers = {
            "identity": fit.identity,
            "expression": fit.expression,
            "rotation": fit.rotation,
            "translation": fit.translation,
            "light": fit.light,
            "focal": fit.camera.focal,
            "principal": fit.camera.principal,
            "landmarks": example.face.landmarks,
            "blendshapes": example.face.blendshapes,
            "crop_to_photo": example.face.crop_to_photo,
        }
        tensors = {name: (value.clamp(0, 1) * 255).round().to(torch.uint8) for name, value in pictures.items()}
        tensors |= {name: value.float() for name, value in numbers.items()}
        return cls({name: value.cpu().contiguous() for name, value in tensors.items()}, fit.camera.height)

    def unpack(self, device: torch.device | str = "cpu") -> View:
        """All pictures of the case in one batch."""
        values = {
            name: value.to(device, torch.float32) / 255 if value.dtype == torch.uint8 else value.to(device)
            for name, value in self.tensors.items()
        }
        camera = Camera(values["focal"], values["principal"], self.side, self.side)
        fit = Fit(
            identity=values["identity"],
            expression=values["expression"],
            rotation=values["rotation"],
            translation=values["translation"],
            light=values["light"],
            camera=camera,
        )
        partial = PartialTexture(values["color"], values["visibility"], values["confidence"])
        face = Face(
            image=values["photo"],
            valid=values["valid"],
            landmarks=values["landmarks"],
            blendshapes=values["blendshapes"],
            crop_to_photo=values["crop_to_photo"],
        )
        return View(face, fit, values["skin"], partial)


class ExampleCache:
    """A folder of cases, each as ``<name>.safetensors``, or ``<name>.skipped`` with the reason why it has no face."""

    def __init__(self, folder: Path, pipeline: Pipeline) -> None:
        """The pipeline's texture size is the one that training works at."""
        self.folder = folder
        self.pipeline = pipeline
        self.key = cache_key(pipeline)

    def prepare(self, cases: tuple[TrainingCase, ...], quiet: bool = False) -> dict[str, str]:
        """Compute what is missing or was made otherwise; the names of cases without a usable face, with the reason.

        May be interrupted and repeated: finished cases stay. Raises ``OutputError`` on a full disk.
        """
        skipped = {}
        for case in tqdm(cases, desc="fits and partial textures", unit="case", disable=quiet):
            path, refusal = self._path(case), self._path(case).with_suffix(".skipped")
            if refusal.is_file() and refusal.read_text(encoding="utf-8").startswith(self.key):
                skipped[case.name] = refusal.read_text(encoding="utf-8").removeprefix(self.key).strip()
            elif not path.is_file() or _made_by(path) != self.key:
                try:
                    self._write(path, StoredExample.pack(self._compute(case)))
                except FtimError as error:
                    if not case.may_fail(error):
                        raise
                    skipped[case.name] = str(error)
                    with whole_file(refusal) as temporary:
                        temporary.write_text(f"{self.key}\n{error}\n", encoding="utf-8")
        return skipped

    def read(self, case: TrainingCase) -> StoredExample:
        """Raises ``CacheEntryError`` when the file is damaged or of another version."""
        path = self._path(case)
        try:
            with safe_open(str(path), framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            about = json.loads(metadata["about"])
            key, expected, side = about["key"], about["sha256"], int(about["side"])
        except Exception as error:  # safetensors raises its own error, OSError, or KeyError for a strange header
            raise CacheEntryError(
                f"the cache entry {path} cannot be read: {error}. Delete it; it is then made again."
            ) from error
        if key != self.key:
            raise CacheEntryError(
                f"the cache entry {path} was made with other code, head or template. Delete it; it is then made again."
            )
        if _digest(tensors) != expected or side != tensors["photo"].shape[-1]:
            raise CacheEntryError(
                f"the cache entry {path} is damaged: its content differs from its sha256. Delete it; it is then "
                "made again."
            )
        return StoredExample(tensors, side)

    def _path(self, case: TrainingCase) -> Path:
        return self.folder / f"{case.name.replace('/', '_')}.safetensors"

    def _write(self, path: Path, stored: StoredExample) -> None:
        about = {"key": self.key, "sha256": _digest(stored.tensors), "side": stored.side}
        with whole_file(path) as temporary:
            save_file(stored.tensors, str(temporary), metadata={"about": json.dumps(about)})

    @torch.no_grad()
    def _compute(self, case: TrainingCase) -> View:
        face = Face.concatenate([self.pipeline.face(read_photo(photo.path)) for photo in case.photos])
        return self.pipeline.views(face, together=len(face) > 1)


def cache_key(pipeline: Pipeline) -> str:
    """sha256 of everything that an entry depends on besides the photographs."""
    about = {
        "code": code_sha256(EXAMPLE_CODE),
        "crop": pipeline.size,
        "texture": pipeline.uv.size,
        "head": sha256_of(OPEN_HEAD_PATH),
        "template": sha256_of(TEMPLATE_PATH),
        "regressor": pipeline.regressor.name,
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _made_by(path: Path) -> str | None:
    """The key of an entry; None when its header cannot be read."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return str(json.loads((file.metadata() or {})["about"])["key"])
    except Exception:  # noqa: BLE001 - whatever is wrong with it, the entry is made again
        return None


def _digest(tensors: dict[str, Tensor]) -> str:
    """sha256 over names, kinds, shapes and bytes."""
    total = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.contiguous().numpy().tobytes())
    return total.hexdigest()
