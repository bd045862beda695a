"""Completions on a sphere whose albedo is known everywhere."""

from __future__ import annotations

import dataclasses
from functools import cache

import pytest
import torch
from torch import Tensor

from ftim.completion import Completion, MeanCompletion, MirrorCompletion, TeleaCompletion
from ftim.completion.fill import push_pull, region_atlas, region_groups, smooth_ratio
from ftim.filters import box_blur
from ftim.morphable.model import MorphableModel, Region
from ftim.render.rasterizer import default_rasterizer
from ftim.structures import Fit, PartialTexture
from ftim.uv import UvRenderer
from tests.synthetic_head import synthetic_fit, synthetic_head

SIZE = 128
TONE = torch.tensor([0.6, 0.5, 0.42])[:, None, None]
"""Of this person's skin relative to the template."""


@cache
def head() -> MorphableModel:
    """The sphere with two round eyes, left and right of the middle of the map, and a mouth."""
    model = synthetic_head()
    centre = model.uv[model.uv_triangles].mean(1)
    regions = model.regions.clone()
    for u, region in ((0.4, Region.EYES), (0.6, Region.EYES), (0.5, Region.TEETH)):
        v = 0.4 if region == Region.EYES else 0.65
        regions[(centre - torch.tensor([u, v])).norm(dim=1) < 0.06] = int(region)
    return dataclasses.replace(model, regions=regions)


@cache
def renderer() -> UvRenderer:
    return UvRenderer(head(), default_rasterizer(), SIZE)


@cache
def template() -> Tensor:
    """Skin that reddens downwards, light eyes and teeth; symmetric."""
    down = torch.linspace(0, 1, SIZE)[:, None].expand(SIZE, SIZE)
    skin = torch.stack([0.8 - 0.1 * down, 0.62 - 0.15 * down, 0.5 - 0.1 * down])
    groups = region_groups(region_atlas(head(), renderer().atlas))
    return torch.where(groups[1:].sum(0) > 0, 0.9, skin)


def fit(batch: int = 1) -> Fit:
    return synthetic_fit(head(), batch=batch)


def person() -> Tensor:
    """(3, T, T) albedo: the template darkened on skin only, with a dark mark on each cheek."""
    groups = region_groups(region_atlas(head(), renderer().atlas))
    albedo = torch.where(groups[0] > 0, template() * TONE, template())
    for column in (int(0.3 * SIZE), SIZE - int(0.3 * SIZE) - 6):
        albedo[:, 64:70, column : column + 6] = 0.1
    return albedo


def photograph(albedo: Tensor, visibility: Tensor, of: Fit) -> PartialTexture:
    """What is seen where visibility (T, T) is 1, in full confidence."""
    seen = (visibility[None, None] * (region_atlas(head(), renderer().atlas) >= 0)).expand(len(of), 1, -1, -1)
    return PartialTexture(albedo * renderer().shading(of) * seen, seen, seen)


