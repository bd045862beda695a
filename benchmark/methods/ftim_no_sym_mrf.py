"""Ablation: FTIM trained without L_sym and L_mrf (Table 2, second row)."""

from __future__ import annotations

from benchmark.methods.base import CompletionMethod, Method
from ftim.pipeline import Pipeline


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head and template."""
    return CompletionMethod("ftim_no_sym_mrf", "retrained", pipeline.completion("ftim_no_sym_mrf"), pipeline)
