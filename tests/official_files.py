"""Files of the layout of DECA's, FLAME's and Deng's, with contents that are known: random numbers and our own heads.

The FLAME file holds the open head's skin and eyeballs, padded with points and triangles that show nothing; Deng's holds
a sphere of one decimetre.
"""

from __future__ import annotations

import math
import pickle
import struct
import sys
import types
import zipfile
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ftim.landmarks import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)
from ftim.morphable import MorphableModel, Region, load_open_head
from ftim.official.crops import DENG_POINTS
from ftim.official.flame import TRIANGLES, VERTICES
from ftim.official.mesh import skin_vertices
from ftim.official.networks import DecaEncoder, DengEncoder, DetailDecoder
from ftim.structures import Face
from tests.synthetic_head import RADIUS, synthetic_head

SIDE = 224
JOINT_VERTICES = (10, 20, 30, 40, 50)
"""In the FLAME file each joint lies on one vertex."""
JAW_FULL, JAW_HALF = 100, 101
"""Vertices that the jaw moves wholly, and with half its weight."""


@cache
def open_head() -> MorphableModel:
    return load_open_head()


@cache
def flame_parts() -> tuple[Tensor, Tensor, Tensor]:
    """The open head's vertices that the FLAME file holds, its triangles in the file's numbers, and in the head's."""
    head = open_head()
    skin = skin_vertices(head.triangles, len(head.template))
    balls = torch.unique(head.triangles[head.regions == int(Region.EYES)])
    kept = torch.unique(torch.cat([skin, balls]))
    numbers = torch.full((len(head.template),), -1)
    numbers[kept] = torch.arange(len(kept))
    chosen = (numbers[head.triangles] >= 0).all(1).nonzero()[:, 0]
    return kept, numbers[head.triangles[chosen]], chosen


def flame_tree(identity: Tensor | None = None) -> dict[str, Any]:
    """The dictionary of the file: the open head of an identity (K,), by default the mean, as FLAME's template."""
    head = open_head()
    kept, triangles, _ = flame_parts()
    identity = torch.zeros(len(head.identity_basis)) if identity is None else identity
    vertices = head.vertices(identity[None], torch.zeros(1, len(head.expression_basis)))[0, kept]
    template = np.zeros((VERTICES, 3))
    template[: len(kept)] = vertices.numpy()
    corners = np.zeros((TRIANGLES, 3), dtype=np.uint32)
    corners[: len(triangles)] = triangles.numpy()
    rng = np.random.default_rng(0)
    directions = np.zeros((VERTICES, 3, 400))
    directions[:, 1, 0] = 0.003
    directions[:, 2, 300] = 0.002
    directions[..., 99:300] = 0.01 * rng.standard_normal((VERTICES, 3, 1))
    directions[..., 99] = 0
    bends = 1e-3 * rng.standard_normal((VERTICES, 3, 36))
    joints = np.zeros((5, VERTICES))
    joints[range(5), JOINT_VERTICES] = 1
    weights = np.zeros((VERTICES, 5))
    weights[:, 1] = 1
    weights[JAW_FULL] = (0, 0, 1, 0, 0)
    weights[JAW_HALF] = (0, 0.5, 0.5, 0, 0)
    return {
        "f": corners,
        "v_template": template,
        "shapedirs": directions,
        "posedirs": bends,
        "J_regressor": joints,
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], dtype=np.uint32),
        "weights": weights,
        "J": template[list(JOINT_VERTICES)],
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def write_flame(path: Path, tree: dict[str, Any]) -> None:
    """As Python 2 wrote it: chumpy arrays, a sparse matrix of old scipy, protocol 2, bytes as strings."""
    chumpy, sparse = types.ModuleType("chumpy.ch"), types.ModuleType("scipy.sparse.csc")
    Ch = type("Ch", (), {"__module__": "chumpy.ch"})
    Csc = type("csc_matrix", (), {"__module__": "scipy.sparse.csc"})
    vars(chumpy)["Ch"], vars(sparse)["csc_matrix"] = Ch, Csc
    modules = {"chumpy": types.ModuleType("chumpy"), "chumpy.ch": chumpy, "scipy.sparse.csc": sparse}
    converted = dict(tree)
    for name in ("shapedirs", "posedirs", "v_template", "weights"):
        if name in converted:
            array = Ch()
            vars(array).update(x=converted[name], _dirty_vars={"x"}, _itr=None, _depends_on_deps={})
            converted[name] = array
    if "J_regressor" in converted:
        dense = np.asarray(converted["J_regressor"])
        columns, rows = np.nonzero(dense.T)
        matrix = Csc()
        starts = np.searchsorted(columns, np.arange(dense.shape[1] + 1)).astype(np.int32)
        vars(matrix).update(
            _shape=dense.shape, maxprint=50, indices=rows.astype(np.int32), indptr=starts, data=dense[rows, columns]
        )
        converted["J_regressor"] = matrix
    with mock.patch.dict(sys.modules, modules), path.open("wb") as file:
        _Python2Pickler(file, protocol=2).dump(converted)


