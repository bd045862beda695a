"""One step of learning: complete three views, choose one albedo, draw it into all three, compare (paper, 2.1)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ftim.completion.base import Completion
from ftim.losses import LossNetworks, LossTerms, LossWeights, total_loss
from ftim.render.image import ImageRenderer
from ftim.training.hair import HairFinder
from ftim.training.sampling import Batch


def training_losses(
    batch: Batch,
    completion: Completion,
    image_renderer: ImageRenderer,
    template: Tensor,
    weights: LossWeights,
    networks: LossNetworks,
    one_sided_symmetry: bool = False,
    structure: float = 0.0,
    bfloat16: bool = False,
    hair: HairFinder | None = None,
) -> LossTerms:
    """The losses of a batch; gradients reach what the completion learns.

    One view's albedo is drawn under each view's own pose, expression, camera and light, where the photograph shows
    skin. Into its own photograph it is drawn with its residual light, which no other photograph has: otherwise gloss
    and cast shadow would have to stay in the albedo. Losses in texture space compare each completion with all that is
    known of its view, also when it was given less. What ``hair`` takes for hair counts in no loss, as if it had not
    been seen. With ``bfloat16`` the networks that the losses look through compute in it; sums stay in float32.
    """
    example = batch.example
    texture = completion(batch.partial, example.fit)
    # Not one lookup: PyTorch sums the gradients of one albedo drawn three times in an order that threads decide.
    parts = []
    for view, index in enumerate(batch.chosen.tolist()):
        own = texture.residual[view : view + 1] if view == index else 1
        parts.append(texture.albedo[index : index + 1] * own)
    chosen = torch.cat(parts)
    skin, known = example.skin, example.partial
    if hair is not None:
        shown = hair(example)
        drawn = image_renderer.draw_lit(shown.expand(-1, 3, -1, -1), example.fit, example.photo)
        skin = skin * drawn.image[:, :1]
        known = replace(known, visibility=known.visibility * (shown > 0.5), confidence=known.confidence * shown)
    rendering = image_renderer(chosen, example.fit, example.photo, skin)
    with torch.autocast(template.device.type, torch.bfloat16, enabled=bfloat16):
        return total_loss(
            example.photo,
            rendering,
            texture,
            known,
            template,
            weights,
            networks,
            one_sided_symmetry=one_sided_symmetry,
            structure=structure,
            perceptual=batch.perceptual,
        )
