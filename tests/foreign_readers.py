"""Mesh files as libraries read them that share no code with the writer: pygltflib for GLB, PyWavefront for OBJ."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pywavefront
from PIL import Image
from pygltflib import GLTF2, Accessor, Material

TYPES = {5126: "<f4", 5125: "<u4", 5123: "<u2", 5121: "u1"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}


@dataclass(frozen=True)
class ForeignGlb:
    """Of a file with one object, one primitive and one material."""

    positions: np.ndarray
    """(V, 3)."""
    normals: np.ndarray
    """(V, 3)."""
    uv: np.ndarray
    """(V, 2) origin top-left, v down, as glTF has it."""
    triangles: np.ndarray
    """(F, 3)."""
    morphs: np.ndarray
    """(E, V, 3)."""
    morph_names: list[str]
    weights: list[float]
    material: Material
    texture: np.ndarray
    """(T, T, 3) uint8, the base colour."""
    name: str
    """Of the object."""


@dataclass(frozen=True)
class ForeignObj:
    """Of a file with one material; three corners a triangle, none shared."""

    positions: np.ndarray
    """(F, 3, 3)."""
    normals: np.ndarray
    """(F, 3, 3)."""
    uv: np.ndarray
    """(F, 3, 2) origin bottom-left, v up, as OBJ has it."""
    diffuse: list[float]
    """Red, green, blue, opacity."""
    texture: Path


def read_glb(path: Path) -> ForeignGlb:
    """By pygltflib."""
    content = GLTF2().load(str(path))
    assert content is not None
    blob = content.binary_blob()

    def view(index: int) -> bytes:
        found = content.bufferViews[index]
        start = found.byteOffset or 0
        return blob[start : start + found.byteLength]

    def array(index: int) -> np.ndarray:
        accessor: Accessor = content.accessors[index]
        kind, width = TYPES[accessor.componentType], WIDTHS[accessor.type]
        values = np.zeros((accessor.count, width), kind)
        if accessor.bufferView is not None:
            values = np.frombuffer(view(accessor.bufferView), kind, accessor.count * width, accessor.byteOffset or 0)
            values = values.reshape(-1, width)
        if sparse := accessor.sparse:
            rows = np.frombuffer(view(sparse.indices.bufferView), TYPES[sparse.indices.componentType])
            values[rows] = np.frombuffer(view(sparse.values.bufferView), kind).reshape(-1, width)
        return values

    (node,), (mesh,), (material,) = content.nodes, content.meshes, content.materials
    (primitive,) = mesh.primitives
    texture = content.textures[material.pbrMetallicRoughness.baseColorTexture.index]
    with Image.open(io.BytesIO(view(content.images[texture.source].bufferView))) as image:
        pixels = np.array(image.convert("RGB"))
    return ForeignGlb(
        positions=array(primitive.attributes.POSITION),
        normals=array(primitive.attributes.NORMAL),
        uv=array(primitive.attributes.TEXCOORD_0),
        triangles=array(primitive.indices).reshape(-1, 3).astype(np.int64),
        morphs=np.stack([array(target["POSITION"]) for target in primitive.targets]),
        morph_names=mesh.extras["targetNames"],
        weights=mesh.weights,
        material=material,
        texture=pixels,
        name=node.name,
    )


def read_obj(path: Path) -> ForeignObj:
    """By PyWavefront, which also reads the MTL and looks for the texture."""
    ((_, material),) = pywavefront.Wavefront(str(path), strict=True).materials.items()
    assert material.vertex_format == "T2F_N3F_V3F" and material.texture.exists()
    uv, normals, positions = np.split(np.array(material.vertices).reshape(-1, 3, 8), (2, 5), axis=2)
    return ForeignObj(positions, normals, uv, material.diffuse, Path(material.texture.path))
