"""The baked head: sizes, symmetry, atlas, landmarks, and refusal of wrong files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ftim.errors import ModelFileError
from ftim.morphable import EXPRESSIONS, MorphableModel, Region, load_open_head
from ftim.morphable.open_head import OPEN_HEAD_PATH, OPEN_HEAD_VERSION, save_open_head
from ftim.render.rasterizer import default_rasterizer


@pytest.fixture(scope="module")
def head() -> MorphableModel:
    return load_open_head()


def test_size_of_the_file_and_the_bases(head: MorphableModel) -> None:
    assert OPEN_HEAD_PATH.stat().st_size < 8_000_000
    assert int((head.identity_mirror > 0).sum()) >= 80
    assert head.expression_basis.shape == (52, len(head.template), 3)
    assert (head.expression_basis.abs().amax((1, 2)) > 1e-3).all(), "every expression moves something by a millimetre"
    assert set(head.regions.tolist()) == {int(region) for region in Region}


def test_metres_and_axes(head: MorphableModel) -> None:
    low, high = head.template.min(0).values, head.template.max(0).values
    assert 0.15 < float(high[0] - low[0]) < 0.20, "an adult head with ears is 15 to 20 cm wide"
    nose, chin, left_eye = head.landmarks(head.template[None])[0][[1, 152, 473]]
    assert nose[2] > left_eye[2] and chin[1] < nose[1] < left_eye[1] and left_eye[0] > 0


def test_mirroring_a_head_mirrors_its_vertices(head: MorphableModel) -> None:
    generator = torch.Generator().manual_seed(0)
    identity = torch.randn(2, len(head.identity_basis), generator=generator)
    expression = torch.rand(2, 52, generator=generator)
    vertices = head.vertices(identity, expression)
    mirrored = head.vertices(head.mirror_identity(identity), head.mirror_expression(expression))
    flip = torch.tensor([-1.0, 1.0, 1.0])
    assert (vertices[:, head.vertex_mirror] * flip - mirrored).abs().max() < 1e-4


def test_atlas_is_symmetric_inside_the_square_and_without_overlap(head: MorphableModel) -> None:
    assert head.uv.min() >= 0 and head.uv.max() <= 1
    corners = head.uv[head.uv_triangles]
    mirrored_triangle = {tuple(sorted(t)): i for i, t in enumerate(head.triangles.tolist())}
    partner = [mirrored_triangle[tuple(sorted(t))] for t in head.vertex_mirror[head.triangles].tolist()]
    flipped = corners * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])
    assert (corners[partner].mean(1) - flipped.mean(1)).abs().max() < 1e-6
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    main = (head.regions == Region.FACE) | (head.regions == Region.SCALP)
    assert (area[main] < 0).all(), "seen from outside, u to the right and v down, triangles run clockwise"


def test_no_two_triangles_share_a_texel(head: MorphableModel) -> None:
    size = 512
    corners = head.uv[head.uv_triangles]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).abs().sum() * size**2
    flat = torch.cat([head.uv * size, torch.ones(len(head.uv), 1)], 1)[None]
    covered = (default_rasterizer()(flat, head.uv_triangles, size, size).face >= 0).sum()
    assert abs(float(area) / float(covered) - 1) < 0.005


def test_face_has_most_of_the_texels(head: MorphableModel) -> None:
    corners = head.uv[head.uv_triangles]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).abs()
    inner = (head.regions != Region.EARS) & (head.regions != Region.SCALP) & (head.regions != Region.NECK)
    assert area[head.regions == Region.FACE].sum() > 0.5 * area.sum()
    assert area[inner].sum() > 0.6 * area.sum(), "with eyes and mouth"


def test_landmarks_lie_on_skin_and_eyes(head: MorphableModel) -> None:
    regions = head.regions[head.landmark_triangles]
    assert (regions[:468] == Region.FACE).float().mean() > 0.9
    assert (regions[468:] == Region.EYES).all()
    points = head.landmarks(head.template[None])[0]
    lips = points[[13, 14]]
    assert (lips[0] - lips[1]).norm() < 0.006, "the mouth of the mean head is closed"


def test_jaw_opens_the_mouth(head: MorphableModel) -> None:
    expression = torch.zeros(1, 52)
    expression[0, EXPRESSIONS.index("jawOpen")] = 1
    points = head.landmarks(head.vertices(torch.zeros(1, len(head.identity_basis)), expression))[0]
    assert points[13, 1] - points[14, 1] > 0.02


def test_saving_again_gives_the_same_bytes(head: MorphableModel, tmp_path: Path) -> None:
    save_open_head(head, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == OPEN_HEAD_PATH.read_bytes()


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"absent\.safetensors"):
        load_open_head(tmp_path / "absent.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("not a model")
    with pytest.raises(ModelFileError, match=r"text\.safetensors"):
        load_open_head(text)
    tensors = load_file(OPEN_HEAD_PATH)
    old = tmp_path / "old.safetensors"
    save_file(tensors, old, metadata={"version": str(OPEN_HEAD_VERSION + 1)})
    with pytest.raises(ModelFileError, match="version"):
        load_open_head(old)
    del tensors["uv"]
    save_file(tensors, old, metadata={"version": str(OPEN_HEAD_VERSION)})
    with pytest.raises(ModelFileError, match="tensors"):
        load_open_head(old)


def test_coefficients_of_the_wrong_length(head: MorphableModel) -> None:
    with pytest.raises(ValueError, match="open-head"):
        head.vertices(torch.zeros(1, 3), torch.zeros(1, 52))
