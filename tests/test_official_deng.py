"""Deng's method on a file of the true layout that holds a sphere: everything it draws is known in closed form."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from benchmark.methods import build_method, missing_files
from ftim.official.crops import InnerCrop, deng_crop
from ftim.official.deng import AMBIENT, Deng, DengCode, rotation, shading
from ftim.official.networks import DENG_HEADS
from ftim.pipeline import Pipeline
from ftim.render.rasterizer import default_rasterizer
from ftim.structures import Rendering, View
from tests.official_files import SIDE, grey_face, half_cosine, harmonics, with_deng_points, write_deng

MIDDLE, PIXELS = (100.0, 120.0), 90.0
"""Where the standard face is seen in our crop, and how large: 90 pixels a decimetre, 102 in Deng's."""
SCALE = 102 / 90


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("deng")
    write_deng(path)
    yield path
    for file in path.iterdir():
        file.unlink()


@pytest.fixture(scope="module")
def deng(folder: Path) -> Deng:
    return Deng.load(default_rasterizer(), folder)


def answer(deng: Deng, numbers: Tensor) -> None:
    """Make the network say (257,) numbers whatever it sees: its heads are their biases."""
    for layer, part in zip(deng.encoder.final_layers, numbers.split(DENG_HEADS), strict=True):
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        layer.bias.data.copy_(part)


def bright(light: Tensor) -> Tensor:
    """(9,) what to answer for a light in units of the harmonics: three channels, without the ambient part."""
    ambient = torch.zeros(9)
    ambient[0] = AMBIENT
    return (light - ambient).repeat(3)


def plain_code() -> Tensor:
    """The sphere in light of shading 1."""
    numbers = torch.zeros(257)
    white = torch.zeros(9)
    white[0] = 1 / math.sqrt(math.pi / 4)
    numbers[227:254] = bright(white)
    return numbers


def edges(mask: Tensor) -> tuple[float, float, float, float]:
    """Left, right, top and bottom of a drawn part, in pixels."""
    rows, columns = mask[0, 0].any(1).nonzero(), mask[0, 0].any(0).nonzero()
    return float(columns.min()), float(columns.max()) + 1, float(rows.min()), float(rows.max()) + 1


def draw(deng: Deng, numbers: Tensor) -> Rendering:
    answer(deng, numbers)
    return deng.reconstruct(with_deng_points(grey_face(), MIDDLE, PIXELS))


def test_crop_is_deng_s() -> None:
    face = with_deng_points(grey_face(2), MIDDLE, PIXELS)
    crop = deng_crop(face)
    torch.testing.assert_close(crop.scale, torch.full((2,), SCALE))
    torch.testing.assert_close(crop.shift, (112 - SCALE * torch.tensor(MIDDLE)).expand(2, 2), atol=1e-3, rtol=0)


def test_crop_shows_the_right_pixels() -> None:
    ramp = (torch.arange(SIDE) + 0.5) / SIDE
    image = torch.stack([ramp.expand(SIDE, SIDE), ramp[:, None].expand(SIDE, SIDE), torch.zeros(SIDE, SIDE)])[None]
    face = dataclasses.replace(grey_face(), image=image)
    face.valid[..., :40] = 0
    crop = InnerCrop(torch.tensor([1.25]), torch.tensor([[-30.0, -10.0]]))
    cut = crop.cut(face)
    centres = torch.arange(224) + 0.5
    expected_x, expected_y = (centres + 30) / 1.25 / SIDE, (centres + 10) / 1.25 / SIDE
    inside = (centres + 30) / 1.25 > 41
    torch.testing.assert_close(cut[0, 0][:, inside], expected_x[inside].expand(224, -1), atol=5e-4, rtol=0)
    torch.testing.assert_close(
        cut[0, 1][:, inside], expected_y[:, None].expand(224, int(inside.sum())), atol=5e-4, rtol=0
    )
    # Black where the photograph ends, the edge repeated where only our crop does.
    assert bool((cut[..., (centres + 30) / 1.25 < 39] == 0).all())
    # Where several of our pixels fall on one, whether or not their number divides our side.
    whole = dataclasses.replace(face, valid=torch.ones_like(face.valid))
    for scale in (0.4, 0.3):
        far = InnerCrop(torch.tensor([scale]), torch.full((1, 2), 60.0)).cut(whole)
        torch.testing.assert_close(far[0, :2, 200, 200], torch.ones(2), atol=0.02, rtol=0)
        for pixel in (80, 100, 120):
            expected = torch.full((2,), (pixel + 0.5 - 60) / scale / SIDE)
            torch.testing.assert_close(far[0, :2, pixel, pixel], expected, atol=1e-3, rtol=0)


