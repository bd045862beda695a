"""The photograph's own view: what was seen is drawn as it was seen, whatever a completion gave up."""

from __future__ import annotations

import torch

from ftim.completion.own_view import OwnView
from ftim.structures import PartialTexture, Texture
from tests.tiny_training import SIDE, masks, renderer, triplet


def texture_of(value: float) -> Texture:
    picture = torch.full((1, 3, SIDE, SIDE), value)
    return Texture(picture, picture)


def partial_of(visibility: torch.Tensor) -> PartialTexture:
    color = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * visibility
    return PartialTexture(color, visibility, 0.1 * visibility)


def test_seen_skin_shows_as_photographed_however_doubtful() -> None:
    own = OwnView(renderer())
    partial = partial_of(torch.ones(1, 1, SIDE, SIDE))
    shown = own(texture_of(0.5), partial)
    inside = renderer().atlas.image(torch.ones(1, len(renderer().atlas.texel), 1))[0, 0] > 0
    torch.testing.assert_close(shown[:, :, inside], partial.color[:, :, inside], rtol=0, atol=1e-5)


def test_what_was_not_seen_is_the_completion() -> None:
    own = OwnView(renderer())
    texture = texture_of(0.5)
    assert torch.equal(own(texture, partial_of(torch.zeros(1, 1, SIDE, SIDE))), texture.texture)
    half = torch.zeros(1, 1, SIDE, SIDE)
    half[..., : SIDE // 2] = 1
    assert torch.equal(own(texture, partial_of(half))[..., SIDE // 2 :], texture.texture[..., SIDE // 2 :])


def test_nothing_is_mixed_in_beyond_the_two(  # a real mask of visibility, turned by each yaw
) -> None:
    own = OwnView(renderer())
    for index in range(0, len(masks()), 7):
        partial = partial_of(masks().visibility[index : index + 1])
        shown, low = own(texture_of(0.5), partial), torch.minimum(partial.color, torch.tensor(0.5))
        high = torch.maximum(partial.color, torch.tensor(0.5))
        assert bool(((shown >= low - 1e-5) & (shown <= high + 1e-5)).all())


def test_the_mirrored_head_has_the_mirrored_view() -> None:
    own = OwnView(renderer())
    partial = triplet().unpack().partial[0]
    flipped = PartialTexture(*(item.flip(-1) for item in (partial.color, partial.visibility, partial.confidence)))
    texture = texture_of(0.3)
    torch.testing.assert_close(own(texture, flipped), own(texture, partial).flip(-1), rtol=0, atol=1e-5)
