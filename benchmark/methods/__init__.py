"""The compared methods, found by their names."""

from __future__ import annotations

from benchmark.methods.base import CompletionMethod, Drawing, Drawings, Method, Source, TextureMethod, note_of
from benchmark.methods.registry import build_method, choose_methods, method_names, missing_files, say_on_stderr

__all__ = [
    "CompletionMethod", "Drawing", "Drawings", "Method", "Source", "TextureMethod", "build_method", "choose_methods",
    "method_names", "missing_files", "note_of", "say_on_stderr",
]  # fmt: skip