def test_code_is_split_in_order(deng: Deng) -> None:
    answer(deng, torch.arange(257).float())
    code, _ = deng.code(with_deng_points(grey_face(2), MIDDLE, PIXELS))
    assert code.identity[1, [0, 79]].tolist() == [0, 79]
    assert code.expression[1, [0, 63]].tolist() == [80, 143]
    assert code.texture[1, [0, 79]].tolist() == [144, 223]
    assert code.angles[1].tolist() == [224, 225, 226]
    assert code.light[1, 0].tolist() == [227, 236, 245] and code.light[1, :, 0].tolist() == list(range(227, 236))
    assert code.translation[1].tolist() == [254, 255, 256]


def test_the_encoder_looks_at_its_input(deng: Deng) -> None:
    features = deng.encoder.backbone(torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)))
    assert features.shape == (2, 2048) and float((features[0] - features[1]).abs().max()) > 0


def test_sphere_lands_on_its_pixels(deng: Deng) -> None:
    # A sphere of radius 1 at distance 10 is seen as a disc of 1015 / sqrt(99) pixels of Deng's input.
    radius = 1015 / math.sqrt(99) / SCALE
    left, right, top, bottom = edges(draw(deng, plain_code()).mask)
    assert left == pytest.approx(max(0, MIDDLE[0] - radius), abs=1) and right == pytest.approx(
        MIDDLE[0] + radius, abs=1
    )
    assert top == pytest.approx(MIDDLE[1] - radius, abs=1) and bottom == pytest.approx(MIDDLE[1] + radius, abs=1)
    # Further away, to the right and up, and the identity's shift of 0.1: still known, in z by the camera's distance.
    numbers = plain_code()
    numbers[0] = 2.0
    numbers[254:] = torch.tensor([0.3, 0.2, -10.0])
    mask = draw(deng, numbers).mask
    centre = torch.stack(
        [(mask[0, 0] * (torch.arange(SIDE) + 0.5)).sum(), (mask[0, 0].T * (torch.arange(SIDE) + 0.5)).sum()]
    )
    focal = 1015 / SCALE
    # The mean of a mesh that was shifted by 0.2 as a whole is taken out first: padding alone stays behind.
    expected = torch.tensor([MIDDLE[0] + focal * 0.5 / 20, MIDDLE[1] - focal * 0.2 / 20])
    torch.testing.assert_close(centre / mask.sum(), expected, atol=0.5, rtol=0)
    assert float(mask.sum()) == pytest.approx(math.pi * focal**2 / 399, rel=0.02)


def test_positions_are_those_of_the_equations(deng: Deng) -> None:
    numbers = torch.zeros(257)
    numbers[224:227] = torch.tensor([0.2, -0.4, 0.1])
    numbers[254:] = torch.tensor([0.1, -0.2, 0.5])
    crop = deng_crop(with_deng_points(grey_face(), MIDDLE, PIXELS))
    positions, normals = deng.place(DengCode.split(numbers[None]), crop, SIDE)
    shape = deng.model.shape.numpy().astype(float)
    turn = Rotation.from_euler("xyz", [0.2, -0.4, 0.1]).as_matrix()
    turned = shape @ turn.T + [0.1, -0.2, 0.5]
    depth = 10 - turned[:, 2]
    input_x, input_y = 112 + 1015 * turned[:, 0] / depth, 112 - 1015 * turned[:, 1] / depth
    shift = np.array([112, 112]) - SCALE * np.array(MIDDLE)
    expected = np.stack([(input_x - shift[0]) / SCALE, (input_y - shift[1]) / SCALE, depth / 10], 1)
    np.testing.assert_allclose(positions[0].numpy(), expected, atol=2e-3)
    used = torch.unique(deng.model.triangles[:1000])
    outward = F.normalize(torch.from_numpy(shape @ turn.T).float()[used], dim=1)
    assert float((normals[0, used] * outward).sum(1).quantile(0.1)) > 0.99


