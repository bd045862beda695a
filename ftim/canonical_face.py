"""MediaPipe's canonical face, read from the face landmarker file.

The file is a zip whose member ``geometry_pipeline_metadata_landmarks.binarypb`` is a protocol buffer
(``mediapipe.tasks.vision.face_geometry.proto.GeometryPipelineMetadata``). Only four of its fields are
needed, so they are read from the wire format directly instead of compiling a schema.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ftim.assets import asset_path
from ftim.errors import ModelFileError

MEMBER = "geometry_pipeline_metadata_landmarks.binarypb"

# Field numbers of the schema.
_CANONICAL_MESH = 1
_VERTEX_BUFFER = 3
_INDEX_BUFFER = 4
_FLOATS_PER_VERTEX = 5  # x, y, z, u, v
_METRES_PER_CENTIMETRE = 0.01


@dataclass(frozen=True)
class CanonicalFace:
    """The neutral face mesh to which the first 468 face landmarks correspond, one vertex each."""

    vertices: np.ndarray
    """(468, 3) float64 metres; x to the viewer's right, y up, z to the viewer."""
    uv: np.ndarray
    """(468, 2) float64 in [0, 1], origin top-left, v down."""
    triangles: np.ndarray
    """(898, 3) int64, counter-clockwise seen from the front; the eyes and the mouth are closed by triangles."""


def load_canonical_face(path: Path | None = None) -> CanonicalFace:
    """The canonical face of a ``face_landmarker.task`` file (default: the asset of that name).

    Raises ``ModelFileError`` when the file holds no such mesh.
    """
    path = path or asset_path("face_landmarker.task")
    try:
        with zipfile.ZipFile(path) as archive:
            message = archive.read(MEMBER)
        return parse_canonical_face(message)
    except (zipfile.BadZipFile, KeyError, ValueError, struct.error) as error:
        raise ModelFileError(f"{path} holds no canonical face mesh ({MEMBER}): {error}") from error


def parse_canonical_face(message: bytes) -> CanonicalFace:
    """The mesh in a serialised ``GeometryPipelineMetadata``. Raises ``ValueError`` for anything else."""
    meshes = [value for field, value in wire_fields(message) if field == _CANONICAL_MESH and isinstance(value, bytes)]
    if len(meshes) != 1:
        raise ValueError(f"expected one canonical mesh, found {len(meshes)}")
    floats: list[float] = []
    indices: list[int] = []
    for field, value in wire_fields(meshes[0]):
        if field == _VERTEX_BUFFER:
            # A repeated float is written one by one, or packed into one byte string.
            if isinstance(value, int) or len(value) % 4:
                raise ValueError("the vertex buffer does not hold 32-bit floats")
            floats.extend(struct.unpack(f"<{len(value) // 4}f", value))
        elif field == _INDEX_BUFFER:
            indices.extend([value] if isinstance(value, int) else _varints(value))
    if not floats or len(floats) % _FLOATS_PER_VERTEX or not indices or len(indices) % 3:
        raise ValueError(f"{len(floats)} vertex numbers and {len(indices)} indices do not make a mesh")
    buffer = np.asarray(floats, dtype=np.float64).reshape(-1, _FLOATS_PER_VERTEX)
    triangles = np.asarray(indices, dtype=np.int64).reshape(-1, 3)
    if triangles.max() >= len(buffer):
        raise ValueError(f"triangle corner {triangles.max()} of a mesh with {len(buffer)} vertices")
    return CanonicalFace(buffer[:, :3] * _METRES_PER_CENTIMETRE, buffer[:, 3:], triangles)


def wire_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer message in order: number, and an integer (varint) or the raw bytes.

    https://protobuf.dev/programming-guides/encoding/. Raises ``ValueError`` when the message is cut short.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        field, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield field, value
            continue
        if wire_type == 2:
            length, position = _varint(message, position)
        elif wire_type in (1, 5):
            length = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"unknown wire type {wire_type} at byte {position}")
        if position + length > len(message):
            raise ValueError(f"the message ends inside field {field}")
        yield field, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The base-128 integer at a position, and the position behind it."""
    value = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise ValueError("the message ends inside an integer")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _varints(packed: bytes) -> Iterator[int]:
    position = 0
    while position < len(packed):
        value, position = _varint(packed, position)
        yield value
