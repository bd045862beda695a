"""What the baselines learn from: FTIM's training pictures, and what is computed of each once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from benchmark.retrained.appearance import Inputs
from benchmark.retrained.basis import BASIS_PATH, AlbedoBasis
from ftim.assets import sha256_of
from ftim.completion.weights import weights_path
from ftim.metrics.facenet import face_embedding
from ftim.outputs import whole_file
from ftim.pipeline import Pipeline
from ftim.structures import View
from ftim.training.cache import StoredExample, cache_key
from ftim.training.examples import mirror_view


@dataclass(frozen=True)
class WarmPictures:
    """Single training pictures and their mirror images, with the albedo that FTIM gives them."""

    stored: list[StoredExample]
    view: list[int]
    """Which picture of the stored case, one a picture."""
    coefficients: Tensor
    """(2, M, K): of the picture, and of its mirror image."""
    embedding: Tensor
    """(2, M, 512), likewise."""
    pipeline: Pipeline

    def draw(self, count: int, generator: torch.Generator) -> tuple[Inputs, Tensor]:
        """A random batch and its targets (count, K)."""
        picks = torch.randint(len(self.view), (count,), generator=generator).tolist()
        mirrored = int(torch.randint(2, (), generator=generator))
        example = View.concatenate([self.stored[index].unpack()[self.view[index]] for index in picks])
        if mirrored:
            example = mirror_view(example, self.pipeline.model)
        inputs = Inputs(example, self.embedding[mirrored][picks])
        return inputs, self.coefficients[mirrored][picks]


def warm_pictures(
    cases: list[StoredExample], pipeline: Pipeline, facenet: nn.Module, basis: AlbedoBasis, path: Path
) -> WarmPictures:
    """All pictures of the cases; completed and projected once, and kept in ``path``."""
    stored = [case for case in cases for _ in range(len(case.tensors["photo"]))]
    view = [index for case in cases for index in range(len(case.tensors["photo"]))]
    key = hashlib.sha256(
        "".join([sha256_of(BASIS_PATH), sha256_of(weights_path("ftim")), cache_key(pipeline), str(len(view))]).encode()
    ).hexdigest()
    if path.is_file():
        with safe_open(str(path), framework="pt") as file:
            if (file.metadata() or {}).get("key") == json.dumps(key):
                tensors = {name: file.get_tensor(name) for name in ("coefficients", "embedding")}
                return WarmPictures(stored, view, tensors["coefficients"], tensors["embedding"], pipeline)
    complete = pipeline.completion("ftim")
    coefficients: list[list[Tensor]] = [[], []]
    embeddings: list[list[Tensor]] = [[], []]
    for case, index in tqdm(list(zip(stored, view, strict=True)), desc="albedo and embedding", unit="picture"):
        example = case.unpack()[index]
        with torch.no_grad():
            albedo = complete(example.partial, example.fit).albedo.clamp(0, 1)
            pairs = [(albedo, example.photo), (albedo.flip(-1), example.photo.flip(-1))]
            for side, (texture, photo) in enumerate(pairs):
                coefficients[side].append(basis.project(texture, len(basis.components)))
                embeddings[side].append(face_embedding(facenet, photo))
    tensors = {
        "coefficients": torch.stack([torch.cat(side) for side in coefficients]),
        "embedding": torch.stack([torch.cat(side) for side in embeddings]),
    }
    with whole_file(path) as temporary:
        save_file(tensors, str(temporary), metadata={"key": json.dumps(key)})
    return WarmPictures(stored, view, tensors["coefficients"], tensors["embedding"], pipeline)
