"""GLB and OBJ: what is written is what a reader that shares no code with the writer finds."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from ftim.errors import OutputError
from ftim.io import HeadMesh, head_mesh, save_glb, save_obj
from ftim.morphable import EXPRESSIONS, load_open_head
from ftim.morphable.template import load_template_albedo
from ftim.structures import Camera, Fit

SMILE = EXPRESSIONS.index("mouthSmileLeft")


@cache
def fit() -> Fit:
    model = load_open_head()
    identity = torch.randn(1, len(model.identity_basis), generator=torch.Generator().manual_seed(0)) * 0.5
    expression = torch.zeros(1, len(EXPRESSIONS))
    expression[0, SMILE] = 0.75
    camera = Camera(torch.ones(1), torch.ones(1, 2), 2, 2)
    return Fit(identity, expression, torch.eye(3)[None], torch.zeros(1, 3), torch.zeros(1, 9, 3), camera)


@cache
def mesh() -> HeadMesh:
    return head_mesh(load_open_head(), fit(), load_template_albedo(256)[None])


class Glb:
    """Reads a GLB by the letter of the specification."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        magic, version, length = struct.unpack_from("<III", content)
        assert (magic, version, length) == (0x46546C67, 2, len(content))
        size, kind = struct.unpack_from("<II", content, 12)
        assert kind == 0x4E4F534A
        self.tree: dict[str, Any] = json.loads(content[20 : 20 + size])
        size_of_data, kind = struct.unpack_from("<II", content, 20 + size)
        assert kind == 0x004E4942 and 28 + size + size_of_data == len(content)
        self.data = content[28 + size :]

    def view(self, index: int) -> bytes:
        view = self.tree["bufferViews"][index]
        start = view.get("byteOffset", 0)
        return self.data[start : start + view["byteLength"]]

    def array(self, index: int) -> np.ndarray:
        accessor = self.tree["accessors"][index]
        kind = {5126: "<f4", 5125: "<u4"}[accessor["componentType"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[accessor["type"]]
        values = np.zeros((accessor["count"], width), kind)
        if "bufferView" in accessor:
            values = np.frombuffer(self.view(accessor["bufferView"]), kind).reshape(-1, width)
        if sparse := accessor.get("sparse"):
            corners = np.frombuffer(self.view(sparse["indices"]["bufferView"]), "<u4")
            assert (np.diff(corners.astype(int)) > 0).all() and len(corners) == sparse["count"]
            values[corners] = np.frombuffer(self.view(sparse["values"]["bufferView"]), "<f4").reshape(-1, width)
        if "min" in accessor:
            assert np.allclose(values.min(0), accessor["min"], atol=1e-6)
            assert np.allclose(values.max(0), accessor["max"], atol=1e-6)
        return values

    @property
    def primitive(self) -> dict[str, Any]:
        (shape,) = self.tree["meshes"]
        (primitive,) = shape["primitives"]
        return dict(primitive)


@pytest.fixture
def glb(tmp_path: Path) -> Glb:
    save_glb(mesh(), tmp_path / "head.glb")
    return Glb(tmp_path / "head.glb")


def test_corners_are_the_models_vertices_with_their_places() -> None:
    model = load_open_head()
    corners = mesh().positions[mesh().triangles]
    expected = model.vertices(fit().identity, torch.zeros(1, len(EXPRESSIONS)))[0, model.triangles].numpy()
    assert np.allclose(corners, expected, atol=1e-7)
    assert np.allclose(mesh().uv[mesh().triangles], model.uv[model.uv_triangles].numpy())
    assert np.allclose(mesh().expressive[mesh().triangles], model.vertices(fit().identity, fit().expression)[0][
        model.triangles].numpy(), atol=1e-6)  # fmt: skip


def test_normals_are_those_of_the_expression_that_they_stand_beside() -> None:
    """Against the area-weighted mean of the triangles around each vertex, summed triangle after triangle."""
    model = load_open_head()
    triangles = model.triangles.numpy()
    for expression, normals in (
        (torch.zeros(1, len(EXPRESSIONS)), mesh().normals),
        (fit().expression, mesh().expressive_normals),
    ):
        vertices = model.vertices(fit().identity, expression)[0].double().numpy()
        a, b, c = vertices[triangles].transpose(1, 0, 2)
        total = np.zeros_like(vertices)
        for corner in triangles.T:
            np.add.at(total, corner, np.cross(b - a, c - a))
        expected = total / np.linalg.norm(total, axis=1, keepdims=True).clip(1e-15)
        assert np.allclose(normals[mesh().triangles], expected[triangles], atol=1e-3)
    cosine = (mesh().normals * mesh().expressive_normals).sum(1)
    moved = np.linalg.norm(mesh().morphs[SMILE], axis=1)
    assert np.degrees(np.arccos(cosine.clip(-1, 1)))[moved > 0.004].mean() > 5, "the smile turns the skin around it"
    assert (cosine[moved == 0] > 0.9999).mean() > 0.95, "and leaves the rest as it was"


def test_the_head_is_of_a_persons_size_and_looks_along_z() -> None:
    size = np.ptp(mesh().positions, axis=0)
    assert 0.1 < size[0] < 0.3 and 0.15 < size[1] < 0.45, "metres"
    nose = mesh().positions[:, 2].argmax()
    assert mesh().normals[nose, 2] > 0.5
    assert np.allclose(np.linalg.norm(mesh().normals, axis=1), 1, atol=1e-5)


def test_glb_holds_the_mesh(glb: Glb) -> None:
    attributes = glb.primitive["attributes"]
    assert np.allclose(glb.array(attributes["POSITION"]), mesh().positions, atol=1e-7)
    assert np.allclose(glb.array(attributes["NORMAL"]), mesh().normals, atol=1e-5)
    assert np.allclose(glb.array(attributes["TEXCOORD_0"]), mesh().uv, atol=1e-6), "glTF counts v downwards, as we do"
    assert (glb.array(glb.primitive["indices"]).reshape(-1, 3) == mesh().triangles).all()


def test_glb_has_the_expressions_by_name(glb: Glb) -> None:
    (shape,) = glb.tree["meshes"]
    assert tuple(shape["extras"]["targetNames"]) == EXPRESSIONS and len(EXPRESSIONS) == 52
    assert shape["weights"][SMILE] == pytest.approx(0.75) and sum(shape["weights"]) == pytest.approx(0.75)
    for index, target in enumerate(glb.primitive["targets"]):
        assert np.allclose(glb.array(target["POSITION"]), mesh().morphs[index], atol=1.1e-6)


def test_glb_skin_is_neither_metal_nor_altered(glb: Glb, tmp_path: Path) -> None:
    (material,) = glb.tree["materials"]
    surface = material["pbrMetallicRoughness"]
    assert surface["metallicFactor"] == 0 and "KHR_materials_unlit" not in material.get("extensions", {})
    assert surface.get("baseColorFactor", [1, 1, 1, 1]) == [1, 1, 1, 1]
    image = glb.tree["images"][glb.tree["textures"][surface["baseColorTexture"]["index"]]["source"]]
    path = tmp_path / "texture.png"
    path.write_bytes(glb.view(image["bufferView"]))
    with Image.open(path) as texture:
        assert (np.array(texture.convert("RGB")) == mesh().texture).all()


def test_obj_holds_the_head_with_its_expression(tmp_path: Path) -> None:
    save_obj(mesh(), tmp_path / "head.obj")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head.mtl", "head.obj", "head.png"]
    lines = [line.split() for line in (tmp_path / "head.obj").read_text().splitlines() if line.strip()]
    values = {kind: np.array([line[1:] for line in lines if line[0] == kind], float) for kind in ("v", "vt", "vn")}
    faces = np.array([[corner.split("/")[0] for corner in line[1:]] for line in lines if line[0] == "f"], int) - 1
    assert np.allclose(values["v"], mesh().expressive, atol=1e-6) and (faces == mesh().triangles).all()
    assert np.allclose(values["vn"], mesh().expressive_normals, atol=1e-5)
    assert np.allclose(values["vt"], np.stack([mesh().uv[:, 0], 1 - mesh().uv[:, 1]], 1), atol=1e-6)
    assert ["mtllib", "head.mtl"] in lines
    material = (tmp_path / "head.mtl").read_text()
    for line in ("map_Kd head.png", "Kd 1.0", "d 1.0", "illum 1"):
        assert f"\n{line}" in material
    with Image.open(tmp_path / "head.png") as texture:
        assert (np.array(texture.convert("RGB")) == mesh().texture).all()


def test_trimesh_reads_both_back(tmp_path: Path) -> None:
    save_glb(mesh(), tmp_path / "head.glb")
    save_obj(mesh(), tmp_path / "head.obj")
    for name in ("head.glb", "head.obj"):
        loaded = trimesh.load_mesh(tmp_path / name, process=False)
        assert isinstance(loaded, trimesh.Trimesh) and len(loaded.faces) == len(mesh().triangles)
        assert getattr(loaded.visual, "uv", None) is not None


def test_the_same_head_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.glb", "b.glb"):
        save_glb(mesh(), tmp_path / name)
    assert (tmp_path / "a.glb").read_bytes() == (tmp_path / "b.glb").read_bytes()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        save_glb(mesh(), tmp_path / "file" / "head.glb")


def test_wrong_input_is_refused() -> None:
    model = load_open_head()
    with pytest.raises(ValueError, match="texture"):
        head_mesh(model, fit(), torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match="expressions"):
        head_mesh(replace(model, expression_basis=model.expression_basis[:3]), fit(), torch.zeros(1, 3, 8, 8))
