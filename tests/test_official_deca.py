"""DECA on files of the true layout: FLAME's file holds the open head, so what it draws is known in closed form."""

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
from ftim.official.crops import InnerCrop, deca_crop
from ftim.official.deca import Deca, shading
from ftim.official.deca_code import DecaCode
from ftim.official.deca_detail import DetailMaps, detail_normals
from ftim.official.mesh import vertex_normals
from ftim.pipeline import Pipeline
from ftim.render.rasterizer import default_rasterizer
from ftim.structures import View
from tests.official_files import (
    JAW_FULL,
    JAW_HALF,
    JOINT_VERTICES,
    SIDE,
    flame_parts,
    flame_tree,
    grey_face,
    half_cosine,
    harmonics,
    open_head,
    write_deca,
)

WHITE = math.sqrt(4 * math.pi)
"""The first number of a light whose shading is 1."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("deca")
    write_deca(path)
    yield path
    for file in path.iterdir():
        file.unlink()


@pytest.fixture(scope="module")
def deca(folder: Path) -> Deca:
    return Deca.load(default_rasterizer(), folder)


def numbers(root: tuple[float, float, float] = (0, 0, 0), camera: tuple[float, float, float] = (8, 0, 0)) -> Tensor:
    """(236,) a code in white light."""
    code = torch.zeros(236)
    code[200:203], code[206:209] = torch.tensor(root), torch.tensor(camera)
    code[209:212] = WHITE
    return code


def answer(deca: Deca, code: Tensor) -> None:
    """Make the network say (236,) numbers whatever it sees: its last layer is its bias."""
    last = deca.networks.coarse.layers[2]
    assert isinstance(last, nn.Linear)
    last.bias.data.copy_(code)


def test_crop_is_deca_s() -> None:
    face = grey_face()
    # A box of 100 x 120 pixels around (110, 130), whichever landmarks touch it.
    low, high = torch.tensor([60.0, 70.0]), torch.tensor([160.0, 190.0])
    face = dataclasses.replace(face, landmarks=face.landmarks.clamp(low, high))
    face.landmarks[:, 234], face.landmarks[:, 454] = low, high
    crop = deca_crop(face)
    side = 1.1 * 1.25 * 110
    torch.testing.assert_close(crop.scale, torch.tensor([223 / side]))
    # The first pixel's centre shows the corner of the square, the last one's the opposite corner.
    corner = torch.tensor([110 - side / 2, 130 - side / 2])
    torch.testing.assert_close(corner * crop.scale + crop.shift[0], torch.full((2,), 0.5), atol=1e-3, rtol=0)
    torch.testing.assert_close((corner + side) * crop.scale + crop.shift[0], torch.full((2,), 223.5), atol=1e-3, rtol=0)


def test_code_is_split_in_order() -> None:
    code = DecaCode.split(torch.arange(236).float()[None])
    firsts = [
        part[0, 0].item() for part in (code.shape, code.texture, code.expression, code.root, code.jaw, code.camera)
    ]
    assert firsts == [0, 100, 150, 200, 203, 206]
    assert code.light[0, 0].tolist() == [209, 210, 211] and code.light[0, 8].tolist() == [233, 234, 235]


def test_flame_turns_about_its_joints(deca: Deca) -> None:
    tree = flame_tree()
    shape, expression = torch.zeros(1, 100), torch.zeros(1, 50)
    shape[0, 0], expression[0, 0] = 2.0, -1.5
    root, jaw = torch.tensor([[0.1, -0.5, 0.2]]), torch.tensor([[0.4, 0.05, 0.0]])
    vertices = deca.flame.vertices(shape, expression, root, jaw)[0].numpy()
    # By hand: shape moves everything up by 6 mm and the expression back by 3, so joints move along.
    shaped = tree["v_template"] + [0, 0.006, -0.003]
    turn, open_jaw = Rotation.from_rotvec(root[0].numpy()).as_matrix(), Rotation.from_rotvec(jaw[0].numpy()).as_matrix()
    bends = np.zeros(36)
    bends[9:18] = (open_jaw - np.eye(3)).ravel()
    posed = shaped + tree["posedirs"] @ bends
    joint = {name: shaped[index] for name, index in zip(("root", "neck", "jaw"), JOINT_VERTICES[:3], strict=True)}
    opened = (posed - joint["jaw"]) @ open_jaw.T + joint["jaw"]
    moved = posed.copy()
    moved[JAW_FULL], moved[JAW_HALF] = opened[JAW_FULL], (opened[JAW_HALF] + posed[JAW_HALF]) / 2
    expected = (moved - joint["root"]) @ turn.T + joint["root"]
    np.testing.assert_allclose(vertices, expected, atol=2e-6)
    still = deca.flame.vertices(shape * 0, expression * 0, root * 0, jaw * 0)
    torch.testing.assert_close(still[0], deca.flame.template)


def test_camera_is_scaled_orthographic(deca: Deca) -> None:
    code = DecaCode.split(numbers(camera=(7.0, 0.02, -0.01))[None])
    crop = InnerCrop(torch.tensor([1.25]), torch.tensor([[-30.0, -10.0]]))
    vertices = deca.flame.template[None]
    x = 112 + 112 * 7.0 * (vertices[0, :, 0] + 0.02)
    y = 112 - 112 * 7.0 * (vertices[0, :, 1] - 0.01)
    expected = torch.stack([(x + 30) / 1.25, (y + 10) / 1.25, 10 - vertices[0, :, 2]], dim=1)
    torch.testing.assert_close(code.project(vertices, crop)[0], expected, atol=1e-3, rtol=1e-5)


def deca_light(direction: Tensor) -> Tensor:
    """(9,) the light of one lamp in DECA's order; its first harmonic lacks the factor pi."""
    values = harmonics(direction)
    light = [values[name] for name in ("1", "x", "y", "z", "xy", "xz", "yz", "xx-yy", "3zz-1")]
    return torch.tensor([math.pi * light[0], *light[1:]])


