"""What is unseen comes from the other half of the face."""

from __future__ import annotations

from benchmark.methods.base import CompletionMethod, Method
from ftim.pipeline import Pipeline


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head and template."""
    return CompletionMethod("mirror", "reference", pipeline.completion("mirror"), pipeline)
