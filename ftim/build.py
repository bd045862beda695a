"""Makes completions by name: the one place that knows which there are and what each needs."""

from __future__ import annotations

from torch import Tensor

from ftim.completion import Completion, MeanCompletion, MirrorCompletion, TeleaCompletion
from ftim.uv import UvRenderer

COMPLETIONS: tuple[str, ...] = ("mean", "mirror", "telea")
"""Names that ``build_completion`` knows."""


def build_completion(name: str, uv_renderer: UvRenderer, template: Tensor) -> Completion:
    """A completion for the renderer's model; template is the (3, T, T) albedo at the renderer's side.

    Raises ValueError for a name that is not in ``COMPLETIONS``.
    """
    if name == "mean":
        return MeanCompletion(uv_renderer, template)
    if name == "mirror":
        return MirrorCompletion(uv_renderer.model, uv_renderer, template)
    if name == "telea":
        return TeleaCompletion(uv_renderer.model, uv_renderer, template)
    raise ValueError(f"there is no completion {name!r}; choose one of {', '.join(COMPLETIONS)}")
