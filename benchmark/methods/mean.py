"""The template albedo under the fitted light: everybody's skin is the same."""

from __future__ import annotations

from benchmark.methods.base import CompletionMethod, Method
from ftim.pipeline import Pipeline


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head and template."""
    return CompletionMethod("mean", "reference", pipeline.completion("mean"), pipeline)
