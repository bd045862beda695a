"""One test for each line of CONVENTIONS.md."""

import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import grid_sample

from ftim.completion.base import delight
from ftim.completion.photographed import PhotographedTexture
from ftim.detector import Detection
from ftim.face import align
from ftim.morphable import EXPRESSIONS, MorphableModel, Region
from ftim.morphable.expressions import EXPRESSION_MIRROR
from ftim.morphable.model import OPENINGS
from ftim.morphable.open_head import load_open_head
from ftim.photo import read_photo
from ftim.render.atlas import build_atlas
from ftim.render.interpolate import interpolate
from ftim.render.lookup import sample_texture
from ftim.render.pose import pose_head
from ftim.render.rasterizer import Fragments, default_rasterizer
from ftim.render.shading import sh_basis, shade
from ftim.structures import Camera, Fit, PartialTexture
from ftim.uv import UvRenderer

CONVENTIONS = Path(__file__).parents[1] / "CONVENTIONS.md"
NOSE_TIP, FOREHEAD, CHIN, RIGHT_EYE, LEFT_EYE = 1, 10, 152, 33, 263
"""MediaPipe's landmarks; the eyes are the subject's, at their outer corners."""


@cache
def head() -> MorphableModel:
    return load_open_head()


def neutral_landmarks() -> Tensor:
    return head().landmarks(head().template[None])[0]


def camera(focal: float = 400.0, side: int = 200) -> Camera:
    return Camera(torch.tensor([focal]), torch.tensor([[side / 2, side / 2]]), side, side)


