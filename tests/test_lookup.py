"""Looking up a texture: bicubic, in a map no finer than the picture can show."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.render.lookup import COARSE, halvings, look_up, sample_texture

SIDE = 64


def random_map(size: int = SIDE, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))


def pixels(count: int, span: float, size: int = SIDE) -> Tensor:
    """(2, count, count): places in a map of ``size``, ``span`` texels from pixel to pixel, around its middle."""
    line = 0.5 + (torch.arange(count) - (count - 1) / 2) * span / size
    v, u = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([u, v])


def everywhere(uv: Tensor) -> Tensor:
    return torch.ones(uv.shape[1:], dtype=torch.bool)


def keys(distance: Tensor) -> Tensor:
    """Weight of a texel, Keys 1981, eq. 8 with a = -0.75."""
    a, x = -0.75, distance.abs()
    near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * (x**3 - 5 * x**2 + 8 * x - 4)
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))


def test_texel_centres_give_the_texels() -> None:
    """Keys' kernel interpolates; the first row is on top, the first column on the left."""
    texture = random_map(8)
    line = (torch.arange(8) + 0.5) / 8
    v, u = torch.meshgrid(line, line, indexing="ij")
    assert torch.allclose(sample_texture(texture, torch.stack([u, v])[None]), texture, atol=1e-5)


def test_between_texels_it_is_keys_kernel() -> None:
    texture, place = random_map(8), torch.tensor([3.3, 4.9])
    uv = (place / 8).view(1, 2, 1, 1)
    centre = torch.arange(8) + 0.5
    across, down = (keys(centre - position) for position in place)
    expected = torch.einsum("y,bcyx,x->bc", down, texture, across)
    assert torch.allclose(sample_texture(texture, uv)[..., 0, 0], expected, atol=1e-5)


def test_pictures_may_share_their_places() -> None:
    textures, uv = random_map(batch=2), pixels(12, 0.9)[None]
    both = sample_texture(textures, uv)
    assert torch.equal(both, torch.cat([sample_texture(textures[i : i + 1], uv) for i in range(2)]))


@pytest.mark.parametrize(
    ("share", "levels"), [(0.1, 0), (0.5, 0), (0.99, 0), (1.01, 1), (1.99, 1), (2.01, 2), (4.01, 3), (7.99, 3)]
)
def test_halved_until_a_pixel_spans_fewer_than_coarse_texels(share: float, levels: int) -> None:
    uv = pixels(4, share * COARSE)
    assert halvings(uv, everywhere(uv), SIDE) == levels
    assert halvings(uv.flip(1), everywhere(uv), SIDE) == levels, "a mirror image covers as much"


def test_span_is_the_root_of_the_area() -> None:
    """Narrow pixels of 1 x 15 texels span less than four, however they lie: one halving."""
    line = torch.arange(4.0)
    v, u = torch.meshgrid(line, 15 * line, indexing="ij")
    narrow = torch.stack([u, v]) / SIDE
    turned = torch.stack([u - v, u + v]) / 2**0.5 / SIDE
    for uv in (narrow, narrow.flip(0), turned):
        assert halvings(uv, everywhere(uv), SIDE) == 1


def test_covered_pixels_alone_decide() -> None:
    fine, coarse = pixels(8, 0.5), pixels(8, 2.5 * COARSE)
    uv, covered = torch.cat([fine, coarse], 2), torch.zeros(8, 16, dtype=torch.bool)
    assert halvings(uv, covered, SIDE) == 0, "nothing is drawn"
    covered[:, :8] = True
    assert halvings(uv, covered, SIDE) == 0
    assert halvings(uv, ~covered, SIDE) == 2


def test_a_map_is_halved_only_as_often_as_it_can_be() -> None:
    uv = pixels(3, 10 * COARSE, size=36)
    assert halvings(uv, everywhere(uv), 36) == 2
    assert halvings(uv, everywhere(uv), 35) == 0


@pytest.mark.parametrize(("span", "levels"), [(1.0, 0), (1.5 * COARSE, 1), (3 * COARSE, 2)])
def test_lookup_is_bicubic_in_the_halved_map(span: float, levels: int) -> None:
    texture, uv = random_map(), pixels(7, span)[None]
    expected = sample_texture(F.avg_pool2d(texture, 2**levels), uv)
    assert torch.equal(look_up(texture, uv, everywhere(uv[0])[None]), expected)


def test_halving_keeps_the_place() -> None:
    """A slope comes back from every level to a twentieth of its texels: halved maps are not shifted by half a one.

    The kernel keeps slopes exactly with a = -0.5 alone.
    """
    texture = (torch.arange(SIDE) + 0.5).expand(1, 1, SIDE, SIDE).contiguous()
    for span, texel in ((0.7, 1), (1.5 * COARSE, 2), (2.5 * COARSE, 4)):
        uv = pixels(7, span)
        found = look_up(texture, uv[None], everywhere(uv)[None])[0, 0]
        assert torch.allclose(found, uv[0] * SIDE, rtol=0, atol=texel / 20)


def test_fine_noise_does_not_flicker_in_a_small_picture() -> None:
    """The picture of a noisy map shows means: a fraction of the spread that single texels have."""
    texture, uv = random_map(256), pixels(24, 2.5 * COARSE, 256)[None]
    halved, plain = look_up(texture, uv, everywhere(uv[0])[None]), sample_texture(texture, uv)
    assert float(halved.std()) < 0.4 * float(plain.std())


def test_pictures_of_different_levels_are_those_of_each_alone() -> None:
    textures = random_map(batch=3)
    uv = torch.stack([pixels(8, span * COARSE) for span in (0.5, 1.5, 2.5)])
    covered = everywhere(uv[0]).expand(3, -1, -1)
    assert [halvings(uv[i], covered[i], SIDE) for i in range(3)] == [0, 1, 2]
    together = look_up(textures, uv, covered)
    for index in range(3):
        one = slice(index, index + 1)
        assert torch.equal(together[one], look_up(textures[one], uv[one], covered[one]))


def test_gradient_reaches_every_texel_under_a_pixel() -> None:
    texture, uv = random_map().requires_grad_(), pixels(8, 2.5 * COARSE)[None]
    look_up(texture, uv, everywhere(uv[0])[None]).sum().backward()
    assert texture.grad is not None
    inner = slice(SIDE // 2 - 24, SIDE // 2 + 24)
    assert bool((texture.grad[..., inner, inner] != 0).all())
