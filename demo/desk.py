"""What happens on an event: takes what Gradio gives, asks the studio, returns what Gradio shows."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from demo.sessions import Session, Sessions
from demo.studio import (
    Look,
    Studio,
    pack,
    read_upload,
    save_all,
    save_head,
    shown,
    thumbnail,
    wireframe,
)
from ftim import TEXTURE_SIZES
from ftim.errors import FtimError
from ftim.pipeline import STAGES
from ftim.quality import Quality, assess
from ftim.reconstruction import Reconstruction, to_uint8

STEPS = (*STAGES, "drawing the head", "writing the files")
MAPS = 5
DOWNLOADS = 5
LONGEST_VALUE = 40
"""Characters of a caller's wrong value that an error repeats."""
TEXTURES = ("texture.png", "albedo.png", "partial.png", "visibility.png")
MESH = ("head.obj", "head.mtl", "albedo.png")
KEEP = gr.skip()
"""Leaves a component as it is."""


class Desk:
    """One for all pages; each page has its session."""

    def __init__(self, studio: Studio, sessions: Sessions) -> None:
        self.studio = studio
        self.sessions = sessions

    def reconstruct(
        self, photo: str | None, size: int, yaw: float, azimuth: float, elevation: float, own_light: bool,
        expression: str, request: gr.Request, progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio's way
    ) -> Iterator[list[Any]]:  # fmt: skip
        """A new photograph, or another size: of the largest face."""
        view = Look(yaw, azimuth, elevation, expression, own_light)
        yield from self._make(photo, size, 0, view, request, progress, new=True)

    def choose(
        self, photo: str | None, size: int, yaw: float, azimuth: float, elevation: float, own_light: bool,
        expression: str, event: gr.SelectData, request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[list[Any]]:  # fmt: skip
        """Another face of the same photograph."""
        view = Look(yaw, azimuth, elevation, expression, own_light)
        yield from self._make(photo, size, int(event.index), view, request, progress, new=False)

    def look(
        self, yaw: float, azimuth: float, elevation: float, own_light: bool, expression: str, request: gr.Request
    ) -> Any:
        """The view, drawn anew."""
        session = self.sessions.get(str(request.session_hash))
        if session.result is None:
            return KEEP
        return self._draw(session, Look(yaw, azimuth, elevation, expression, own_light))

    def express(self, expression: str, request: gr.Request) -> Any:
        """The head with another expression."""
        session = self.sessions.get(str(request.session_hash))
        if session.result is None:
            return KEEP
        return str(save_head(session.result, expression, session.next_file("head", "glb")))

    def serve(
        self, photo: str | None, size: object, face: object, request: gr.Request
    ) -> tuple[str, str, str, dict[str, Any]]:
        """One call of the API, whose numbers may be any JSON values. Raises ``gradio.Error`` with a sentence."""
        session = self.sessions.get(str(request.session_hash))
        try:
            if photo is None:
                raise gr.Error("There is no photograph in this call.", print_exception=False)
            side, index = whole_number(size), whole_number(face)
            if side not in TEXTURE_SIZES:
                allowed = "256, 512 or 1024"
                raise gr.Error(f"texture_size is {allowed}, not {told(size)}.", print_exception=False)
            if index is None or index < 0:
                raise gr.Error(
                    f"face is a whole number from 0, the largest face, not {told(face)}.", print_exception=False
                )
            session.uploads.add(Path(photo))
            found = self.studio.face(read_upload(photo), side, index)
            result = self.studio.reconstruct(found, side, lambda stage: None)
        except FtimError as error:
            raise gr.Error(sentence(error), print_exception=False) from None
        folder = session.another_folder()
        quality = assess(result)
        everything = save_all(result, quality, folder)
        return str(folder / "overlay.png"), str(folder / "head.glb"), str(everything), {"quality": asdict(quality)}

    def leave(self, request: gr.Request) -> None:
        """The page was closed."""
        self.sessions.close(str(request.session_hash))

    def _make(
        self, photo: str | None, size: int, face: int, view: Look, request: gr.Request, progress: gr.Progress, new: bool
    ) -> Iterator[list[Any]]:
        session = self.sessions.get(str(request.session_hash))
        session.result = None
        if photo is None:
            yield empty("Choose a photograph to begin.")
            return
        session.uploads.add(Path(photo))

        def tell(stage: str) -> None:
            progress((STEPS.index(stage), len(STEPS)), desc=stage.capitalize())

        try:
            tell(STEPS[0])
            if new:
                session.faces = self.studio.faces(read_upload(photo), size)
            result = self.studio.reconstruct(session.faces[face], size, tell)
        except FtimError as error:
            yield empty(sentence(error), alert=True)
            return
        tell(STEPS[-2])
        folder = session.fresh_folder()
        session.result = result
        gallery = KEEP
        if new:
            paths = keep_pictures(folder, "face", [thumbnail(found) for found in session.faces])
            named = [(path, f"Face {number}") for number, path in enumerate(paths, 1)]
            gallery = gr.update(value=named, visible=len(named) > 1)
        pair = keep_pictures(folder, "shown", [np.asarray(shown(result.photo)), np.asarray(shown(result.overlay))])
        maps = keep_pictures(folder, "map", pictures(result))
        glb = save_head(result, view.expression, session.next_file("head", "glb"))
        waiting = [gr.update(interactive=False)] * DOWNLOADS
        first = [gallery, tuple(pair), self._draw(session, view), *maps, str(glb)]
        quality = assess(result)
        yield [note("The head is there. Writing its files …"), *first, findings(quality), *waiting]
        tell(STEPS[-1])
        everything = save_all(result, quality, folder)
        files = (
            everything,
            folder / "head.glb",
            pack(folder, "head-obj.zip", MESH),
            pack(folder, "textures.zip", TEXTURES),
            folder / "params.json",
        )
        ready = [gr.update(value=str(path), interactive=True) for path in files]
        yield [note("Done. The files are below."), *[KEEP] * (3 + MAPS + 2), *ready]

    def _draw(self, session: Session, view: Look) -> str:
        assert session.result is not None
        path = session.next_file("view", "webp")
        Image.fromarray(self.studio.view(session.result, view)).save(path, quality=90)
        return str(path)


def whole_number(value: object) -> int | None:
    """Of a JSON value; None for any other."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value)


def told(value: object) -> str:
    """A wrong value as a short text."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} …"


def sentence(error: Exception) -> str:
    """An error's text as a sentence."""
    text = str(error).strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def note(text: str, alert: bool = False) -> str:
    """What the page says; an alert is read aloud at once."""
    kind = "alert" if alert else "status"
    return f'<p class="ftim-note ftim-{kind}" role="{kind}">{html.escape(text)}</p>'


def empty(text: str, alert: bool = False) -> list[Any]:
    """Nothing to show but a sentence."""
    nothing: list[Any] = [None] * (2 + MAPS + 1)
    downloads = [gr.update(value=None, interactive=False)] * DOWNLOADS
    return [note(text, alert), gr.update(value=None, visible=False), *nothing, "", *downloads]


def pictures(result: Reconstruction) -> list[np.ndarray]:
    """For the tabs, in their order."""
    texture, partial = result.texture, result.partial
    confidence = to_uint8(partial.confidence.expand(-1, 3, -1, -1))
    return [to_uint8(texture.texture), to_uint8(texture.albedo), to_uint8(partial.color), confidence, wireframe(result)]


def keep_pictures(folder: Path, name: str, pictures: list[np.ndarray]) -> list[str]:
    """Written as JPEG; their paths."""
    paths = [str(folder / f"{name}-{number}.jpg") for number in range(len(pictures))]
    for path, pixels in zip(paths, pictures, strict=True):
        Image.fromarray(pixels).save(path, quality=93)
    return paths


def findings(quality: Quality) -> str:
    """What was measured and what to be careful with, as a list."""
    warnings = [f"<li class='ftim-warning'>{html.escape(warning.text)}</li>" for warning in quality.warnings]
    items = [*warnings, *(f"<li>{html.escape(text)}</li>" for text in quality.sentences())]
    return f"<ul class='ftim-findings'>{''.join(items)}</ul>"