def triangle(*corners: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """Positions (1, 3, 3) and triangles (1, 3) of one triangle from its corners' x, y, depth."""
    return torch.tensor([corners], dtype=torch.float32), torch.tensor([[0, 1, 2]])


def detection(box: tuple[float, float, float, float]) -> Detection:
    """A detection whose landmarks run evenly along the diagonal of a box (left, top, right, bottom)."""
    steps = np.linspace(0, 1, 478, dtype=np.float32)[:, None]
    start, end = np.array(box[:2], np.float32), np.array(box[2:], np.float32)
    return Detection(start + steps * (end - start), np.zeros(52, np.float32))


def test_every_line_names_its_test_and_every_test_its_line() -> None:
    named = re.findall(r"`(test_convention_\w+)`", CONVENTIONS.read_text(encoding="utf-8"))
    present = [name for name in globals() if name.startswith("test_convention_")]
    assert sorted(named) == sorted(present)


# Images


def test_convention_images(tmp_path: Path) -> None:
    pixels = np.zeros((96, 128, 3), np.uint8)
    pixels[:48] = (255, 0, 0)
    pixels[48:] = (0, 0, 188)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    photo = read_photo(tmp_path / "photo.png")
    assert photo.dtype == np.uint8
    assert np.array_equal(photo, pixels)  # RGB, top row first, sRGB code values as stored

    image = align(photo, detection((40, 24, 88, 72)), size=32).image
    assert image.shape == (1, 3, 32, 32)
    assert image.dtype == torch.float32
    assert 0 <= image.min() <= image.max() <= 1
    torch.testing.assert_close(image[0, :, 0, 16], torch.tensor([1.0, 0.0, 0.0]))
    torch.testing.assert_close(image[0, :, -1, 16], torch.tensor([0.0, 0.0, 188 / 255]))


def test_convention_pixel_centres() -> None:
    around_first_centre, faces = triangle((0.4, 0.4, 1.0), (0.4, 0.7, 1.0), (0.7, 0.4, 1.0))
    rasterizer = default_rasterizer()
    seen = rasterizer(around_first_centre, faces, 3, 4).face[0] >= 0
    assert seen.nonzero().tolist() == [[0, 0]]
    # The same triangle around a pixel's corner contains no centre.
    around_corner = around_first_centre + torch.tensor([0.5, 0.5, 0.0])
    assert not (rasterizer(around_corner, faces, 3, 4).face >= 0).any()
    # Positions are x first: two columns right, one row down.
    moved = around_first_centre + torch.tensor([2.0, 1.0, 0.0])
    assert (rasterizer(moved, faces, 3, 4).face[0] >= 0).nonzero().tolist() == [[1, 2]]

    image = torch.rand(1, 3, 3, 4)
    x, y = torch.meshgrid(torch.arange(4) + 0.5, torch.arange(3) + 0.5, indexing="xy")
    grid = torch.stack([x / 4, y / 3], -1)[None] * 2 - 1
    torch.testing.assert_close(grid_sample(image, grid, align_corners=False), image)


def test_convention_crop_to_photo() -> None:
    # Grey rises by one a column and by two a row, so a pixel's colour says where it lies.
    columns, rows = np.meshgrid(np.arange(60) + 0.5, np.arange(90) + 0.5)
    photo = np.repeat((columns + 2 * rows - 1.5).astype(np.uint8)[..., None], 3, axis=2)
    found = detection((20, 40, 44, 64))
    face = align(photo, found, size=18)
    scale, offset_x, offset_y = face.crop_to_photo[0].tolist()
    offset = torch.tensor([offset_x, offset_y])
    torch.testing.assert_close(face.landmarks[0] * scale + offset, torch.from_numpy(found.landmarks), atol=1e-3, rtol=0)
    x, y = torch.meshgrid(torch.arange(18) + 0.5, torch.arange(18) + 0.5, indexing="xy")
    expected = (scale * x + offset_x) + 2 * (scale * y + offset_y) - 1.5
    torch.testing.assert_close(face.image[0, 0] * 255, expected, atol=1.0, rtol=0)


def test_convention_masks() -> None:
    photo = np.full((60, 60, 3), 128, np.uint8)
    valid = align(photo, detection((-10, 20, 20, 50)), size=20).valid  # reaches over the photo's left edge
    assert valid.shape == (1, 1, 20, 20)
    assert valid.dtype == torch.float32
    assert valid.unique().tolist() == [0.0, 1.0]
    assert valid[0, 0, 10, 0] == 0
    assert valid[0, 0, 10, -1] == 1


# Texture space


def uv_of_landmarks() -> Tensor:
    """(478, 2) where the landmarks lie in the map."""
    corners = head().uv[head().uv_triangles[head().landmark_triangles]]
    return (corners * head().landmark_barycentrics[..., None]).sum(1)


def test_convention_uv_origin() -> None:
    assert head().uv.min() >= 0
    assert head().uv.max() <= 1
    v = uv_of_landmarks()[:, 1]
    assert v[FOREHEAD] < v[NOSE_TIP] < v[CHIN]


def test_convention_texel_centres() -> None:
    side = 64
    atlas = build_atlas(head(), default_rasterizer(), side)
    uv = (head().uv[head().uv_triangles[atlas.face]] * atlas.weights[..., None]).sum(1)[atlas.inside]
    texel = atlas.texel[atlas.inside]
    centres = torch.stack([texel % side + 0.5, texel // side + 0.5], 1) / side
    assert len(texel) > 500
    torch.testing.assert_close(uv, centres, atol=1e-4, rtol=0)
    # A map that holds its own coordinates gives them back when it is looked up there.
    v, u = torch.meshgrid((torch.arange(side) + 0.5) / side, (torch.arange(side) + 0.5) / side, indexing="ij")
    looked_up = sample_texture(torch.stack([u, v])[None], uv.T[None, :, None])
    torch.testing.assert_close(looked_up[0, :, 0].T, uv, atol=1e-4, rtol=0)


def test_convention_uv_flip() -> None:
    u = uv_of_landmarks()[:, 0]
    assert u[RIGHT_EYE] < 0.5 < u[LEFT_EYE]
    assert u[NOSE_TIP] == pytest.approx(0.5, abs=0.01)
    # Rasterised in UV space, left and right are each other's mirror image, texel by texel.
    side = 128
    positions = torch.cat([head().uv * side, torch.ones(len(head().uv), 1)], 1)[None]
    fragments = default_rasterizer()(positions, head().uv_triangles, side, side)
    face = (fragments.face >= 0) & (head().regions[fragments.face.clamp(min=0)] == Region.FACE)
    assert face.any()
    assert (face != face.flip(-1)).float().mean() < 0.002
    surface = interpolate(fragments, head().template[None], head().triangles)
    mirrored = surface.flip(-1) * torch.tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1)
    both = face & face.flip(-1)
    assert (surface - mirrored).norm(dim=1)[both].mean() < 0.0005


def test_convention_texture_is_albedo_times_shading() -> None:
    albedo, shading, residual = (low + torch.rand(1, 3, 64, 64) for low in (0, 0.1, 0.5))
    unseen = PartialTexture(torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64))
    photographed = PhotographedTexture(UvRenderer(head(), default_rasterizer(), 64))
    texture = photographed(unseen, albedo, shading, residual)
    torch.testing.assert_close(texture.texture, albedo * shading * residual)
    torch.testing.assert_close(delight(texture.texture / residual, shading), albedo)
    torch.testing.assert_close(photographed(unseen, albedo, shading).texture, albedo * shading)


# Space


def test_convention_metres() -> None:
    points = neutral_landmarks()
    assert 0.07 < (points[LEFT_EYE] - points[RIGHT_EYE]).norm() < 0.11
    assert 0.10 < (points[FOREHEAD] - points[CHIN]).norm() < 0.22


def test_convention_axes() -> None:
    points = neutral_landmarks()
    assert points[RIGHT_EYE, 0] < 0 < points[LEFT_EYE, 0]  # the subject's left is to the viewer's right
    assert points[CHIN, 1] < points[NOSE_TIP, 1] < points[FOREHEAD, 1]
    assert points[NOSE_TIP, 2] > points[[RIGHT_EYE, LEFT_EYE], 2].max()


def test_convention_camera() -> None:
    points = torch.tensor([[[0.0, 0.0, -2.0], [0.1, 0.0, -2.0], [0.0, 0.1, -2.0], [0.1, 0.1, -4.0]]])
    expected = torch.tensor([[[100.0, 100.0, 2.0], [120.0, 100.0, 2.0], [100.0, 80.0, 2.0], [110.0, 90.0, 4.0]]])
    torch.testing.assert_close(camera().project(points), expected)


def test_convention_camera_resized() -> None:
    points = torch.tensor([[[0.03, -0.02, -0.7]]])
    x, y, depth = camera().project(points).unbind(-1)
    smaller = camera().resized(50, 50)
    assert (smaller.height, smaller.width) == (50, 50)
    torch.testing.assert_close(smaller.project(points), torch.stack([x / 4, y / 4, depth], -1))


def test_convention_pose() -> None:
    """A head turned by +30 degrees about y, 1 m before the camera: the nose moves to the viewer's right."""
    angle = math.radians(30)
    rotation = torch.tensor(
        [[math.cos(angle), 0.0, math.sin(angle)], [0.0, 1.0, 0.0], [-math.sin(angle), 0.0, math.cos(angle)]]
    )
    translation = torch.tensor([0.02, -0.01, -1.0])
    fit = Fit(
        identity=torch.zeros(1, len(head().identity_basis)),
        expression=torch.zeros(1, len(EXPRESSIONS)),
        rotation=rotation[None],
        translation=translation[None],
        light=torch.zeros(1, 9, 3),
        camera=camera(),
    )
    posed = pose_head(head(), fit)
    one_by_one = torch.stack([rotation @ vertex + translation for vertex in head().template])
    torch.testing.assert_close(posed.vertices[0], one_by_one, atol=1e-6, rtol=0)
    pixels = head().landmarks(posed.positions)[0]
    eyes = pixels[[RIGHT_EYE, LEFT_EYE]].mean(0)
    assert pixels[NOSE_TIP, 0] > eyes[0] + 2


def test_convention_triangle_orientation() -> None:
    a, b, c = head().template[head().triangles[head().regions == Region.FACE]].unbind(1)
    normals = torch.linalg.cross(b - a, c - a)
    outward = (a + b + c) / 3 - head().template.mean(0)
    assert ((normals * outward).sum(-1) > 0).float().mean() > 0.9


def test_convention_fragments() -> None:
    near, _ = triangle((0.0, 0.0, 1.0), (0.0, 8.0, 1.0), (8.0, 0.0, 3.0))
    far = near + torch.tensor([0.0, 0.0, 1.0])
    positions = torch.cat([far, near], 1)
    fragments: Fragments = default_rasterizer()(positions, torch.tensor([[0, 1, 2], [3, 4, 5]]), 8, 8)
    assert fragments.face[0, 0, 0] == 1
    empty = fragments.face < 0
    assert fragments.face[0, 7, 7] == -1
    assert (fragments.barycentric[empty] == 0).all()
    assert torch.isinf(fragments.depth[empty]).all()
    # On the edge from depth 1 to depth 3, half way on the screen is a quarter of the way in space.
    middle, row, column = default_rasterizer()(near, torch.tensor([[0, 1, 2]]), 8, 8), 0, 3
    ahead = (column + 0.5) / 8
    weight = (ahead / 3) / (ahead / 3 + (1 - ahead) / 1)
    assert middle.barycentric[0, row, column, 2] == pytest.approx(weight, abs=1e-5)
    assert middle.depth[0, row, column] == pytest.approx(1 + 2 * weight, abs=1e-5)


# Light


def test_convention_light_order() -> None:
    x, y, z = normal = torch.nn.functional.normalize(torch.tensor([0.3, -0.5, 0.8]), dim=0)
    a, b, c = math.sqrt(3 / (4 * math.pi)), math.sqrt(15 / (4 * math.pi)), math.sqrt(5 / (16 * math.pi))
    one = torch.tensor(1 / math.sqrt(4 * math.pi))
    last = math.sqrt(15 / (16 * math.pi)) * (x * x - y * y)
    expected = torch.stack([one, a * y, a * z, a * x, b * x * y, b * y * z, c * (3 * z * z - 1), b * x * z, last])
    torch.testing.assert_close(sh_basis(normal), expected)
    # Orthonormal over the sphere: the mean of the products over random directions is 1 / (4 pi) on the diagonal.
    directions = torch.nn.functional.normalize(
        torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0)), dim=1
    )
    basis = sh_basis(directions)
    torch.testing.assert_close(4 * math.pi * basis.T @ basis / len(basis), torch.eye(9), atol=0.02, rtol=0)


