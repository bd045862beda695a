"""Eq. 1: the weighted sum of the six losses over the views of a triplet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ftim.losses.id_mrf import id_mrf_loss
from ftim.losses.identity import identity_loss
from ftim.losses.photometric import photometric_loss
from ftim.losses.regularisation import regularisation_loss
from ftim.losses.symmetry import one_sided, symmetry_loss
from ftim.losses.uv_albedo import uv_albedo_loss
from ftim.losses.vgg19 import Vgg19, load_vgg19
from ftim.losses.weights import LossWeights
from ftim.metrics.facenet import load_facenet
from ftim.structures import PartialTexture, Rendering, Texture

if TYPE_CHECKING:
    from facenet_pytorch import InceptionResnetV1

VIEWS = 3
"""Left, front and right: eq. 2 and 3 sum over them."""


@dataclass(frozen=True)
class LossNetworks:
    """What the identity and ID-MRF losses look through; None where the weight of the loss is 0."""

    facenet: InceptionResnetV1 | None
    vgg19: Vgg19 | None


@dataclass(frozen=True)
class LossTerms:
    """The losses before they are weighed, each a scalar; None = weight 0, not computed."""

    photometric: Tensor | None
    uv_albedo: Tensor | None
    identity: Tensor | None
    id_mrf: Tensor | None
    symmetry: Tensor | None
    regularisation: Tensor | None
    total: Tensor
    """Their weighted sum, the number to minimise."""


def load_loss_networks(weights: LossWeights, device: torch.device | str = "cpu") -> LossNetworks:
    """The networks that losses of these weights need. Raises ``AssetError`` or ``ModelFileError``."""
    return LossNetworks(
        facenet=load_facenet(device=device) if weights.identity else None,
        vgg19=load_vgg19(device=device) if weights.id_mrf else None,
    )


def total_loss(
    photo: Tensor,
    rendering: Rendering,
    texture: Texture,
    partial: PartialTexture,
    template: Tensor,
    weights: LossWeights,
    networks: LossNetworks,
    *,
    one_sided_symmetry: bool = False,
    structure: float = 0.0,
    perceptual: Tensor | None = None,
) -> LossTerms:
    """L = sum of lambda L over the six losses; each L the sum over a triplet's three views.

    B counts pictures: 3 for a triplet, 3 n for n of them, in any order. A loss is 3 times its mean over the pictures,
    so the sum over the views of a triplet and the mean over triplets; a batch of other sizes has the same scale.

    Args:
        photo: (B, 3, H, W) in [0, 1], what the views show.
        rendering: of the one chosen albedo into each view (B, at H x W); its mask is the face region.
        texture: (B, at T x T), each view's own completion.
        partial: (B, at T x T), what was seen; its ``visibility`` is U_proj of eq. 3, its ``confidence``
            weighs L_UV, so that doubtful texels need not be kept. When a view was completed from
            less than what was seen, give all that was seen, so that the rest is learnt.
        template: (3, T, T) albedo.
        weights: the lambdas.
        networks: of ``load_loss_networks``.
        perceptual: (P,) int64, the pictures that the identity and ID-MRF losses look at; all by default. Pictures
            drawn at random give the same expected value in less time.
        structure: the share of structural dissimilarity in the photometric loss (docs/decisions.md, S8).
        one_sided_symmetry: eq. 3 only over texels whose mirror image was not seen (docs/decisions.md, S10).

    Raises:
        ValueError: shapes that do not belong together, no picture, or a network missing.
    """
    if weights.identity and networks.facenet is None:
        raise ValueError("the identity loss has a weight but no network: load_loss_networks(weights)")
    if weights.id_mrf and networks.vgg19 is None:
        raise ValueError("the ID-MRF loss has a weight but no network: load_loss_networks(weights)")
    batches = (len(photo), len(rendering), len(texture), len(partial))
    if len(set(batches)) != 1 or not len(photo):
        raise ValueError(f"photo, rendering, texture and partial must be of one batch, got {batches} pictures")

    image, mask, visible = rendering.image, rendering.mask, partial.visibility
    looked_at = (image, photo, mask) if perceptual is None else (image[perceptual], photo[perceptual], mask[perceptual])
    photometric = uv_albedo = identity = id_mrf = symmetry = regularisation = None
    if weights.photometric:
        photometric = _over_views(photometric_loss(image, photo, mask, structure=structure))
    if weights.uv_albedo:
        uv_albedo = _over_views(uv_albedo_loss(texture.texture, partial.color, partial.confidence))
    if networks.facenet is not None and weights.identity:
        identity = _over_views(identity_loss(networks.facenet, *looked_at))
    if networks.vgg19 is not None and weights.id_mrf:
        id_mrf = _over_views(id_mrf_loss(networks.vgg19, *looked_at))
    if weights.symmetry:
        compared = one_sided(visible) if one_sided_symmetry else visible
        symmetry = _over_views(symmetry_loss(texture.albedo, compared))
    if weights.regularisation:
        regularisation = _over_views(regularisation_loss(texture.albedo, template, 1 - visible))
    pairs = (
        (weights.photometric, photometric),
        (weights.uv_albedo, uv_albedo),
        (weights.identity, identity),
        (weights.id_mrf, id_mrf),
        (weights.symmetry, symmetry),
        (weights.regularisation, regularisation),
    )
    total = torch.stack([weight * term for weight, term in pairs if term is not None]).sum()
    return LossTerms(photometric, uv_albedo, identity, id_mrf, symmetry, regularisation, total)


def _over_views(values: Tensor) -> Tensor:
    """(B,) values of pictures -> scalar: sum over the views of a triplet, mean over the triplets."""
    return VIEWS * values.mean()
