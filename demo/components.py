"""Gradio components that leave it to ftim to say, in a sentence, what is wrong with a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.components import Component
from gradio.data_classes import GradioModel
from gradio_client.utils import is_http_url_like
from pydantic import ValidationError

AnyComponent = TypeVar("AnyComponent", bound=Component)


def uploads_only(component: AnyComponent) -> AnyComponent:
    """The component, which now refuses an address, where Gradio would fetch it, and what is no file at all, and hands
    on the very file that was sent, so that ftim reads it and says what is wrong with it.

    Methods of the one object are replaced: a subclass would make Gradio write a file beside the module.
    """
    keep = component.async_move_resource_to_block_cache

    async def move(url_or_file_path: str | Path | None) -> str | None:
        if url_or_file_path is not None and is_http_url_like(str(url_or_file_path)):
            raise gr.Error("Send the photograph itself; addresses are not fetched.", print_exception=False)
        return await keep(url_or_file_path)

    def path_of(payload: Any) -> str | None:
        return None if payload is None else str(payload.path)

    def validate(kind: type[GradioModel], value: Any, **settings: Any) -> GradioModel:
        try:
            return super(sent, kind).model_validate(value, **settings)
        except ValidationError:
            raise gr.Error("The photograph must be one uploaded file.", print_exception=False) from None

    model: Any = component.data_model
    sent: Any = type(model.__name__, (model,), {"model_validate": classmethod(validate), "__module__": __name__})
    component.data_model = sent
    component.async_move_resource_to_block_cache = move  # type: ignore[method-assign]
    component.preprocess = path_of  # type: ignore[method-assign]
    return component


def as_sent(component: AnyComponent) -> AnyComponent:
    """The component, which now hands on any value: a text in the place of a number is for ftim to refuse, because the
    caller is told nothing of Gradio's own errors."""

    def unchanged(payload: Any) -> Any:
        return payload

    component.preprocess = unchanged  # type: ignore[method-assign]
    return component
