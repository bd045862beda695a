"""Ablation: a simple image-to-image network in the place of FTIM, trained with all losses (Table 2, first row)."""

from __future__ import annotations

from benchmark.methods.base import CompletionMethod, Method
from ftim.pipeline import Pipeline


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head and template."""
    return CompletionMethod("image_to_image", "retrained", pipeline.completion("image_to_image"), pipeline)
