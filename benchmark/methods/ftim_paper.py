"""Huang et al. as described: template input, parameters in the latent, light taken out by subtraction (Section 2.2)."""

from __future__ import annotations

from benchmark.methods.base import CompletionMethod, Method
from ftim.completion.weights import SHIPPED, weights_path
from ftim.errors import ModelFileError
from ftim.pipeline import Pipeline

NAME = "ftim_paper"


def missing() -> list[str]:
    """Its weights, until they ship."""
    there = NAME in SHIPPED and weights_path(NAME).is_file()
    return [] if there else [f"ftim/completion/data/{NAME}.safetensors (ftim train --preset {NAME} makes them)"]


def build(pipeline: Pipeline) -> Method:
    """The method on the pipeline's head and template. Raises ``ModelFileError`` while its weights do not ship."""
    if files := missing():
        raise ModelFileError(f"{NAME} cannot be scored, it lacks {files[0]}")
    return CompletionMethod(NAME, "retrained", pipeline.completion(NAME), pipeline)
