"""The measures of a completion, on textures and heads whose answer is known."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor

from ftim.build import build_completion
from ftim.morphable import load_open_head
from ftim.pipeline import Pipeline
from ftim.render.rasterizer import default_rasterizer
from ftim.render.shading import SHADING_FLOOR, sh_basis
from ftim.structures import Face, Fit, PartialTexture, Texture, View
from ftim.uv import UvRenderer
from scripts.measure.completion import YAWS, Measure, Row, summarise, table
from scripts.measure.completion_measures import (
    BAND,
    EMPTY,
    MIDDLE,
    MIN_TEXELS,
    Seam,
    Studio,
    empty_texels,
    features,
    light_left,
    seam_ratio,
    turned,
    two_lights,
    worst_seam,
)
from tests.synthetic_head import synthetic_fit, synthetic_head

SIDE = 256
TEXELS = 128


@cache
def uv_renderer() -> UvRenderer:
    return UvRenderer(synthetic_head(), default_rasterizer(), TEXELS)


@cache
def studio() -> Studio:
    return Studio(uv_renderer())


def skin() -> Tensor:
    return torch.ones(1, 1, SIDE, SIDE, dtype=torch.bool)


def left_half() -> Tensor:
    return (torch.arange(SIDE) < SIDE // 2).float().expand(1, 1, SIDE, SIDE).clone()


def noise(amount: float = 0.02) -> Tensor:
    """Grey skin with pores: neighbours differ by 1.13 ``amount`` on average."""
    generator = torch.Generator().manual_seed(3)
    return (0.5 + amount * torch.randn(1, 1, SIDE, SIDE, generator=generator)).expand(1, 3, -1, -1)


def smooth(step: float) -> Tensor:
    """A slope of ``step`` a texel to the right, and as much down."""
    line = step * torch.arange(SIDE)
    return (line[:, None] + line).expand(1, 3, -1, -1)


def grey_face(image: Tensor) -> Face:
    count = len(image)
    valid = torch.ones_like(image[:, :1])
    crop = torch.tensor([[1.0, 0.0, 0.0]]).repeat(count, 1)
    return Face(image, valid, torch.zeros(count, 478, 2), torch.zeros(count, 52), crop)


def fit(turn: float = 0.0) -> Fit:
    return synthetic_fit(synthetic_head(), turn=turn)


def test_no_seam_gives_one() -> None:
    assert seam_ratio(noise(), left_half(), skin()) == pytest.approx(1, abs=0.15)
    assert seam_ratio(smooth(0.001), left_half(), skin()) == pytest.approx(1, abs=0.01)


def test_planted_step_is_measured() -> None:
    # The border is crossed by steps to the right only: each is 0.001 and the planted 0.004.
    texture = smooth(0.001) + 0.004 * (1 - left_half())
    assert seam_ratio(texture, left_half(), skin()) == pytest.approx(5, rel=0.01)
    ratio = seam_ratio(noise() + 0.1 * (1 - left_half()), left_half(), skin())
    assert ratio is not None and ratio > 3


def test_step_beside_the_border_is_no_seam() -> None:
    moved = left_half().roll(40, -1)
    moved[..., :40] = 1
    assert seam_ratio(smooth(0.001) + 0.1 * (1 - moved), left_half(), skin()) == pytest.approx(1, abs=0.01)


def test_band_of_the_border_is_no_surroundings() -> None:
    plain = seam_ratio(smooth(0.001), left_half(), skin())
    for column, counts in ((SIDE // 2 + BAND, False), (SIDE // 2 - 1 - BAND, False), (SIDE // 2 + BAND + 1, True)):
        texture = smooth(0.001).clone()
        texture[..., column] += 0.01
        ratio = seam_ratio(texture, left_half(), skin())
        assert ratio is not None and plain is not None
        assert (ratio < 0.9 * plain) == counts


def test_only_skin_counts() -> None:
    texture = smooth(0.001) + 0.1 * (1 - left_half())
    allowed = skin()
    texture[..., : SIDE // 8, :] = torch.rand(1, 3, SIDE // 8, SIDE)
    allowed[..., : SIDE // 8, :] = False
    ratio = seam_ratio(texture, left_half(), allowed)
    assert ratio == pytest.approx(101, rel=0.01)
    # A border beside the skin has no surroundings in it either.
    far = skin()
    far[..., SIDE // 2 - 1 :] = False
    assert seam_ratio(texture, left_half(), far) is None


def test_short_borders_say_nothing() -> None:
    dot = torch.zeros(1, 1, SIDE, SIDE)
    dot[..., 100:110, 100:110] = 1
    assert MIN_TEXELS > 4 * 10
    assert seam_ratio(noise(), dot, skin()) is None
    assert worst_seam(noise(), noise(), PartialTexture(noise(), dot, dot), skin()) is None


@pytest.mark.parametrize("where", ["visibility", "confidence"])
def test_worse_of_two_borders_counts(where: str) -> None:
    inner = (torch.arange(SIDE) < SIDE // 4).float().expand(1, 1, SIDE, SIDE)
    partial = PartialTexture(noise(), left_half(), left_half() * (0.2 + 0.7 * inner))
    border = left_half() if where == "visibility" else inner
    seam = worst_seam(smooth(0.001) + 0.004 * (1 - border), smooth(0.001), partial, skin())
    assert seam is not None
    assert seam.ratio == pytest.approx(5, rel=0.01)
    assert seam.control == pytest.approx(1, rel=0.01)


def test_albedo_that_ignores_light_has_none_left() -> None:
    first, second = noise(), 0.5 * noise()
    both = skin()
    assert light_left((first, first), (first, second), both) == 0
    assert light_left((first, second), (first, second), both) == pytest.approx(1)
    assert light_left((first, (first + second) / 2), (first, second), both) == pytest.approx(0.5)
    # Elsewhere nothing is compared.
    both[..., : SIDE // 2] = False
    assert light_left((first, torch.where(both, first, 0.0)), (first, second), both) == 0
    assert light_left((first, first), (first, second), torch.zeros_like(both)) is None


def test_holes_are_counted() -> None:
    albedo = torch.full((1, 3, SIDE, SIDE), 0.5)
    seen, charts = left_half(), skin()
    charts[..., -1, :] = False
    assert empty_texels(Texture(albedo, albedo, albedo), seen, charts) == 0
    holed, lit = albedo.clone(), albedo.clone()
    holed[..., 0, 200:203] = EMPTY  # made up
    holed[:, :2, 1, 200:203] = 0  # still blue
    holed[..., 0, 10:15] = 0  # seen: may be black
    holed[..., -1, 200:210] = 0  # beside the charts
    holed[:, 1, 2, 10] = torch.nan  # never
    lit[:, 0, 3, 10] = torch.inf
    assert empty_texels(Texture(lit, holed, albedo), seen, charts) == 5


def test_features_cover_eyes_nose_and_mouth_alone() -> None:
    model = load_open_head()
    mask = features(model, SIDE)
    assert mask.shape == (1, 1, SIDE, SIDE)
    assert (mask != mask.flip(-1)).float().mean() < 0.005
    assert 0.02 < mask.float().mean() < 0.1
    corners = model.uv[model.uv_triangles[model.landmark_triangles]]
    places = ((corners * model.landmark_barycentrics[:, :, None]).sum(1) * SIDE).long()
    inside = mask[0, 0, places[:, 1], places[:, 0]]
    lips, eye, cheek, forehead, chin = [13, 61, 291], [133, 159], [50, 280], [10, 151], [152, 199]
    assert inside[lips + eye + [2]].all()
    assert not inside[cheek + forehead + chin].any()


def test_lights_are_positive_differ_and_are_strong() -> None:
    generator = torch.Generator().manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(4000, 3, generator=generator), dim=-1)
    first, second = (sh_basis(normals) @ light[0] for light in two_lights(torch.zeros(1, 9, 3)))
    for shading in (first, second):
        assert shading.min() > SHADING_FLOOR
        assert shading.max() > 4 * shading.min()
    upper_left, right = torch.tensor([[-0.7, 0.5, 0.5]]), torch.tensor([[0.8, 0.0, 0.6]])
    for direction, brighter, darker in ((upper_left, 0, 1), (right, 1, 0)):
        values = [(sh_basis(direction) @ light[0]).mean() for light in two_lights(torch.zeros(1, 9, 3))]
        assert values[brighter] > 1.5 * values[darker]


def test_relit_photograph_is_the_head_under_the_new_light() -> None:
    albedo = torch.full((1, 3, TEXELS, TEXELS), 0.6) + 0.1 * torch.rand(1, 3, TEXELS, TEXELS)
    before = fit()
    paper = torch.full((1, 3, 96, 96), 0.3)
    photo = studio().head(albedo, before, paper)
    light = two_lights(before.light)[0]
    relit = studio().relit(grey_face(photo.overlay), before, light).image
    expected = studio().head(albedo, dataclasses.replace(before, light=light), paper)
    inside = (expected.mask > 0.5) & (photo.overlay == photo.image).all(1, keepdim=True)
    assert (relit - expected.image).abs()[inside.expand_as(relit)].max() < 1e-3
    outside = photo.mask == 0
    assert torch.equal(relit[outside.expand_as(relit)], paper[outside.expand_as(paper)])


def test_bright_light_is_exposed_for() -> None:
    before = fit()
    photo = torch.full((1, 3, 96, 96), 0.9)
    relit = studio().relit(grey_face(photo), before, 2 * two_lights(before.light)[1]).image
    drawn = studio().head(photo, before, photo).mask > 0.5
    assert (relit[drawn.expand_as(relit)] >= 1).float().mean() < 0.015
    assert relit.min() < 0.9  # also beside the head: it is one exposure


def test_turned_head_stays_in_the_middle() -> None:
    original = fit(0.3)
    middle = torch.tensor(MIDDLE)[None, None]
    depths = []
    for yaw in YAWS:
        pose = turned(original, yaw)
        place = pose.camera.project(middle @ pose.rotation.mT + pose.translation[:, None])[0, 0]
        assert torch.allclose(place[:2], torch.tensor([48.0, 48.0]), atol=1e-3)
        depths.append(float(place[2]))
    before = original.camera.project(middle @ original.rotation.mT + original.translation[:, None])[0, 0, 2]
    assert depths == pytest.approx([float(before)] * len(YAWS), abs=1e-5)
    assert torch.allclose(turned(original, 0.0).rotation, torch.eye(3)[None])
    # Positive yaw looks to the right.
    assert turned(original, 45.0).rotation[0, 0, 2] > 0.7


def test_photographs_show_the_albedo_without_paper() -> None:
    albedo = torch.tensor([0.5, 0.3, 0.2])[None, :, None, None].expand(1, 3, TEXELS, TEXELS)
    pose = turned(fit(), 45)
    partial = studio().photograph(albedo, pose)
    seen = partial.visibility > 0
    assert 0.05 < seen.float().mean() < 0.6
    texels = seen.expand_as(albedo)
    shading = uv_renderer().shading(pose).clamp_min(SHADING_FLOOR)
    error = (partial.color - albedo * shading).abs()[texels]
    assert error.median() < 0.002
    # Grey light would leave the hue as it is, and paper would not.
    white = pose.light.mean(2, keepdim=True).expand_as(pose.light)
    partial = studio().photograph(albedo, dataclasses.replace(pose, light=white))
    hue = partial.color / partial.color.sum(1, keepdim=True)
    assert (hue - albedo)[texels].abs().max() < 0.01


def under_light(albedo: Tensor, of: Fit) -> Texture:
    """The albedo everywhere, also where something was seen."""
    return Texture(albedo * uv_renderer().shading(of).clamp_min(SHADING_FLOOR), albedo, torch.ones_like(albedo))


class Holed:
    """A completion that leaves ten texels of the hidden part of the head black."""

    name = "holed"

    def __call__(self, partial: PartialTexture, fit: Fit) -> Texture:
        albedo = torch.full_like(partial.color, 0.5).flatten(2)
        atlas = uv_renderer().atlas.texel
        hidden = atlas[partial.visibility.flatten()[atlas] == 0]
        albedo[..., hidden[:10]] = 0
        return under_light(albedo.view_as(partial.color), fit)


class Flickering:
    """A completion that finds the albedo where it was seen, and makes up another each time elsewhere."""

    name = "flickering"

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, partial: PartialTexture, fit: Fit) -> Texture:
        self.calls += 1
        made_up = 0.2 + 0.6 * (self.calls % 2)
        albedo = torch.where(partial.visibility > 0, 0.5, made_up).expand_as(partial.color)
        return under_light(albedo, fit)


def test_rows_of_a_portrait() -> None:
    """The whole way on a head of one colour: nothing is empty, nothing is left of light that is found exactly."""
    uv = uv_renderer()
    template = torch.full((3, TEXELS, TEXELS), 0.5)
    original = synthetic_fit(synthetic_head(), size=224)
    lights = iter([*two_lights(original.light)] * 3)
    fake = SimpleNamespace(
        model=uv.model,
        template=template,
        uv=uv,
        views=lambda face: View(
            face, original, torch.ones_like(face.valid), uv(face.image, original, torch.ones_like(face.valid))
        ),
        completion=lambda name: build_completion(name, uv, template),
        regressor=SimpleNamespace(relight=lambda face, found, mask: dataclasses.replace(found, light=next(lights))),
    )
    measure = Measure(cast(Pipeline, fake))
    # Dim enough that no exposure changes.
    photo = studio().head(template[None], original, torch.zeros(1, 3, 224, 224)).image
    completions = {"mirror": build_completion("mirror", uv, template), "holed": Holed(), "flicker": Flickering()}
    mirror, holed, flicker = measure("egg", grey_face(photo), completions, poses=True, light=True)
    assert (mirror.name, mirror.method, holed.method) == ("egg", "mirror", "holed")
    assert mirror.empty == 0
    assert holed.empty == 10 * len(YAWS)
    assert mirror.light_left is not None and mirror.light_left < 0.05
    # On a head of one colour every step is shading: the completion has those that the head itself has.
    assert mirror.side_seam is not None
    assert mirror.side_seam.ratio == pytest.approx(mirror.side_seam.control, rel=0.1)
    assert holed.side_seam is not None
    assert holed.side_seam.ratio == pytest.approx(holed.side_seam.control, rel=0.02)
    assert flicker.light_left == 0  # only what both photographs saw is compared
    (plain,) = measure("egg", grey_face(photo), {"mirror": completions["mirror"]}, poses=False, light=False)
    assert plain.empty is plain.light_left is plain.side_seam is None
    assert plain.seam == mirror.seam


def test_summary_and_table() -> None:
    ratios = [1.0, 1.1, 1.2, 3.0]
    rows = [Row(str(i), "a", seam=Seam(ratio, 0.9), light_left=0.1 * i) for i, ratio in enumerate(ratios)]
    rows += [Row("0", "b", empty=3), Row("1", "b", empty=0), Row("2", "b")]
    summary = summarise(rows)
    assert summary["a"]["portraits"] == 4
    assert summary["a"]["seam_median"] == pytest.approx(1.15)
    assert 1.2 < summary["a"]["seam_95"] < summary["a"]["seam_worst"] == 3
    assert summary["a"]["seam_control_median"] == pytest.approx(0.9)
    assert summary["a"]["light_left_worst"] == pytest.approx(0.3)
    assert "empty_texels" not in summary["a"]
    assert summary["b"] == {"portraits": 3, "poses": 2 * len(YAWS), "empty_texels": 3}
    assert json.loads(json.dumps([dataclasses.asdict(row) for row in rows]))[0]["seam"]["control"] == 0.9
    lines = table(summary).splitlines()
    assert lines[0].split() == ["a", "b"]
    seam = next(line for line in lines if line.startswith("seam_median"))
    assert seam.split() == ["seam_median", "1.15", "-", "aim", "at", "most", "1.3"]
