"""The page: what stands where, and which event calls what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from demo.components import as_sent, uploads_only
from demo.desk import Desk
from demo.presets import AS_PHOTOGRAPHED, PRESETS

TITLE = "ftim: a face texture and a 3D head from one photograph"
HEADER = """<header class="ftim-header">
<h1>ftim</h1>
<p>One photograph in; a complete face texture and a textured 3D head out.</p>
</header>"""
FOOTER = """<footer class="ftim-footer">
<p><strong>What you see is partly made up.</strong> Skin that the camera did not see is completed from the other half of
the face and from the faces of training. Do not identify anyone by it. Ask a person before you publish a head made
from their photograph.</p>
<p>Photographs stay on this machine, in a temporary folder that is removed when you close the page. Nothing is logged.
Examples are official portraits of members of the United States Congress, public domain.</p>
</footer>"""
EMPTY = "Choose a photograph: a face from the front or turned up to about 45 degrees works best."
SIZES = (256, 512, 1024)
TABS = (
    ("Complete", "complete", "The completed texture under the light of the photograph, as a UV map"),
    ("Albedo", "albedo", "The same without light: what the head's files hold"),
    ("Seen", "seen", "What the camera saw of the face, as a UV map"),
    ("Visibility", "visibility", "How sure each place of the map is: white was seen well, black was not seen"),
    ("Fit", "fit", "The edges of the fitted head over the photograph"),
)
"""Label, name, and the text for those who cannot see the picture."""


@dataclass(frozen=True)
class Knobs:
    """What a visitor turns."""

    yaw: gr.Slider
    azimuth: gr.Slider
    elevation: gr.Slider
    own_light: gr.Checkbox
    expression: gr.Dropdown

    def all(self) -> list[Any]:
        """In the order in which the desk takes them."""
        return [self.yaw, self.azimuth, self.elevation, self.own_light, self.expression]


@dataclass(frozen=True)
class Parts:
    """The components that events fill, in the order of ``outputs``."""

    status: gr.HTML
    faces: gr.Gallery
    slider: gr.ImageSlider
    view: gr.Image
    maps: tuple[gr.Image, ...]
    head: gr.Model3D
    findings: gr.HTML
    downloads: tuple[gr.DownloadButton, ...]

    def outputs(self) -> list[Any]:
        """All of them."""
        return [
            self.status, self.faces, self.slider, self.view, *self.maps, self.head, self.findings, *self.downloads,
        ]  # fmt: skip


DOWNLOADS = ("Everything (zip)", "Head (GLB)", "Head (OBJ, zip)", "Textures (zip)", "Parameters (JSON)")


def build_page(desk: Desk, examples: list[Path]) -> gr.Blocks:
    """The page of a desk; ``examples`` are photographs to try."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(300, 3600)) as page:
        gr.HTML(HEADER, padding=False)
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                photo = gr.Image(
                    label="Photograph", sources=["upload", "webcam"], type="filepath", height=340,
                    elem_id="photo", alt_text="The photograph that you chose", buttons=[],
                )  # fmt: skip
                uploads_only(photo)
                faces = gr.Gallery(
                    label="Several faces: choose one", columns=4, height=230, object_fit="contain", visible=False,
                    elem_id="faces", allow_preview=False, buttons=[],
                )  # fmt: skip
                size = gr.Radio(
                    list(SIZES), value=512, label="Texture side", elem_id="size",
                    info="Pixels. 1024 keeps more of a large photograph and takes longer.",
                )  # fmt: skip
                if examples:
                    gr.Examples(
                        [str(path) for path in examples], photo, label="Or try one of these", cache_examples=False,
                        api_visibility="private", elem_id="examples",
                    )  # fmt: skip
            with gr.Column(scale=3, min_width=320):
                status = gr.HTML(_note(EMPTY), elem_id="status", padding=False)
                slider = gr.ImageSlider(
                    label="Photograph and overlay", type="filepath", interactive=False, max_height=520,
                    elem_id="overlay", buttons=["fullscreen"], slider_position=50,
                )  # fmt: skip
                findings = gr.HTML(elem_id="findings", padding=False)
        gr.HTML('<h2 class="ftim-section">The head</h2>', padding=False)
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=320):
                head = gr.Model3D(
                    label="3D head: drag to turn", interactive=False, height=440,
                    elem_id="head", clear_color=(0.0, 0.0, 0.0, 0.0), camera_position=(90, 88, None),
                )  # fmt: skip
                expression = gr.Dropdown(list(PRESETS), value=AS_PHOTOGRAPHED, label="Expression", elem_id="expression")
            with gr.Column(scale=1, min_width=320):
                view = gr.Image(
                    label="Relit and turned", interactive=False, type="filepath", height=440, elem_id="view",
                    alt_text="The head, turned and lit as the sliders say", buttons=["download", "fullscreen"],
                )  # fmt: skip
                yaw = gr.Slider(-70, 70, 0, step=5, label="Turn (degrees)", elem_id="yaw", buttons=[])
                own_light = gr.Checkbox(True, label="Light of the photograph", elem_id="own-light")
                with gr.Row():
                    azimuth = gr.Slider(
                        -90, 90, 35, step=5, label="Light from the side", elem_id="azimuth", buttons=[], min_width=220
                    )
                    elevation = gr.Slider(
                        -60,
                        80,
                        25,
                        step=5,
                        label="Light from above",
                        elem_id="elevation",
                        buttons=[],
                        min_width=220,
                    )
        gr.HTML('<h2 class="ftim-section">The texture</h2>', padding=False)
        maps = []
        with gr.Tabs(elem_id="maps"):
            for label, name, text in TABS:
                with gr.Tab(label):
                    gr.HTML(f'<p class="ftim-caption">{text}.</p>', padding=False)
                    maps.append(
                        gr.Image(
                            show_label=False,
                            interactive=False,
                            type="filepath",
                            height=460,
                            elem_id=f"map-{name}",
                            alt_text=text,
                            buttons=["download", "fullscreen"],
                        )
                    )
        gr.HTML('<h2 class="ftim-section">Files</h2>', padding=False)
        with gr.Row(elem_id="files"):
            downloads = tuple(
                gr.DownloadButton(
                    label,
                    interactive=False,
                    variant="primary" if place == 0 else "secondary",
                    size="md",
                    min_width=150,
                    elem_id=f"download-{place}",
                )
                for place, label in enumerate(DOWNLOADS)
            )
        gr.HTML(FOOTER, padding=False)
        parts = Parts(status, faces, slider, view, tuple(maps), head, findings, downloads)
        _api(desk)  # first: names of what the page itself calls would else get in the way
        _wire(desk, parts, photo, size, Knobs(yaw, azimuth, elevation, own_light, expression))
        page.unload(desk.leave)
    return page