def test_convention_light_direction() -> None:
    light = torch.zeros(1, 9, 3)
    light[0, 0] = 2.0
    light[0, 1, 0] = 0.5  # y: red from above
    light[0, 2, 1] = 0.5  # z: green from the camera
    light[0, 3, 2] = 0.5  # x: blue from the viewer's right
    up, towards, right = shade(torch.eye(3)[[1, 2, 0]][None], light)[0]
    assert up.argmax() == 0
    assert towards.argmax() == 1
    assert right.argmax() == 2


def test_convention_shading_floor() -> None:
    light = torch.zeros(1, 9, 3)
    light[0, 0] = -10.0
    torch.testing.assert_close(shade(torch.tensor([[[0.0, 0.0, 1.0]]]), light), torch.full((1, 1, 3), 0.05))


def test_convention_shading_is_grey_in_the_openings() -> None:
    normals = torch.nn.functional.normalize(torch.randn(1, 5, 3), dim=-1)
    light = torch.zeros(1, 9, 3)
    light[:, 0], light[:, 1] = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([0.1, 0.2, 0.3])
    coloured, mixed = shade(normals, light), shade(normals, light, torch.tensor([[True, False, True, False, False]]))
    expected = (coloured.log() @ torch.tensor([0.299, 0.587, 0.114])).exp()[..., None].expand(-1, -1, 3)
    torch.testing.assert_close(mixed[:, [0, 2]], expected[:, [0, 2]])
    assert torch.equal(mixed[:, [1, 3, 4]], coloured[:, [1, 3, 4]])
    assert head().openings.tolist() == [region in OPENINGS for region in head().regions.tolist()]


