"""An overlay leaves alone what the completion does not take for skin."""

from __future__ import annotations

from dataclasses import replace

import torch

from ftim.structures import Texture
from tests.small_school import example, pipeline


def a_texture(skin: torch.Tensor | None) -> Texture:
    green = torch.zeros(1, 3, pipeline().uv.size, pipeline().uv.size)
    green[:, 1] = 1
    return Texture(green, green, torch.ones_like(green), skin)


def test_no_skin_is_not_covered_and_all_skin_is_as_without_a_word() -> None:
    view, side = example()[1], pipeline().uv.size
    plain = pipeline().draw(a_texture(None), view, "skin")
    all_of_it = pipeline().draw(a_texture(torch.ones(1, 1, side, side)), view, "skin")
    none = pipeline().draw(a_texture(torch.zeros(1, 1, side, side)), view, "skin")
    assert torch.equal(all_of_it.overlay, plain.overlay) and float(plain.mask.mean()) > 0.1
    assert not (none.mask > 0.5).any() and torch.allclose(none.overlay, view.photo, atol=1e-6)


def test_half_of_the_map_is_half_of_the_face() -> None:
    view, side = example()[1], pipeline().uv.size
    skin = torch.ones(1, 1, side, side)
    skin[..., : side // 2] = 0
    drawn = pipeline().draw(a_texture(skin), view, "skin").mask[0, 0] > 0.5
    columns = torch.nonzero(drawn.any(0))[:, 0]
    whole = torch.nonzero((pipeline().draw(a_texture(None), view, "skin").mask[0, 0] > 0.5).any(0))[:, 0]
    middle = int(whole.float().mean().round())
    assert abs(int(columns.min()) - middle) <= 6 and int(columns.max()) == int(whole.max())
    full = pipeline().draw(a_texture(skin), view, "full")
    assert (full.mask[0, 0] > 0.5)[:, : middle - 8].any(), "the whole face is drawn where that is wished"


def test_a_batch_is_as_its_pictures() -> None:
    view, side = replace(example(), head=None), pipeline().uv.size
    skin = torch.ones(3, 1, side, side)
    skin[0, :, :, side // 2 :] = 0.2
    colours = a_texture(None).texture.expand(3, -1, -1, -1)
    texture = Texture(colours, colours, torch.ones_like(colours), skin)
    together = pipeline().draw(texture, view, "skin").mask
    for index in range(3):
        alone = pipeline().draw(texture[index], view[index], "skin").mask
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=0)
