"""Deng et al. 2019, retrained on the open head: linear albedo of 80 coefficients."""

from __future__ import annotations

from benchmark.baselines.method import BaselineMethod
from benchmark.methods.base import Method
from ftim.pipeline import Pipeline


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head, with the weights that ship."""
    return BaselineMethod.load("deng", pipeline)
