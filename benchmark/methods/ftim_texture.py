"""Ours drawn from its texture alone, also in the photograph's own view: what S29 of docs/paper.md brings."""

from __future__ import annotations

from benchmark.methods.base import CompletionMethod, Method
from ftim.pipeline import Pipeline


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head and template."""
    return CompletionMethod("ftim_texture", "retrained", pipeline.completion("ftim"), pipeline)
