"""The compared methods: one small module each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil

from benchmark.methods.base import CompletionMethod, Method, Source, TextureMethod
from ftim.pipeline import Pipeline

__all__ = ["CompletionMethod", "Method", "Source", "TextureMethod", "build_method", "choose_methods", "method_names"]


def method_names() -> tuple[str, ...]:
    """The modules of this package that are methods, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base"))


def choose_methods(text: str) -> tuple[str, ...]:
    """``all`` or names separated by commas -> names, each once. Raises ``ValueError`` for a name that is none."""
    if text == "all":
        return method_names()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in method_names()]
    if unknown or not names:
        raise ValueError(
            f"there is no method {', '.join(unknown) or '(none given)'}; there are {', '.join(method_names())}"
        )
    return names


def build_method(name: str, pipeline: Pipeline) -> Method:
    """The method of a module here."""
    method: Method = importlib.import_module(f"{__name__}.{name}").build(pipeline)
    if method.name != name:
        raise ValueError(f"benchmark/methods/{name}.py calls itself {method.name}")
    return method
