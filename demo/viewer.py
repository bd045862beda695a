"""A head for the page's 3D viewer, whose own lights have a colour: the complete texture, shown as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ftim.io import head_mesh, save_glb
from ftim.reconstruction import Reconstruction
from ftim.structures import Fit

UNLIT = "KHR_materials_unlit"
"""glTF's extension for materials that no light changes."""
_HEADER = 20
"""Bytes before the JSON of a GLB: magic, version, length; length and kind of the first chunk."""


def save_for_viewer(result: Reconstruction, fit: Fit, path: Path) -> Path:
    """GLB of the head with this fit's expression to begin with, under the light of its photograph; ``path``."""
    save_glb(head_mesh(result.model, fit, result.texture.texture), path)
    path.write_bytes(unlit(path.read_bytes()))
    return path


def unlit(glb: bytes) -> bytes:
    """The same GLB with unlit materials."""
    length = int.from_bytes(glb[12:16], "little")
    tree: dict[str, Any] = json.loads(glb[_HEADER : _HEADER + length])
    for material in tree["materials"]:
        material["extensions"] = material.get("extensions", {}) | {UNLIT: {}}
    tree["extensionsUsed"] = sorted({*tree.get("extensionsUsed", ()), UNLIT})
    text = json.dumps(tree, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    rest = glb[_HEADER + length :]
    total = _HEADER + len(text) + len(rest)
    return b"".join([glb[:8], total.to_bytes(4, "little"), len(text).to_bytes(4, "little"), glb[16:20], text, rest])