def views() -> dict[str, Tensor]:
    """Visibilities (T, T)."""
    half = torch.zeros(SIZE, SIZE)
    half[:, : SIZE // 2] = 1
    speck = torch.zeros(SIZE, SIZE)
    speck[50, 60] = 1
    noise = (torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    none = torch.zeros(SIZE, SIZE)
    return {"none": none, "all": 1 - none, "half": half, "speck": speck, "noise": noise}


def methods() -> list[Completion]:
    return [
        MeanCompletion(renderer(), template()),
        MirrorCompletion(head(), renderer(), template()),
        TeleaCompletion(head(), renderer(), template()),
    ]


@pytest.mark.parametrize("view", ["none", "all", "half", "speck", "noise"])
@pytest.mark.parametrize("index", range(3))
def test_every_texel_is_filled_whatever_was_seen(index, view) -> None:
    method, of = methods()[index], fit(2)
    texture = method(photograph(person(), views()[view], of), of)
    assert texture.texture.shape == texture.albedo.shape == (2, 3, SIZE, SIZE)
    assert torch.isfinite(texture.albedo).all() and torch.isfinite(texture.texture).all()
    assert float(texture.albedo.min()) > 0.05 and float(texture.texture.min()) > 0.01
    assert torch.equal(texture.residual, torch.ones_like(texture.albedo)), "these know no light but the fit's"
    lit = texture.albedo * renderer().shading(of).clamp_min(0.05)
    unseen = (views()[view] == 0).expand_as(lit)
    assert torch.allclose(texture.texture[unseen], lit[unseen], atol=1e-6)


@pytest.mark.parametrize("index", [1, 2])
def test_seen_texels_survive(index) -> None:
    of = fit()
    view = views()["half"]
    texture = methods()[index](photograph(person(), view, of), of)
    charts = region_atlas(head(), renderer().atlas) >= 0
    error = (texture.albedo[0] - person()).abs().amax(0)
    seen = charts & (view > 0)
    assert float(error[:, : SIZE // 2 - 4][seen[:, : SIZE // 2 - 4]].max()) < 1e-3
    assert float(error[seen].mean()) < 2e-3


@pytest.mark.parametrize("index", [1, 2])
def test_filling_takes_the_tone_of_the_seen_skin_and_leaves_the_eyes_alone(index) -> None:
    of = fit()
    view = torch.zeros(SIZE, SIZE)
    view[56:88, 20:56] = 1  # one cheek, no eye
    albedo = methods()[index](photograph(person(), view, of), of).albedo[0]
    groups = region_groups(region_atlas(head(), renderer().atlas))
    truth = template() * TONE
    far = (groups[0] > 0) & (torch.arange(SIZE) > SIZE // 2 + 4)
    far[60:74] = False  # the marks
    assert float((albedo / truth - 1).abs().amax(0)[far].max()) < 0.05
    assert float((albedo - template()).abs().amax(0)[groups[1] > 0].max()) < 0.02


def test_mean_ignores_the_photograph() -> None:
    of = fit()
    mean = methods()[0]
    one = mean(photograph(person(), views()["all"], of), of)
    other = mean(photograph(torch.rand(3, SIZE, SIZE), views()["half"], of), of)
    assert torch.equal(one.texture, other.texture)
    assert torch.equal(one.albedo[0], template())


def test_mirror_takes_the_mark_from_the_other_side_and_telea_does_not() -> None:
    of = fit()
    partial = photograph(person(), views()["half"], of)
    column = SIZE - int(0.3 * SIZE) - 3
    mirrored, painted = (method(partial, of).albedo[0, :, 67, column] for method in methods()[1:])
    assert float((mirrored - 0.1).abs().max()) < 0.02
    assert float(painted.min()) > 0.15


def test_mirror_uses_the_seen_eye_for_the_other() -> None:
    of = fit()
    albedo = person()
    groups = region_groups(region_atlas(head(), renderer().atlas))
    albedo = torch.where(groups[1] > 0, 0.4, albedo)
    result = methods()[1](photograph(albedo, views()["half"], of), of).albedo[0]
    other = (groups[1] > 0) & (torch.arange(SIZE) > SIZE // 2)
    assert float((result - 0.4).abs().mean(0)[other].mean()) < 0.03


@pytest.mark.parametrize("index", [1, 2])
def test_there_is_no_seam(index) -> None:
    """Under a light that the fit does not explain (one cheek 30 % darker) the border is as smooth as skin."""
    of = fit()
    across = 1 - 0.3 * torch.linspace(0, 1, SIZE)
    plain = template() * TONE * across
    view = torch.zeros(SIZE, SIZE)
    view[:, : int(0.45 * SIZE)] = 1
    albedo = methods()[index](photograph(plain, view, of), of).albedo[0]
    skin = region_groups(region_atlas(head(), renderer().atlas))[0] > 0
    step = (albedo[:, :, 1:] - albedo[:, :, :-1]).abs().amax(0)
    border = int(0.45 * SIZE)
    inside = skin[:, border - 8 : border + 8].all(1)
    assert float(step[inside][:, border - 6 : border + 6].max()) < 0.012


def test_mirror_completion_commutes_with_the_mirror() -> None:
    """Under the same light; the light of a flipped photograph is flipped too."""
    of = fit()
    light = of.light.clone()
    light[:, 1:] = 0
    of = dataclasses.replace(of, light=light)
    method = methods()[1]
    partial = photograph(person(), views()["half"], of)
    flipped = PartialTexture(partial.color.flip(-1), partial.visibility.flip(-1), partial.confidence.flip(-1))
    difference = method(partial, of).albedo - method(flipped, of).albedo.flip(-1)
    assert float(difference.abs().mean()) < 1 / 255


@pytest.mark.parametrize("index", range(3))
def test_batch_gives_what_single_textures_give(index) -> None:
    of = fit(2)
    views_ = views()
    first, second = photograph(person(), views_["half"], of[0]), photograph(person(), views_["noise"], of[1])
    both = methods()[index](PartialTexture.concatenate([first, second]), of)
    assert torch.allclose(both.albedo[:1], methods()[index](first, of[0]).albedo, atol=1e-5)
    assert torch.allclose(both.albedo[1:], methods()[index](second, of[1]).albedo, atol=1e-5)


@pytest.mark.parametrize("index", range(3))
def test_wrong_size_is_refused(index) -> None:
    of = fit()
    zeros = torch.zeros(1, 1, 64, 64)
    with pytest.raises(ValueError, match="64"):
        methods()[index](PartialTexture(torch.zeros(1, 3, 64, 64), zeros, zeros), of)


def test_push_pull_keeps_what_is_known_and_continues_it() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    weights = torch.zeros(1, 1, 64, 64)
    weights[..., 20:30] = 1
    result = push_pull(ramp, weights)
    assert torch.allclose(result[..., 20:30], ramp[..., 20:30], atol=1e-6)
    assert float(result.min()) >= float(ramp[..., 20].min()) - 1e-3
    assert float(result.max()) <= float(ramp[..., 29].max()) + 1e-3
    assert torch.allclose(push_pull(torch.full((1, 1, 64, 64), 0.3), weights), torch.tensor(0.3), atol=1e-4)
    assert torch.allclose(push_pull(ramp, weights * 0, prior=0.7), torch.tensor(0.7))


@pytest.mark.parametrize(("shape", "radius", "passes"), [((16, 24), 1, 1), ((16, 24), 3, 2), ((3, 40), 5, 2)])
def test_box_blur_is_the_mean_of_what_exists(shape: tuple[int, int], radius: int, passes: int) -> None:
    image = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    slow = image
    for _ in range(passes):
        rows = [
            [
                slow[..., max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1].mean((2, 3))
                for x in range(shape[1])
            ]
            for y in range(shape[0])
        ]
        slow = torch.stack([torch.stack(row, -1) for row in rows], -2)
    torch.testing.assert_close(box_blur(image, radius, passes), slow)


def test_push_pull_needs_a_power_of_two() -> None:
    with pytest.raises(ValueError, match="power of two"):
        push_pull(torch.zeros(1, 1, 48, 48), torch.zeros(1, 1, 48, 48))


def test_smooth_ratio_is_one_where_nothing_is_known() -> None:
    groups = region_groups(region_atlas(head(), renderer().atlas))
    ratio = smooth_ratio(person()[None], template()[None], torch.zeros(1, 1, SIZE, SIZE), groups, detail=2)
    assert torch.allclose(ratio, torch.tensor(1.0), atol=1e-5)
