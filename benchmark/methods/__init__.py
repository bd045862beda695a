"""The compared methods: one small module each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable

from benchmark.methods.base import CompletionMethod, Drawing, Drawings, Method, Source, TextureMethod, note_of
from ftim.pipeline import Pipeline

__all__ = [
    "CompletionMethod", "Drawing", "Drawings", "Method", "Source", "TextureMethod", "build_method", "choose_methods",
    "method_names", "missing_files", "note_of",
]  # fmt: skip


def method_names() -> tuple[str, ...]:
    """The modules of this package that are methods, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base"))


def missing_files(name: str) -> tuple[str, ...]:
    """What a method needs and this machine lacks, as its module's ``missing()`` says; nothing without that function."""
    missing = getattr(importlib.import_module(f"{__name__}.{name}"), "missing", None)
    return tuple(missing()) if missing is not None else ()


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
    """The method of a module here."""
    method: Method = importlib.import_module(f"{__name__}.{name}").build(pipeline)
    if method.name != name:
        raise ValueError(f"benchmark/methods/{name}.py calls itself {method.name}")
    return method
