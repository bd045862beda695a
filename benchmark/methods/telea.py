"""What is unseen is inpainted from around it (Telea 2004)."""

from __future__ import annotations

from benchmark.methods.base import CompletionMethod, Method
from ftim.pipeline import Pipeline


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head and template."""
    return CompletionMethod("telea", "reference", pipeline.completion("telea"), pipeline)
