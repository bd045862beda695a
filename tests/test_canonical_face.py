from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ftim import landmarks
from ftim.canonical_face import MEMBER, CanonicalFace, load_canonical_face, parse_canonical_face, wire_fields
from ftim.errors import ModelFileError
from ftim.landmarks import LANDMARK_COUNT, LANDMARK_MIRROR, MESH_LANDMARK_COUNT, mirror_landmarks


@pytest.fixture(scope="module")
def face() -> CanonicalFace:
    return load_canonical_face()


def test_shapes(face: CanonicalFace) -> None:
    assert face.vertices.shape == (468, 3) and face.uv.shape == (468, 2) and face.triangles.shape == (898, 3)
    assert set(face.triangles.ravel()) == set(range(MESH_LANDMARK_COUNT))


def test_convention_x_right_y_up_z_to_the_viewer_metres(face: CanonicalFace) -> None:
    vertices = face.vertices
    assert vertices[landmarks.LEFT_EYE_OUTER, 0] > 0 > vertices[landmarks.RIGHT_EYE_OUTER, 0]
    assert vertices[landmarks.FOREHEAD_TOP, 1] == vertices[:, 1].max() and vertices[landmarks.CHIN, 1] < 0
    assert vertices[landmarks.NOSE_TIP, 2] > vertices[landmarks.CHIN, 2]
    assert 0.14 < np.ptp(vertices[:, 0]) < 0.17  # a face is about 15 cm wide
    assert face.uv[landmarks.FOREHEAD_TOP, 1] < 0.2 and face.uv[landmarks.CHIN, 1] > 0.9  # v runs down


def test_convention_triangles_turn_counter_clockwise(face: CanonicalFace) -> None:
    a, b, c = np.moveaxis(face.vertices[face.triangles], 1, 0)
    assert (np.cross(b - a, c - a)[:, 2] > 0).mean() > 0.95


def test_mirror_table_is_the_mirror_of_the_canonical_face(face: CanonicalFace) -> None:
    mesh = np.array(LANDMARK_MIRROR[:MESH_LANDMARK_COUNT])
    assert np.allclose(face.vertices[mesh] * [-1, 1, 1], face.vertices, atol=1e-7)


def test_mirror_table_undoes_itself() -> None:
    table = np.array(LANDMARK_MIRROR)
    assert len(table) == LANDMARK_COUNT and np.array_equal(table[table], np.arange(LANDMARK_COUNT))
    assert LANDMARK_MIRROR[landmarks.RIGHT_IRIS] == landmarks.LEFT_IRIS
    assert LANDMARK_MIRROR[landmarks.MOUTH_RIGHT] == landmarks.MOUTH_LEFT


def test_mirror_landmarks() -> None:
    points = np.random.default_rng(0).uniform(0, 100, (2, LANDMARK_COUNT, 2))
    mirrored = mirror_landmarks(points, 100)
    assert np.allclose(mirrored[:, landmarks.LEFT_EYE_OUTER, 0], 100 - points[:, landmarks.RIGHT_EYE_OUTER, 0])
    assert np.allclose(mirror_landmarks(mirrored, 100), points)


def test_wire_fields_of_every_kind() -> None:
    # Field 1 varint 300, field 2 bytes, field 3 32-bit, field 4 64-bit.
    message = b"\x08\xac\x02" + b"\x12\x03abc" + b"\x1d" + struct.pack("<f", 1.5) + b"\x21" + struct.pack("<d", 2.5)
    assert list(wire_fields(message)) == [
        (1, 300),
        (2, b"abc"),
        (3, struct.pack("<f", 1.5)),
        (4, struct.pack("<d", 2.5)),
    ]
    for length in (1, 4, 6, 9, 15):
        with pytest.raises(ValueError, match="ends inside"):
            list(wire_fields(message[:length]))


def test_packed_and_single_numbers_are_read_alike() -> None:
    numbers = np.arange(15, dtype="<f4")
    single = b"".join(b"\x1d" + number.tobytes() for number in numbers) + b"\x20\x00\x20\x01\x20\x02"
    packed = b"\x1a" + bytes([60]) + numbers.tobytes() + b"\x22\x03\x00\x01\x02"
    for mesh in (single, packed):
        parsed = parse_canonical_face(b"\x0a" + bytes([len(mesh)]) + mesh)
        assert np.allclose(parsed.vertices, numbers.reshape(3, 5)[:, :3] / 100)
        assert parsed.triangles.tolist() == [[0, 1, 2]]


def test_file_without_the_mesh(tmp_path: Path) -> None:
    (tmp_path / "text.task").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "empty.task", "w") as archive:
        archive.writestr("other", b"")
    with zipfile.ZipFile(tmp_path / "damaged.task", "w") as archive:
        archive.writestr(MEMBER, b"\x0a\x05\x08")
    for name in ("text.task", "empty.task", "damaged.task"):
        with pytest.raises(ModelFileError, match=name):
            load_canonical_face(tmp_path / name)
