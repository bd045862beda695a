"""Colours, type and spacing of the page; fonts are the reader's own, so that nothing is fetched."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
FONT = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


def theme() -> gr.themes.Base:
    """Calm: warm greys and one terracotta."""
    made: gr.themes.Base = gr.themes.Base(
        primary_hue=gr.themes.Color(
            "#fdf5f1", "#f9e6dd", "#f2cbbb", "#e8a88f", "#dc8464", "#c96745", "#ab5134", "#8a412b", "#6f3625",
            "#5b2f22", "#311710",
        ),
        neutral_hue="stone",
        radius_size="lg",
        spacing_size="md",
        font=FONT,
        font_mono=MONO,
    ).set(
        body_background_fill="#faf9f7",
        body_background_fill_dark="#171513",
        block_background_fill="#ffffff",
        block_background_fill_dark="#201d1b",
        block_border_width="1px",
        block_border_color="#e7e4df",
        block_border_color_dark="#35302c",
        block_shadow="none",
        block_label_background_fill="rgba(255, 255, 255, 0.85)",
        block_label_background_fill_dark="rgba(32, 29, 27, 0.85)",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_text_color="#ffffff",
        slider_color="*primary_600",
        slider_color_dark="*primary_500",
        input_background_fill="#ffffff",
        input_background_fill_dark="#282421",
    )  # fmt: skip
    return made