_PurePickler: Any = pickle._Pickler  # type: ignore[attr-defined]


class _Python2Pickler(_PurePickler):
    """Writes bytes and the names of numpy's functions as Python 2 did."""

    dispatch: ClassVar[dict[type, Any]] = dict(_PurePickler.dispatch)

    def save_bytes(self, value: bytes) -> None:
        self.write(b"T" + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if getattr(obj, "__name__", "") == "_reconstruct":
            self.write(b"cnumpy.core.multiarray\n_reconstruct\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)


def tiny_state(network: nn.Module) -> dict[str, Tensor]:
    """The state of a network with every tensor one number, repeated: the layout without the size."""
    return {
        name: torch.zeros((), dtype=value.dtype).expand(value.shape) for name, value in network.state_dict().items()
    }


@cache
def layouts() -> dict[str, nn.Module]:
    """Networks without numbers."""
    with torch.device("meta"):
        return {
            "E_flame": DecaEncoder(236),
            "E_detail": DecaEncoder(128),
            "D_detail": DetailDecoder(),
            "net_recon": DengEncoder(),
        }


def deca_states() -> dict[str, Any]:
    """As in ``deca_model.tar``, tiny, with an entry of the optimiser that nothing needs."""
    names = ("E_flame", "E_detail", "D_detail")
    return {name: tiny_state(layouts()[name]) for name in names} | {"opt": {"state": {}, "step": 3}}


def write_deca_model(path: Path) -> None:
    """Random numbers; the coarse network's last layer is its bias alone."""
    torch.manual_seed(0)
    coarse = DecaEncoder(236)
    last = coarse.layers[2]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    states = {"E_flame": coarse.state_dict(), "E_detail": DecaEncoder(128).state_dict()}
    torch.save(states | {"D_detail": DetailDecoder().state_dict(), "global_step": 7}, path)


def write_deng_model(path: Path) -> None:
    """Random numbers; the heads are their biases alone."""
    torch.manual_seed(0)
    network = DengEncoder()
    for layer in network.final_layers:
        assert isinstance(layer, nn.Conv2d)
        nn.init.zeros_(layer.weight)
    torch.save({"net_recon": network.state_dict(), "opt_00": {"state": {}}}, path)


def bfm_tree() -> dict[str, np.ndarray]:
    """The sphere; its first identity component shifts it by 0.1 to the right, its mean colour is 0.6, 0.4, 0.2."""
    head = synthetic_head()
    count = len(head.template)
    shape = np.zeros((35709, 3), dtype=np.float32)
    shape[:count] = head.template.numpy() / RADIUS
    triangles = np.ones((70789, 3), dtype=np.int32)
    triangles[: len(head.triangles)] = head.triangles.numpy() + 1
    around = np.full((35709, 8), 70790, dtype=np.int32)
    filled = np.zeros(35709, dtype=int)
    for number, corners in enumerate(head.triangles.tolist()):
        for corner in corners:
            if filled[corner] < 8:
                around[corner, filled[corner]] = number + 1
                filled[corner] += 1
    identity = np.zeros((35709 * 3, 80), dtype=np.float32)
    identity[0 : 3 * count : 3, 0] = 0.1
    texture = np.zeros((35709 * 3, 80), dtype=np.float32)
    texture[2::3, 5] = 25.5
    rng = np.random.default_rng(0)
    return {
        "meanshape": shape.reshape(1, -1),
        "meantex": np.tile(np.array([153, 102, 51], dtype=np.float32), 35709)[None],
        "idBase": identity,
        "exBase": np.zeros((35709 * 3, 64), dtype=np.float32),
        "texBase": texture,
        "tri": triangles,
        "point_buf": around,
        "tri_mask2": rng.integers(1, 35710, (500, 3)),
        "keypoints": rng.integers(1, 35710, (1, 68)),
        "frontmask2_idx": rng.integers(1, 35710, (300, 1)),
        "skinmask": rng.integers(0, 2, (1, 35709)).astype(np.uint8),
    }


def write_texture(path: Path, mean_name: str, basis_name: str, components: int, unit: float) -> None:
    """The red of the mean is u and its green is v; the first component adds 0.1 blue. Deflated, since most is 0."""
    steps = (np.arange(512) + 0.5) / 512 * unit
    mean = np.zeros((512, 512, 3))
    mean[..., 2], mean[..., 1] = steps[None], steps[:, None]
    row = np.zeros((512 * 3, components))
    row[0::3, 0] = 0.1 * unit
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(f"{mean_name}.npy", "w") as member:
            np.lib.format.write_array(member, mean.reshape(-1))
        with archive.open(f"{basis_name}.npy", "w", force_zip64=True) as member:
            shape = (512 * 512 * 3, components)
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, header)
            data = row.astype("<f4").tobytes()
            for _ in range(512):
                member.write(data)


def write_head_template(path: Path) -> None:
    """The UV of the open head on the FLAME file's triangles, padded."""
    head = open_head()
    _, triangles, chosen = flame_parts()
    lines = [f"vt {u:.6f} {1 - v:.6f}" for u, v in head.uv.tolist()]
    lines += ["vt 0.0 0.0"] * (5118 - len(lines))
    for corners, uv in zip((triangles + 1).tolist(), (head.uv_triangles[chosen] + 1).tolist(), strict=True):
        lines.append("f " + " ".join(f"{a}/{b}" for a, b in zip(corners, uv, strict=True)))
    lines += ["f 1/1 1/1 1/1"] * (TRIANGLES - len(triangles))
    path.write_text("# a head\n" + "\n".join(lines) + "\n", encoding="utf-8")


def write_deca(folder: Path) -> None:
    """All files of DECA."""
    write_deca_model(folder / "deca_model.tar")
    write_flame(folder / "generic_model.pkl", flame_tree())
    write_texture(folder / "FLAME_albedo_from_BFM.npz", "MU", "PC", 199, 1.0)
    write_head_template(folder / "head_template.obj")
    Image.new("RGB", (512, 512), (255, 255, 255)).save(folder / "uv_face_eye_mask.png")
    np.save(folder / "fixed_displacement_256.npy", np.zeros((256, 256)))


def write_deng(folder: Path) -> None:
    """All files of Deng."""
    from scipy.io import savemat

    write_deng_model(folder / "epoch_20.pth")
    savemat(folder / "BFM_model_front.mat", bfm_tree())


class RunsCode:
    """Pickled, it writes a file when it is unpickled without care."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.marker, "ran")


def grey_face(count: int = 1, seed: int = 0) -> Face:
    """Crops of noise with landmarks of a face seen from the front."""
    generator = torch.Generator().manual_seed(seed)
    head = open_head()
    points = head.landmarks(head.template[None])[..., :2]
    landmarks = torch.stack([112 + 900 * points[..., 0], 105 - 900 * points[..., 1]], -1).expand(count, -1, -1)
    return Face(
        image=torch.rand(count, 3, SIDE, SIDE, generator=generator),
        valid=torch.ones(count, 1, SIDE, SIDE),
        landmarks=landmarks.clone(),
        blendshapes=torch.zeros(count, 52),
        crop_to_photo=torch.tensor([[1.0, 0, 0]]).repeat(count, 1),
    )


def with_deng_points(face: Face, middle: tuple[float, float], pixels: float) -> Face:
    """The face with the five landmarks where Deng's standard face is seen straight, ``pixels`` a decimetre."""
    five = torch.tensor(DENG_POINTS)[:, :2] * torch.tensor([pixels, -pixels]) + torch.tensor(middle)
    landmarks = face.landmarks.clone()
    for number, pair in enumerate(((RIGHT_EYE_OUTER, RIGHT_EYE_INNER), (LEFT_EYE_OUTER, LEFT_EYE_INNER))):
        landmarks[:, pair[0]] = five[number] - torch.tensor([4.0, 1.0])
        landmarks[:, pair[1]] = five[number] + torch.tensor([4.0, 1.0])
    for index, point in zip((NOSE_TIP, MOUTH_RIGHT, MOUTH_LEFT), five[2:], strict=True):
        landmarks[:, index] = point
    return Face(face.image, face.valid, landmarks, face.blendshapes, face.crop_to_photo)


def half_cosine(normals: Tensor, direction: Tensor) -> Tensor:
    """The diffuse light of one lamp to the second degree, in closed form (Ramamoorthi and Hanrahan 2001).

    max(cos, 0) = 1/4 + cos / 2 + 5 (3 cos^2 - 1) / 32 + ...; normals (..., 3) and direction (3,) are unit vectors.
    """
    cosine = (normals * direction).sum(-1)
    return 0.25 + cosine / 2 + 5 / 32 * (3 * cosine**2 - 1)


def harmonics(direction: Tensor) -> dict[str, float]:
    """The nine real orthonormal harmonics of a unit vector by name."""
    x, y, z = direction.tolist()
    linear, curved = math.sqrt(3 / (4 * math.pi)), math.sqrt(15 / (4 * math.pi))
    return {
        "1": math.sqrt(1 / (4 * math.pi)), "x": linear * x, "y": linear * y, "z": linear * z, "xy": curved * x * y,
        "xz": curved * x * z, "yz": curved * y * z, "xx-yy": curved / 2 * (x * x - y * y),
        "3zz-1": curved / math.sqrt(12) * (3 * z * z - 1),
    }  # fmt: skip
