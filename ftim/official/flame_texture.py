"""FLAME's texture space and UV, read from the official files."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ftim.errors import OfficialLayoutError
from ftim.official.flame import TRIANGLES, VERTICES
from ftim.official.layout import READ_ERRORS, check_array, check_indices, to_tensor, unreadable, wrong
from ftim.structures import Batched

UV_SIDE = 256
"""Texels a side that DECA works with."""
UV_VERTICES = 5118
COMPONENTS = 50
"""How many of the texture components DECA uses."""
_FILE_SIDE = 512
_LAYOUTS: dict[str, tuple[str, str, int, float]] = {
    "FLAME_albedo_from_BFM.npz": ("MU", "PC", 199, 1.0),
    "FLAME_texture.npz": ("mean", "tex_dir", 200, 255.0),
}
"""Names of mean and components, number of components, and what counts as 1."""


@dataclass(frozen=True)
class FlameTexture(Batched):
    """A linear model of albedo in FLAME's UV."""

    mean: Tensor
    """(3, 256, 256) RGB in [0, 1], row 0 on top."""
    basis: Tensor
    """(50, 3, 256, 256)."""

    def albedo(self, code: Tensor) -> Tensor:
        """(B, 50) -> (B, 3, 256, 256) RGB, about [0, 1]."""
        return self.mean + (code @ self.basis.flatten(1)).view(-1, *self.mean.shape)


@dataclass(frozen=True)
class FlameUv(Batched):
    """FLAME's surface in its texture."""

    uv: Tensor
    """(5118, 2) in [0, 1], origin top-left, v down."""
    uv_triangles: Tensor
    """(F, 3) indices into ``uv``."""
    triangles: Tensor
    """(F, 3) vertex indices: the same corners as ``uv_triangles``."""


def load_flame_texture(path: Path) -> FlameTexture:
    """Read either texture space. Raises ``OfficialLayoutError``.

    Of 512 x 512 texels every second one of every second row is kept, as DECA does.
    """
    mean_name, basis_name, components, unit = _LAYOUTS[path.name]
    texels = 3 * _FILE_SIDE**2
    try:
        with zipfile.ZipFile(path) as archive:
            for name in (mean_name, basis_name):
                if f"{name}.npy" not in archive.namelist():
                    raise wrong(path, f"it has no {name}")
            with archive.open(f"{mean_name}.npy") as member:
                mean = _leading_columns(member, (texels, 1), 1, path, mean_name)
            with archive.open(f"{basis_name}.npy") as member:
                basis = _leading_columns(member, (texels, components), COMPONENTS, path, basis_name)
    except OfficialLayoutError:
        raise
    except READ_ERRORS as error:
        raise unreadable(path, error) from error
    # The files hold blue, green, red.
    return FlameTexture(
        mean=to_tensor(mean[:, :, ::-1, 0].transpose(2, 0, 1) / unit),
        basis=to_tensor(basis[:, :, ::-1].transpose(3, 2, 0, 1) / unit),
    )


def _leading_columns(stream: IO[bytes], shape: tuple[int, int], count: int, path: Path, name: str) -> np.ndarray:
    """(256, 256, 3, count) float32: the first columns of a (texels x 3, columns) array, halved in height and width.

    Read picture row by picture row: the whole array has more than a gigabyte.
    """
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    found, by_columns, kind = read_header(stream)
    length = int(np.prod(found, dtype=np.int64))
    columns = found[-1] if shape[1] > 1 and found else 1
    if kind.kind not in "fiu" or by_columns or length != shape[0] * shape[1] or columns != shape[1]:
        raise wrong(path, f"{name} has shape {found} of {kind}, expected {shape} of numbers, row by row")
    row_bytes = _FILE_SIDE * 3 * shape[1] * kind.itemsize
    kept = np.empty((UV_SIDE, UV_SIDE, 3, count), dtype=np.float32)
    for row in range(_FILE_SIDE):
        data = stream.read(row_bytes)
        if len(data) != row_bytes:
            raise EOFError(f"{name} ends in row {row}")
        if row % 2 == 0:
            kept[row // 2] = np.frombuffer(data, kind).reshape(_FILE_SIDE, 3, shape[1])[::2, :, :count]
    return check_array(kept, kept.shape, path, name)


def load_flame_uv(path: Path, triangles: Tensor) -> FlameUv:
    """Read the UV of ``head_template.obj`` or of ``FLAME_texture.npz``; ``triangles`` are those of the head's file.

    Raises ``OfficialLayoutError``.
    """
    try:
        uv, uv_corners, corners = _read_obj(path) if path.suffix == ".obj" else _read_npz(path)
    except OfficialLayoutError:
        raise
    except READ_ERRORS as error:
        raise unreadable(path, error) from error
    uv = check_array(uv, (UV_VERTICES, 2), path, "vt").astype(np.float32)
    if uv.min() < -0.01 or uv.max() > 1.01:
        raise wrong(path, "its texture coordinates leave [0, 1]")
    uv_triangles = check_indices(uv_corners, (TRIANGLES, 3), 0, UV_VERTICES - 1, path, "the triangles in the texture")
    if corners is not None:
        triangles = check_indices(corners, (TRIANGLES, 3), 0, VERTICES - 1, path, "the triangles")
    flipped = torch.from_numpy(np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1))
    return FlameUv(flipped, uv_triangles, triangles)


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray, None]:
    with np.load(path, allow_pickle=False) as tree:
        if not {"vt", "ft"} <= set(tree.files):
            raise wrong(path, "it has no vt and ft")
        return tree["vt"], tree["ft"], None


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texture coordinates, and the corners of the triangles in the texture and on the head, counted from 0."""
    coordinates: list[list[float]] = []
    faces: list[list[list[int]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, *words = line.split() or [""]
        if kind == "vt":
            coordinates.append([float(word) for word in words[:2]])
        elif kind == "f":
            faces.append([[int(number) for number in word.split("/")[:2]] for word in words])
    corners = np.array(faces, dtype=np.int64)
    if corners.shape != (TRIANGLES, 3, 2):
        raise wrong(path, f"it has faces of shape {corners.shape}, expected {(TRIANGLES, 3, 2)}")
    return np.array(coordinates), corners[..., 1] - 1, corners[..., 0] - 1
