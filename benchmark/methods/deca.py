"""DECA (Feng et al. 2021), retrained on the open head: linear albedo, and detail that turns normals."""

from __future__ import annotations

from benchmark.baselines.method import BaselineMethod
from benchmark.methods.base import Method
from ftim.pipeline import Pipeline


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head, with the weights that ship."""
    return BaselineMethod.load("deca", pipeline)
