"""``python -m ftim.training.tone_command``: the tone network anew."""

from __future__ import annotations

import tyro
from safetensors.torch import load_file

from ftim.completion.fill import region_atlas
from ftim.data.rendered.albedos import SIDE
from ftim.morphable import Region, load_open_head
from ftim.pipeline import Pipeline
from ftim.render.rasterizer import default_rasterizer
from ftim.training.tone import ToneConfig, frll_tones, real_lessons, rendered_lessons, train_tone
from ftim.uv import UvRenderer

COPIES = 7
"""Of each portrait, under other exposures."""


def main(config: ToneConfig) -> None:
    """Lessons, and the run."""
    head, rasterizer = load_open_head(), default_rasterizer()
    rendered = rendered_lessons(config.rendered, UvRenderer(head, rasterizer, 256))
    real = None
    if config.cache is not None and config.bank is not None:
        large = UvRenderer(head, rasterizer, SIDE)
        face = region_atlas(head, large.atlas) == int(Region.FACE)
        pipeline = Pipeline.build(device="cpu", texture_size=256)
        real = real_lessons(config.cache, pipeline, frll_tones(load_file(config.bank), face), COPIES, config.seed)
    train_tone(config, rendered, real)
    print(f"{config.output} is written")


if __name__ == "__main__":
    main(tyro.cli(ToneConfig, description=__doc__))