def test_rotation_is_about_x_then_y_then_z() -> None:
    angles = torch.tensor([[0.3, 0.5, -0.7], [1.0, 0.0, 0.0]])
    expected = Rotation.from_euler("xyz", angles.numpy()).as_matrix()
    np.testing.assert_allclose(rotation(angles).numpy(), expected, atol=1e-6)


def deng_light(direction: Tensor) -> Tensor:
    """(9,) the light of one lamp, in Deng's order, signs and weights of the degrees."""
    values = harmonics(direction)
    theirs = [math.pi, 2 * math.pi / 3, math.pi / 4]
    his = [math.pi, 2 * math.pi / math.sqrt(3), 2 * math.pi / math.sqrt(8)]
    names = ["1", "y", "z", "x", "xy", "yz", "3zz-1", "xz", "xx-yy"]
    signs, degrees = [1, -1, 1, -1, 1, -1, 1, -1, 1], [0, 1, 1, 1, 2, 2, 2, 2, 2]
    # Radiance of one lamp, over pi for the reflected part: max(cos, 0) = sum A Y(l) Y(n).
    return torch.tensor([s * values[n] * theirs[d] / his[d] for n, s, d in zip(names, signs, degrees, strict=True)])


def test_light_is_that_of_a_lamp() -> None:
    generator = torch.Generator().manual_seed(0)
    normals = F.normalize(torch.randn(1, 200, 3, generator=generator), dim=-1)
    direction = F.normalize(torch.tensor([0.3, 0.5, 0.8]), dim=0)
    light = deng_light(direction)
    light[0] -= AMBIENT
    shaded = shading(normals, light[None, :, None].expand(1, 9, 3))
    torch.testing.assert_close(shaded, half_cosine(normals, direction)[..., None].expand(1, 200, 3), atol=1e-5, rtol=0)


def test_lit_sphere(deng: Deng) -> None:
    numbers = plain_code()
    direction = F.normalize(torch.tensor([0.3, 0.5, 0.8]), dim=0)
    numbers[227:254] = bright(deng_light(direction))
    numbers[144 + 5] = 2.0  # blue by 0.2
    numbers[256] = -90.0  # so far away that the view is parallel
    rendering = draw(deng, numbers)
    face = with_deng_points(grey_face(), MIDDLE, PIXELS)
    radius = 1015 / 100 / SCALE
    for x, y in ((100, 120), (104, 118), (97, 123)):
        across = torch.tensor([(x + 0.5 - MIDDLE[0]) / radius, -(y + 0.5 - MIDDLE[1]) / radius])
        normal = torch.cat([across, (1 - across.square().sum()).sqrt()[None]])
        expected = torch.tensor([0.6, 0.4, 0.4]) * half_cosine(normal, direction)
        torch.testing.assert_close(rendering.image[0, :, y, x], expected, atol=0.02, rtol=0)
    outside = (rendering.mask == 0).expand(-1, 3, -1, -1)
    assert torch.equal(rendering.overlay[outside], face.image[outside])
    assert bool((rendering.image[outside] == 0).all())


def test_the_photograph_s_end_is_not_drawn_over(deng: Deng) -> None:
    answer(deng, plain_code())
    face = with_deng_points(grey_face(), MIDDLE, PIXELS)
    face.valid[..., 150:] = 0
    assert float(deng.reconstruct(face).mask[..., 150:].max()) == 0


def test_as_a_method(deng: Deng, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deng, "load", lambda *_, **__: deng)
    method = build_method("deng_official", Pipeline.build(texture_size=64))
    assert (method.name, method.source) == ("deng_official", "official")
    answer(deng, plain_code())
    face = with_deng_points(grey_face(2), MIDDLE, PIXELS)
    rendering = method.reconstruct(View(face, None, face.valid, None)).albedo  # type: ignore[arg-type]
    assert rendering.overlay.shape == (2, 3, SIDE, SIDE) and float(rendering.mask.mean()) > 0.2
    monkeypatch.setenv("FTIM_OFFICIAL", str(folder))
    assert missing_files("deng_official") == ()
    with pytest.raises(ValueError, match="landmarks must be"):
        deng.code(dataclasses.replace(face, landmarks=face.landmarks[:, :68]))