# Faces


def test_convention_coefficients() -> None:
    spread = head().identity_basis.flatten(1).norm(dim=1)
    # Strength is counted where the baking weighs the head, mostly on the face: the whole head follows it loosely.
    tenths = torch.stack([part.mean() for part in spread.chunk(10)])
    assert tenths.argmax() == 0
    assert tenths[-1] < tenths[0] / 3
    identity, expression = torch.zeros(1, len(head().identity_basis)), torch.zeros(1, len(EXPRESSIONS))
    identity[0, 0], expression[0, EXPRESSIONS.index("jawOpen")] = 2.0, 0.5
    expected = (
        head().template + 2 * head().identity_basis[0] + 0.5 * head().expression_basis[EXPRESSIONS.index("jawOpen")]
    )
    torch.testing.assert_close(head().vertices(identity, expression)[0], expected)
    # One standard deviation moves the head by millimetres; a fully open jaw drops the chin by more than a centimetre.
    assert 0.0001 < head().identity_basis[0].norm(dim=-1).mean() < 0.02
    opened = head().template + head().expression_basis[EXPRESSIONS.index("jawOpen")]
    assert neutral_landmarks()[CHIN, 1] - head().landmarks(opened[None])[0, CHIN, 1] > 0.01


def test_convention_expression_names() -> None:
    assert len(EXPRESSIONS) == len(set(EXPRESSIONS)) == 52 == len(head().expression_basis)
    assert EXPRESSIONS[:3] == ("browDownLeft", "browDownRight", "browInnerUp")
    assert EXPRESSIONS[-1] == "tongueOut"
    assert all(re.fullmatch("[a-z]+([A-Z][a-z]+)+", name) for name in EXPRESSIONS)


