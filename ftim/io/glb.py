"""GLB (glTF 2.0): written by trimesh, with the expressions added as named morph targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ftim.io.head_mesh import HeadMesh
from ftim.io.png import PLACEHOLDER, png_bytes
from ftim.outputs import whole_file

_FLOAT = 5126
_ARRAY_BUFFER, _ELEMENT_BUFFER = 34962, 34963
NAME = "head"
"""Of the object and its mesh, in programs that import the file."""
UNLIT = "KHR_materials_unlit"
"""glTF's extension for materials that no light changes."""
STILL = 1e-6
"""Metres: corners that an expression moves less are left out of its target."""


def save_glb(mesh: HeadMesh, path: str | Path, unlit: bool = False, png: bytes | None = None) -> None:
    """Write the head with base colour, metallic 0, normals, and one morph target an expression.

    With ``unlit`` viewers show the texture as it is, whatever light they have: for one that holds its light already.
    ``png`` is the texture as a file, where it was encoded already.

    The weights that a viewer starts with are the photograph's expression; 0 in all is the neutral face. Targets are
    sparse: they name the corners that they move. Raises ``OutputError`` when the file cannot be written.
    """

    def add_morphs(items: dict[Any, bytes], tree: dict[str, Any]) -> None:
        (picture,) = tree["images"]
        content = png or png_bytes(mesh.texture)
        items[list(items)[picture["bufferView"]]] = content + bytes(-len(content) % 4)
        (shape,) = tree["meshes"]
        (primitive,) = shape["primitives"]
        primitive["targets"] = [
            {"POSITION": _add_sparse(items, tree, name, offsets)}
            for name, offsets in zip(mesh.morph_names, mesh.morphs, strict=True)
        ]
        shape["weights"] = [round(float(weight), 6) for weight in mesh.weights]
        shape["extras"] = {"targetNames": list(mesh.morph_names)}

    def complete(tree: dict[str, Any]) -> None:
        tree["nodes"][0]["name"] = tree["meshes"][0]["name"] = NAME
        (primitive,) = tree["meshes"][0]["primitives"]
        attributes = {tree["accessors"][index].get("bufferView") for index in primitive["attributes"].values()}
        for view in attributes:
            tree["bufferViews"][view]["target"] = _ARRAY_BUFFER
        tree["bufferViews"][tree["accessors"][primitive["indices"]]["bufferView"]]["target"] = _ELEMENT_BUFFER
        if unlit:
            tree["materials"][0]["extensions"] = {UNLIT: {}}
            tree["extensionsUsed"] = [UNLIT]

    from trimesh.exchange.gltf import export_glb

    content = export_glb(
        mesh.to_trimesh(pbr=True, expression=False, image=PLACEHOLDER),
        include_normals=True,
        buffer_postprocessor=add_morphs,
        tree_postprocessor=complete,
    )
    with whole_file(Path(path)) as temporary:
        temporary.write_bytes(content)


def _add_sparse(items: dict[Any, bytes], tree: dict[str, Any], name: str, offsets: np.ndarray) -> int:
    """Append an accessor of (V, 3) offsets, given where they are not 0; its index."""
    moved = np.flatnonzero(np.abs(offsets).max(1) > STILL)
    values = np.ascontiguousarray(offsets[moved], dtype="<f4")
    accessor: dict[str, Any] = {"componentType": _FLOAT, "type": "VEC3", "count": len(offsets), "name": name}
    if len(moved):
        everything = np.concatenate([values, np.zeros((1, 3), "<f4")]) if len(moved) < len(offsets) else values
        low, high = everything.min(0), everything.max(0)
        accessor["sparse"] = {
            "count": len(moved),
            "indices": {"bufferView": _add(items, f"{name} corners", moved.astype("<u4")), "componentType": 5125},
            "values": {"bufferView": _add(items, f"{name} offsets", values)},
        }
    else:
        low = high = np.zeros(3)
    accessor |= {"min": [float(v) for v in low], "max": [float(v) for v in high]}
    tree["accessors"][name] = accessor  # trimesh keeps them by key until it writes
    return len(tree["accessors"]) - 1


def _add(items: dict[Any, bytes], name: str, array: np.ndarray) -> int:
    """Append bytes as a buffer view of their own; its index."""
    items[name] = array.tobytes()
    return len(items) - 1
