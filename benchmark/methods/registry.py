"""The compared methods by name: how each is built, and which files it needs. Nothing of a method is loaded before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmark.methods.base import CompletionMethod, Method, OwnHead, OwnHeadMethod, Source
from ftim.completion.weights import SHIPPED, weights_path
from ftim.errors import ModelFileError
from ftim.official import missing as missing_official
from ftim.pipeline import Pipeline


@dataclass(frozen=True)
class Entry:
    """One method of ``METHODS``."""

    build: Callable[[str, Pipeline], Method]
    """From the method's name and a pipeline, on its head and template."""
    missing: Callable[[str], list[str]] = lambda name: []
    """The files without which ``build`` raises an ``FtimError``, each in words."""


def completed(source: Source) -> Entry:
    """A completion of ``Pipeline.completion`` under the method's name."""
    return Entry(lambda name, pipeline: CompletionMethod(name, source, pipeline.completion(name), pipeline))


def retrained() -> Entry:
    """A method of ``benchmark/retrained``, with the weights that ship."""

    def build(name: str, pipeline: Pipeline) -> Method:
        from benchmark.retrained.method import BaselineMethod

        return BaselineMethod.load(name, pipeline)

    return Entry(build)


def official(method: Literal["deca", "deng"]) -> Entry:
    """A method with its authors' weights, from the licensed files in FTIM_OFFICIAL; see docs/official.md."""

    def build(name: str, pipeline: Pipeline) -> Method:
        head: OwnHead
        if method == "deca":
            from ftim.official.deca import Deca

            head = Deca.load(pipeline.rasterizer, device=pipeline.device)
        else:
            from ftim.official.deng import Deng

            head = Deng.load(pipeline.rasterizer, device=pipeline.device)
        return OwnHeadMethod(name, head)

    return Entry(build, lambda name: [str(file) for file in missing_official(method)])


def completed_once_shipped(source: Source) -> Entry:
    """As ``completed``, for a network whose weights need not ship yet."""

    def missing(name: str) -> list[str]:
        there = name in SHIPPED and weights_path(name).is_file()
        return [] if there else [f"ftim/completion/data/{name}.safetensors (ftim train --preset {name} makes them)"]

    def build(name: str, pipeline: Pipeline) -> Method:
        if files := missing(name):
            raise ModelFileError(f"{name} cannot be scored, it lacks {files[0]}")
        return completed(source).build(name, pipeline)

    return Entry(build, missing)


METHODS: dict[str, Entry] = {
    # Chen et al. 2020: linear albedo, and detail by a UV image-to-image network.
    "chen": retrained(),
    # Feng et al. 2021: linear albedo, and detail that turns normals; on the open head, and on FLAME.
    "deca": retrained(),
    "deca_official": official("deca"),
    # Deng et al. 2019: linear albedo of 80 coefficients; on the open head, and on the Basel Face Model.
    "deng": retrained(),
    "deng_official": official("deng"),
    # FTIM with all six losses.
    "ftim": completed("ours"),
    # Ablation: FTIM trained without L_sym and L_mrf (Table 2, second row).
    "ftim_no_sym_mrf": completed("retrained"),
    # As described: template input, parameters in the latent, light taken out by subtraction (Section 2.2).
    "ftim_paper": completed_once_shipped("retrained"),
    # Ablation: a simple image-to-image network in the place of FTIM, with all losses (Table 2, first row).
    "image_to_image": completed("retrained"),
    # The template albedo under the fitted light: everybody's skin is the same.
    "mean": completed("reference"),
    # What is unseen comes from the other half of the face.
    "mirror": completed("reference"),
    # What is unseen is inpainted from around it (Telea 2004).
    "telea": completed("reference"),
    # Tran et al. 2019: nonlinear decoders of albedo and shape.
    "tran": retrained(),
}


def method_names() -> tuple[str, ...]:
    """All, sorted."""
    return tuple(sorted(METHODS))


def missing_files(name: str) -> tuple[str, ...]:
    """What a method needs and this machine lacks."""
    return tuple(METHODS[name].missing(name))


def say_on_stderr(text: str) -> None:
    """One line."""
    print(text, file=sys.stderr)


def choose_methods(text: str, say: Callable[[str], None] = say_on_stderr) -> tuple[str, ...]:
    """``all``, ``none``, or names separated by commas -> names, each once.

    ``all`` leaves out methods that lack files, and ``say`` is told of each; a method that is named and lacks files
    raises its own error when it is built. Raises ``ValueError`` for a name that is none.
    """
    if text == "none":
        return ()
    if text == "all":
        missing = {name: missing_files(name) for name in method_names()}
        for name, files in missing.items():
            if files:
                more = f", and {len(files) - 1} more" if files[1:] else ""
                say(f"{name} is left out, it lacks {files[0]}{more}")
        return tuple(name for name, files in missing.items() if not files)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in method_names()]
    if unknown or not names:
        raise ValueError(
            f"there is no method {', '.join(unknown) or '(none given)'}; there are {', '.join(method_names())}"
        )
    return names


def build_method(name: str, pipeline: Pipeline) -> Method:
    """The method of a name."""
    return METHODS[name].build(name, pipeline)
