"""Tran et al. 2019, retrained on the open head: nonlinear decoders of albedo and shape."""

from __future__ import annotations

from benchmark.baselines.method import BaselineMethod
from benchmark.methods.base import Method
from ftim.pipeline import Pipeline


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head, with the weights that ship."""
    return BaselineMethod.load("tran", pipeline)
