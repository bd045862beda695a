"""The open head that ships with ftim: baked from MakeHuman's CC0 data by ``scripts/bake/head.py``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ftim.errors import ModelFileError
from ftim.morphable.expressions import EXPRESSIONS
from ftim.morphable.model import MorphableModel
from ftim.outputs import whole_file

OPEN_HEAD_VERSION = 1
OPEN_HEAD_PATH = Path(__file__).parent / "data" / "open_head.safetensors"
_INTEGERS = ("triangles", "uv_triangles", "regions", "vertex_mirror", "expression_mirror", "landmark_triangles")
_HALVES = ("identity_basis", "expression_basis")


def load_open_head(path: Path = OPEN_HEAD_PATH) -> MorphableModel:
    """Read the baked head: about 4,700 vertices, identity, the 52 ARKit expressions, face UV, landmarks.

    Raises ``ModelFileError`` when the file is missing, of another version, or incomplete.
    """
    names = [field.name for field in fields(MorphableModel) if field.name not in ("name", "version")]
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            present = set(file.keys())
            if metadata.get("version") != str(OPEN_HEAD_VERSION) or present != set(names):
                raise ModelFileError(
                    f"{path} is version {metadata.get('version')} with {len(present)} tensors; this ftim reads "
                    f"version {OPEN_HEAD_VERSION} with {len(names)}. Reinstall ftim or bake the head again: "
                    "python -m scripts.bake.head"
                )
            tensors = {name: file.get_tensor(name) for name in names}
    except ModelFileError:
        raise
    except Exception as error:  # safetensors raises its own error, OSError, or FileNotFoundError
        raise ModelFileError(f"cannot read the open head {path}: {error}. Reinstall ftim.") from error
    for name, tensor in tensors.items():
        tensors[name] = tensor.to(torch.int64 if name in _INTEGERS else torch.float32)
    if len(tensors["expression_basis"]) != len(EXPRESSIONS):
        raise ModelFileError(f"{path} has {len(tensors['expression_basis'])} expressions, not {len(EXPRESSIONS)}")
    return MorphableModel(**tensors, name="open-head", version=OPEN_HEAD_VERSION)


def save_open_head(model: MorphableModel, path: Path = OPEN_HEAD_PATH) -> None:
    """Write the head, bases in half precision, through a temporary name. The same head gives the same bytes."""
    tensors: dict[str, Tensor] = {}
    for field in fields(MorphableModel):
        value = getattr(model, field.name)
        if not isinstance(value, Tensor):
            continue
        kind = torch.int32 if field.name in _INTEGERS else torch.float16 if field.name in _HALVES else torch.float32
        tensors[field.name] = value.to(kind).contiguous()
    with whole_file(path) as temporary:
        # One entry only: safetensors writes several in an order that changes from run to run.
        save_file(tensors, str(temporary), metadata={"version": str(OPEN_HEAD_VERSION)})