def test_light_is_that_of_a_lamp() -> None:
    normals = F.normalize(torch.randn(1, 3, 8, 25, generator=torch.Generator().manual_seed(0)), dim=1)
    direction = F.normalize(torch.tensor([-0.4, 0.5, 0.7]), dim=0)
    shaded = shading(normals, deca_light(direction)[None, :, None].expand(1, 9, 3))
    expected = half_cosine(normals.permute(0, 2, 3, 1), direction)[:, None].expand(1, 3, 8, 25)
    torch.testing.assert_close(shaded, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("detail", [False, True])
def test_head_lands_on_its_pixels(deca: Deca, detail: bool) -> None:
    """The texture's red is u and its green is v: each visible vertex must show its own."""
    code = numbers(root=(0.1, -0.3, 0.05), camera=(7.5, 0.01, 0.02))
    answer(deca, code)
    face = grey_face()
    image = deca.reconstruct(face, detail=detail).image
    head = open_head()
    kept, triangles, chosen = flame_parts()
    template = deca.flame.template.numpy().astype(float)
    joint = template[JOINT_VERTICES[0]]
    turned = (template - joint) @ Rotation.from_rotvec([0.1, -0.3, 0.05]).as_matrix().T + joint
    crop = deca_crop(face)
    x = (112 + 112 * 7.5 * (turned[:, 0] + 0.01) - crop.shift[0, 0].item()) / crop.scale.item()
    y = (112 - 112 * 7.5 * (turned[:, 1] + 0.02) - crop.shift[0, 1].item()) / crop.scale.item()
    placed = torch.from_numpy(np.stack([x, y], 1)).float()
    # Vertices on the front of the face that one texel shows and that face the camera.
    normals = vertex_normals(torch.from_numpy(turned).float()[None], deca.flame.triangles)[0]
    corners, uv = triangles.flatten(), head.uv[head.uv_triangles[chosen].flatten()]
    front = (normals[corners, 2] > 0.75) & (torch.from_numpy(turned).float()[corners, 2] > 0)
    corners, uv = corners[front], uv[front]

    def error(dx: float, dy: float) -> float:
        grid = (placed[corners] + torch.tensor([dx, dy])) / SIDE * 2 - 1
        seen = F.grid_sample(image, grid[None, None], align_corners=False)[0, :2, 0].T
        return float((seen - uv).norm(dim=1).median())

    here = error(0, 0)
    assert here < 0.002
    assert all(here < error(*shift) for shift in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)))


