"""Gradio components that take uploads and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.components import Component
from gradio_client.utils import is_http_url_like

AnyComponent = TypeVar("AnyComponent", bound=Component)


def uploads_only(component: AnyComponent) -> AnyComponent:
    """The component, which now refuses an address, where Gradio would fetch it, and hands on the very file that was
    sent, so that ftim reads it and says what is wrong with it.

    Methods of the one object are replaced: a subclass would make Gradio write a file beside the module.
    """
    keep = component.async_move_resource_to_block_cache

    async def move(url_or_file_path: str | Path | None) -> str | None:
        if url_or_file_path is not None and is_http_url_like(str(url_or_file_path)):
            raise gr.Error("Send the photograph itself; addresses are not fetched.", print_exception=False)
        return await keep(url_or_file_path)

    def path_of(payload: Any) -> str | None:
        return None if payload is None else str(payload.path)

    component.async_move_resource_to_block_cache = move  # type: ignore[method-assign]
    component.preprocess = path_of  # type: ignore[method-assign]
    return component