@pytest.mark.parametrize("name", ["eyeBlinkLeft", "mouthSmileLeft", "browDownLeft", "noseSneerLeft"])
def test_convention_left_is_the_subjects(name: str) -> None:
    moved = head().expression_basis[EXPRESSIONS.index(name)].norm(dim=-1)
    assert (moved * head().template[:, 0]).sum() / moved.sum() > 0.005


def test_convention_mirror() -> None:
    assert EXPRESSIONS[EXPRESSION_MIRROR[EXPRESSIONS.index("jawLeft")]] == "jawRight"
    assert head().expression_mirror.tolist() == list(EXPRESSION_MIRROR)
    generator = torch.Generator().manual_seed(0)
    identity = torch.randn(1, len(head().identity_basis), generator=generator)
    expression = torch.rand(1, len(EXPRESSIONS), generator=generator)
    vertices = head().vertices(identity, expression)
    other = head().vertices(head().mirror_identity(identity), head().mirror_expression(expression))
    reflected = vertices[:, head().vertex_mirror] * torch.tensor([-1.0, 1.0, 1.0])
    assert (other - reflected).norm(dim=-1).mean() < 0.0005


def test_convention_landmarks() -> None:
    points = neutral_landmarks()
    assert points.shape == (478, 3)
    assert points[:468, 2].argmax().item() in (1, 4)  # the nose tip lies foremost
    assert points[468, 0] < 0 < points[473, 0]  # the irises: the subject's right, then the left
    upper_lip, lower_lip = points[13], points[14]
    assert lower_lip[1] < upper_lip[1] < points[NOSE_TIP, 1]
