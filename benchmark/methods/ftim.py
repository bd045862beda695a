"""Ours: FTIM with all six losses."""

from __future__ import annotations

from benchmark.methods.base import CompletionMethod, Method
from ftim.pipeline import Pipeline


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head and template."""
    return CompletionMethod("ftim", "ours", pipeline.completion("ftim"), pipeline)
