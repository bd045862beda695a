"""A trained baseline as a compared method."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from benchmark.methods.base import Drawing, Drawings, Source
from benchmark.retrained.appearance import Appearance, HeadPainter, Inputs
from benchmark.retrained.basis import SIDE
from benchmark.retrained.model import Baseline
from benchmark.retrained.weights import baseline_path, load_baseline
from ftim.completion.bands import shrink_seen
from ftim.filters import shrink
from ftim.metrics.facenet import face_embedding, load_facenet
from ftim.pipeline import Pipeline
from ftim.structures import PartialTexture, Rendering, View
from ftim.uv import UvRenderer


class BaselineMethod:
    """Encodes the photograph, draws what the baseline makes of it on the shared fit."""

    source: Source = "retrained"
    draws: tuple[Drawing, ...] = ("albedo",)

    def __init__(self, model: Baseline, painter: HeadPainter, facenet: torch.nn.Module) -> None:
        """``model`` frozen, in evaluation mode."""
        self.name = model.name
        self.model = model
        self.painter = painter
        self.facenet = facenet

    @classmethod
    def load(cls, name: str, pipeline: Pipeline) -> BaselineMethod:
        """With the weights that ship, on the pipeline's device. Raises ``ModelFileError`` or ``AssetError``."""
        uv = pipeline.uv if pipeline.uv.size == SIDE else UvRenderer(pipeline.model, pipeline.rasterizer, SIDE)
        painter = HeadPainter(uv, pipeline.image)
        model = load_baseline(baseline_path(name), painter).model.to(pipeline.device)
        return cls(model, painter, load_facenet(device=pipeline.device))

    @torch.no_grad()
    def appearance(self, view: View) -> Appearance:
        """Of each picture of a batch; one by one, since maps of one picture fit into a CPU's cache."""
        embedding = face_embedding(self.facenet, view.photo)
        inputs = Inputs(replace(view, partial=at_side(view.partial, SIDE), head=None), embedding)
        return join([self.model(inputs[index]) for index in range(len(view))])

    @torch.no_grad()
    def reconstruct(self, view: View) -> Drawings:
        """The model's own albedo, drawn over hair and glasses as well, like all methods."""
        return Drawings(None, self.painter(self.appearance(view), view.fit, view.photo, view.face.valid))

    @torch.no_grad()
    def transfer(self, view: View, inputs: list[int], outputs: list[int]) -> Rendering:
        """Albedo, displacement and shape under pose and fitted light of the other photograph."""
        goal = view[outputs]
        return self.painter(self.appearance(view)[inputs], goal.fit, goal.photo, goal.face.valid, relit=False)


def at_side(partial: PartialTexture, side: int) -> PartialTexture:
    """The partial texture on maps of ``side`` texels; colours are means of what was seen."""
    scale = partial.color.shape[-1] // side
    if partial.color.shape[-1] != scale * side:
        raise ValueError(f"a texture of {partial.color.shape[-1]} cannot be shrunk to {side}")
    color, _ = shrink_seen(partial.color, partial.visibility, scale)
    return PartialTexture(color, shrink(partial.visibility, scale), shrink(partial.confidence, scale))


def join(parts: list[Appearance]) -> Appearance:
    """One batch from several."""

    def one(items: list[Tensor | None]) -> Tensor | None:
        present = [item for item in items if item is not None]
        return torch.cat(present) if present else None

    return Appearance(
        torch.cat([part.albedo for part in parts]),
        torch.cat([part.light for part in parts]),
        one([part.displacement for part in parts]),
        one([part.offsets for part in parts]),
    )
