"""Chen et al. 2020, retrained on the open head: linear albedo, and detail by a UV image-to-image network."""

from __future__ import annotations

from benchmark.baselines.method import BaselineMethod
from benchmark.methods.base import Method
from ftim.pipeline import Pipeline


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head, with the weights that ship."""
    return BaselineMethod.load("chen", pipeline)