def _wire(desk: Desk, parts: Parts, photo: gr.Image, size: gr.Radio, knobs: Knobs) -> None:
    """Events of the page itself; callers of the API have their own."""
    made = parts.outputs()
    models: dict[str, Any] = {"api_visibility": "private", "concurrency_id": "models", "concurrency_limit": 1}
    latest: dict[str, Any] = models | {"trigger_mode": "always_last"}
    asked = [photo, size, *knobs.all()]
    for trigger in (photo.change, size.change):
        trigger(desk.reconstruct, asked, made, show_progress_on=parts.slider, **latest)
    parts.faces.select(desk.choose, asked, made, show_progress_on=parts.slider, **latest)
    for knob in knobs.all():
        knob.change(desk.look, knobs.all(), parts.view, show_progress="hidden", **latest)
    knobs.expression.change(desk.express, knobs.expression, parts.head, show_progress="hidden", **models)
    for knob in (knobs.azimuth, knobs.elevation):  # a light that is moved is one that is wanted
        knob.input(lambda: False, None, knobs.own_light, api_visibility="private", queue=False, show_progress="hidden")


def _api(desk: Desk) -> None:
    """``/reconstruct``, for ``gradio_client``: photograph, texture side, face in; overlay, GLB, zip, report out."""
    with gr.Column(visible=False):
        photo = uploads_only(gr.File(label="photo", file_types=["image"], type="filepath"))
        size = as_sent(gr.Number(512, label="texture_size", precision=0))
        face = as_sent(gr.Number(0, label="face", precision=0))
        overlay = gr.File(label="overlay")
        head = gr.File(label="head")
        everything = gr.File(label="everything")
        report = gr.JSON(label="report")
        gr.Button("Reconstruct").click(
            desk.serve, [photo, size, face], [overlay, head, everything, report], api_name="reconstruct",
            api_description="A head from a photograph. texture_size: 256, 512 or 1024; face: 0 is the largest.",
            concurrency_id="models", concurrency_limit=1,
        )  # fmt: skip


def _note(text: str) -> str:
    return f'<p class="ftim-note" role="status">{text}</p>'
