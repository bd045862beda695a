"""Rendered heads as lessons: which ones a step learns from, and what it learns of them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from ftim.completion.base import Completion
from ftim.completion.fill import bare_skin
from ftim.data.rendered.examples import Truth
from ftim.errors import DatasetError
from ftim.losses.truth import TruthTerms, TruthWeights, truth_loss
from ftim.metrics.lpips import load_lpips
from ftim.morphable.model import MorphableModel
from ftim.structures import View
from ftim.training.cache import StoredExample
from ftim.training.examples import mirror_view
from ftim.uv import UvRenderer

PREFIX = "truth_"
"""Of the names of a file's tensors that are the truth."""
LOOKED_AT = 2
"""Pictures of a step that LPIPS looks at."""


def rendered_files(folder: Path) -> list[Path]:
    """The heads of ``ftim data render``, in order. Raises ``DatasetError`` when there is none."""
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise DatasetError(f"{folder} holds no rendered heads. Make them first: ftim data render {folder}")
    return found


def pack_lesson(view: View, truth: Truth) -> dict[str, torch.Tensor]:
    """Tensors of a file; pictures as bytes."""
    known = {
        PREFIX + name: (value.clamp(0, 1) * 255).round().to(torch.uint8).cpu().contiguous()
        for name, value in vars(truth).items()
    }
    return StoredExample.pack(view).tensors | known


def read_lesson(path: Path, device: torch.device | str = "cpu") -> tuple[View, Truth]:
    """Of ``pack_lesson``. Raises ``DatasetError`` for a file that is none."""
    try:
        tensors = load_file(path)
        known = {name: tensors.pop(PREFIX + name) for name in Truth.__dataclass_fields__}
    except Exception as error:  # safetensors raises its own error, OSError or KeyError
        raise DatasetError(f"{path} cannot be read as a rendered head: {error}. Delete it and render again.") from error
    truth = Truth(**{name: value.to(device, torch.float32) / 255 for name, value in known.items()})
    return StoredExample(tensors, tensors["photo"].shape[-1]).unpack(device), truth


def things_before(path: Path) -> list[str]:
    """What a rendered head has before its face."""
    with safe_open(str(path), framework="pt") as file:
        return list(json.loads((file.metadata() or {}).get("things", "[]")))


class RenderedLessons:
    """Step number -> losses of some rendered heads."""

    def __init__(
        self, folder: Path, pictures: int, seed: int, uv_renderer: UvRenderer, weights: TruthWeights | None = None
    ) -> None:
        """``pictures`` is how many heads a step has."""
        self.files = rendered_files(folder)
        self.pictures, self.seed = pictures, seed
        self.model: MorphableModel = uv_renderer.model
        self.device = uv_renderer.model.template.device
        self.weights = weights or TruthWeights()
        self.where = bare_skin(uv_renderer)[None]
        self.network = load_lpips(device=self.device) if self.weights.perceptual else None

    def draw(self, step: int) -> tuple[View, Truth]:
        """Deterministic in the seed and the step."""
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + step + 500_009)
        chosen = torch.randint(len(self.files), (self.pictures,), generator=generator).tolist()
        parts = [read_lesson(self.files[index], self.device) for index in chosen]
        view = View.concatenate([part[0] for part in parts])
        truth = Truth.concatenate([part[1] for part in parts])
        if torch.rand((), generator=generator) < 0.5:
            view, truth = mirror_view(view, self.model), truth._map(lambda value: value.flip(-1))
        return view, truth

    def losses(self, step: int, completion: Completion) -> TruthTerms:
        """Gradients reach what the completion learns."""
        view, truth = self.draw(step)
        texture = completion(view.partial, view.fit)
        skin = texture.skin if texture.skin is not None else torch.ones_like(truth.bare)
        seen = view.partial.confidence * view.partial.visibility
        return truth_loss(
            texture.albedo, truth.albedo, skin, truth.bare, seen, self.where, self.weights, self.network, LOOKED_AT
        )
