"""A linear model of facial albedo on the open head: mean and principal components (Blanz and Vetter 1999)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import save_file
from torch import Tensor

from ftim.network_files import NetworkFileKind, read_network
from ftim.outputs import whole_file
from ftim.structures import Batched

BASIS_PATH = Path(__file__).parent / "data" / "albedo_basis.safetensors"
BASIS_VERSION = 1
KIND = NetworkFileKind(
    "an albedo basis", BASIS_VERSION, "this code",
    "Take it from the repository again, or make it: python -m scripts.bake.albedo_basis",
)  # fmt: skip
SIDE = 256
"""Texels of the map that all baselines work at: that of FTIM's network."""


@dataclass(frozen=True)
class AlbedoBasis(Batched):
    """albedo = mean + sum over k of c_k component_k, on the texels that the face is drawn with; the mean elsewhere."""

    mean: Tensor
    """(3, T, T) sRGB; complete."""
    components: Tensor
    """(K, 3, N) sRGB a standard deviation of the training people, strongest first."""
    texel: Tensor
    """(N,) int64, row * T + column."""

    def albedo(self, coefficients: Tensor) -> Tensor:
        """(B, k) in units of sigma, k at most K: the first k components -> (B, 3, T, T)."""
        used = self.components[: coefficients.shape[1]].flatten(1)
        change = (coefficients @ used).unflatten(1, (3, -1))
        flat = self.mean.flatten(1).expand(len(coefficients), -1, -1)
        return flat.index_add(2, self.texel, change).unflatten(2, self.mean.shape[1:])

    def project(self, albedo: Tensor, count: int) -> Tensor:
        """(B, 3, T, T) complete -> (B, count): the coefficients of the nearest member (components are orthogonal)."""
        used = self.components[:count].flatten(1)
        change = (albedo - self.mean).flatten(2)[:, :, self.texel].flatten(1)
        return change @ used.T / used.square().sum(1)

    @classmethod
    def fit(cls, albedos: Tensor, mean: Tensor, texel: Tensor, count: int) -> Self:
        """Principal components of (M, 3, N) albedos at ``texel``; ``mean`` (3, T, T) serves outside them."""
        centre = albedos.mean(0)
        deviation = (albedos - centre).flatten(1)
        values, vectors = torch.linalg.eigh((deviation @ deviation.T).double())
        order = values.argsort(descending=True)[:count]
        vectors = vectors[:, order].to(deviation)
        # With unit scores over the people, a component is one standard deviation.
        components = (vectors.T @ deviation) / len(albedos) ** 0.5
        flat = mean.flatten(1).clone()
        flat[:, texel] = centre
        return cls(flat.view_as(mean), components.unflatten(1, (3, -1)), texel)


def save_basis(basis: AlbedoBasis, about: dict[str, Any], path: Path = BASIS_PATH) -> None:
    """In half precision, through a temporary name; ``about`` is what the model card says of its making."""
    tensors = {
        "mean": basis.mean.to(torch.float16).contiguous(),
        "components": basis.components.to(torch.float16).contiguous(),
        "texel": basis.texel.to(torch.int32).contiguous(),
    }
    with whole_file(path) as temporary:
        # One entry only: safetensors writes several in an order that changes from run to run.
        save_file(tensors, str(temporary), metadata={"about": json.dumps({"version": BASIS_VERSION} | about)})


def load_basis(path: Path = BASIS_PATH, device: torch.device | str = "cpu") -> AlbedoBasis:
    """Raises ``ModelFileError`` when the file is missing, damaged or of another version."""
    file = read_network(path, KIND)
    with KIND.reading(path):
        mean, components, texel = (file.tensors[name] for name in ("mean", "components", "texel"))
    mean, components, texel = mean.float(), components.float(), texel.long()
    if mean.shape != (3, SIDE, SIDE) or components.shape[1:] != (3, len(texel)):
        raise file.wrong(f"is not an albedo basis of version {BASIS_VERSION}")
    if not bool(torch.isfinite(mean).all() and torch.isfinite(components).all()):
        raise file.wrong("holds values that are not finite")
    return AlbedoBasis(mean, components, texel).to(device)