def test_mask_texture_and_overlay(deca: Deca) -> None:
    code = numbers()
    code[100] = 3.0  # blue by 0.3
    code[209:236] = 0.5 * code[209:236]
    answer(deca, code)
    face = grey_face()
    rendering = deca.reconstruct(face, detail=False)
    inside = rendering.mask[0, 0] > 0
    torch.testing.assert_close(rendering.image[0, 2][inside], torch.full((int(inside.sum()),), 0.15), atol=1e-3, rtol=0)
    outside = ~inside.expand(1, 3, -1, -1)
    assert torch.equal(rendering.overlay[outside], face.image[outside])
    # Only the part under the mask is drawn, and nothing outside the photograph.
    half = deca.maps.mask.clone()
    half[:, :128] = 0
    masked = Deca(
        deca.networks, deca.flame, deca.texture, deca.uv, DetailMaps(half, deca.maps.displacement), deca.rasterizer
    ).reconstruct(face, detail=False)
    assert float(masked.image[0, 0][masked.mask[0, 0] > 0].min()) > 0.24
    face.valid[..., 120:] = 0
    assert float(deca.reconstruct(face).mask[..., 120:].max()) == 0


def flat_map() -> tuple[Tensor, Tensor, Tensor]:
    """A plane seen from the front, one millimetre a texel: positions, normals, and x."""
    y, x = torch.meshgrid(-torch.arange(256.0), torch.arange(256.0), indexing="ij")
    positions = 1e-3 * torch.stack([x, y, torch.zeros_like(x)])[None]
    normals = torch.zeros(1, 3, 256, 256)
    normals[:, 2] = 1
    return positions, normals, 1e-3 * x


def test_detail_tilts_the_normals_of_a_plane() -> None:
    positions, normals, x = flat_map()
    mask = torch.ones(256, 256)
    mask[:, 200:] = 0
    tilted = detail_normals(0.1 * x[None, None], positions, normals, DetailMaps(mask, 0.2 * x))
    expected = F.normalize(torch.tensor([-0.3, 0.0, 1.0]), dim=0)
    torch.testing.assert_close(
        tilted[0, :, 20:236, 20:180], expected[:, None, None].expand(3, 216, 160), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(tilted[..., 200:], normals[..., 200:])
    # At the map's edge the surface has no normals.
    assert float(tilted[..., 0, :200].abs().max()) == 0


def test_no_displacement_changes_little(deca: Deca) -> None:
    vertices = deca.flame.template[None]
    normals = vertex_normals(vertices, deca.uv.triangles)
    coarse = deca._surface(normals)
    flat = detail_normals(torch.zeros(1, 1, 256, 256), deca._surface(vertices), coarse, deca.maps)
    middle = (slice(None), slice(None), slice(60, 180), slice(60, 196))
    agreement = (F.normalize(flat[middle], dim=1) * F.normalize(coarse[middle], dim=1)).sum(1)
    assert float(agreement.median()) > 0.99


def test_displacement_is_within_a_centimetre(deca: Deca) -> None:
    generator = torch.Generator().manual_seed(0)
    displacement = deca.networks.detail_decoder(torch.randn(2, 181, generator=generator))
    assert displacement.shape == (2, 1, 256, 256) and float(displacement.abs().max()) <= 0.01
    features = deca.networks.detail_encoder(torch.rand(1, 3, 224, 224, generator=generator))
    assert features.shape == (1, 128) and float(features.abs().max()) > 0


def test_detail_changes_the_shading(deca: Deca) -> None:
    code = numbers()
    code[209:236] = deca_light(torch.tensor([0.0, 0.0, 1.0]))[:, None].expand(9, 3).flatten()
    answer(deca, code)
    face = grey_face(2)
    with_detail, without = deca.reconstruct(face), deca.reconstruct(face, detail=False)
    assert torch.equal(with_detail.mask, without.mask)
    assert float((with_detail.image - without.image).abs().mean()) > 1e-4
    assert not torch.equal(with_detail.image[0], with_detail.image[1])


def test_as_a_method(deca: Deca, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deca, "load", lambda *_, **__: deca)
    method = build_method("deca_official", Pipeline.build(texture_size=64))
    assert (method.name, method.source) == ("deca_official", "official")
    answer(deca, numbers())
    rendering = method.reconstruct(View(grey_face(2), None, grey_face(2).valid, None)).albedo  # type: ignore[arg-type]
    assert rendering.overlay.shape == (2, 3, SIDE, SIDE) and float(rendering.mask.mean()) > 0.1
    monkeypatch.setenv("FTIM_OFFICIAL", str(folder))
    assert missing_files("deca_official") == ()
