"""FLAME (Li et al. 2017): a head of 5,023 vertices with shape, expression, and five joints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ftim.official.flame_pickle import read_flame_pickle
from ftim.official.layout import check_array, check_indices, check_keys, to_tensor, wrong
from ftim.rotation import axis_angle_to_matrix
from ftim.structures import Batched

VERTICES = 5023
TRIANGLES = 9976
JOINTS = ("root", "neck", "jaw", "left eye", "right eye")
PARENTS: tuple[int, ...] = (-1, 0, 1, 1, 1)
"""The joint that carries each joint."""
SHAPES, EXPRESSIONS = 100, 50
"""How many components DECA uses."""
_SHAPES_IN_FILE = 300
_NEEDED = ("f", "v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights")
_OPTIONAL = (
    "J", "bs_style", "bs_type", "betas", "pose", "trans", "weights_prior", "J_regressor_prior", "vert_sym_idxs",
    "pose_training_info",
)  # fmt: skip
"""What files of this family of models may hold besides, and nothing here uses."""


@dataclass(frozen=True)
class Flame(Batched):
    """Metres; x to the viewer's right, y up, z to the viewer. V is 5,023."""

    template: Tensor
    """(V, 3)."""
    shape_basis: Tensor
    """(100, V, 3) a standard deviation each."""
    expression_basis: Tensor
    """(50, V, 3)."""
    pose_basis: Tensor
    """(36, V, 3) corrections: times the nine numbers of R - 1 of each joint but the root, row by row."""
    joint_weights: Tensor
    """(5, V): joints are these means of the vertices."""
    skin_weights: Tensor
    """(V, 5): how much each joint moves a vertex."""
    triangles: Tensor
    """(F, 3), counter-clockwise seen from outside."""

    def vertices(self, shape: Tensor, expression: Tensor, root: Tensor, jaw: Tensor) -> Tensor:
        """(B, 100), (B, 50), (B, 3) and (B, 3) axis times angle in radians -> (B, V, 3).

        Neck and eyes stay as in the template, as in DECA. Linear blend skinning: each vertex moves with the mean of
        its joints' rigid motions.
        """
        offsets = shape @ self.shape_basis.flatten(1) + expression @ self.expression_basis.flatten(1)
        shaped = self.template + offsets.view(-1, *self.template.shape)
        still = torch.zeros_like(root)
        angles = torch.stack([root, still, jaw, still, still], dim=1)
        turns = axis_angle_to_matrix(angles.flatten(0, 1)).unflatten(0, (-1, len(JOINTS)))
        bends = (turns[:, 1:] - torch.eye(3, dtype=turns.dtype, device=turns.device)).flatten(1)
        posed = shaped + (bends @ self.pose_basis.flatten(1)).view_as(shaped)
        rotations, shifts = _joint_motions(turns, self.joint_weights @ shaped)
        # sum_j w_vj (R_j p_v + t_j), without a matrix a vertex.
        turned = torch.einsum("vj,bjrc,bvc->bvr", self.skin_weights, rotations, posed)
        return turned + self.skin_weights @ shifts


def _joint_motions(turns: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 5, 3, 3) turns of joints at (B, 5, 3) -> rotations (B, 5, 3, 3) and shifts (B, 5, 3): p -> R p + t.

    A joint turns about its own place, and is then carried by its parent's motion.
    """
    rotations: list[Tensor] = []
    shifts: list[Tensor] = []
    for joint, parent in enumerate(PARENTS):
        place = joints[:, joint, :, None]
        rotation = turns[:, joint]
        shift = place - rotation @ place
        if parent >= 0:
            shift = rotations[parent] @ shift + shifts[parent]
            rotation = rotations[parent] @ rotation
        rotations.append(rotation)
        shifts.append(shift)
    return torch.stack(rotations, 1), torch.stack(shifts, 1)[..., 0]


def load_flame(path: Path) -> Flame:
    """Read ``generic_model.pkl``; nothing in it is run. Raises ``OfficialLayoutError``."""
    tree = read_flame_pickle(path)
    check_keys([name for name in tree if name not in _OPTIONAL], _NEEDED, path, "the file")

    def array(name: str, shape: tuple[int, ...]) -> np.ndarray:
        return check_array(tree[name], shape, path, name).astype(np.float32)

    _check_parents(tree["kintree_table"], path)
    directions = array("shapedirs", (VERTICES, 3, 400)).transpose(2, 0, 1)
    return Flame(
        template=to_tensor(array("v_template", (VERTICES, 3))),
        shape_basis=to_tensor(directions[:SHAPES]),
        expression_basis=to_tensor(directions[_SHAPES_IN_FILE : _SHAPES_IN_FILE + EXPRESSIONS]),
        pose_basis=to_tensor(array("posedirs", (VERTICES, 3, 36)).transpose(2, 0, 1)),
        joint_weights=to_tensor(array("J_regressor", (len(JOINTS), VERTICES))),
        skin_weights=to_tensor(array("weights", (VERTICES, len(JOINTS)))),
        triangles=check_indices(tree["f"], (TRIANGLES, 3), 0, VERTICES - 1, path, "f"),
    )


def _check_parents(table: Any, path: Path) -> None:
    parents = check_array(table, (2, len(JOINTS)), path, "kintree_table")[0]
    if tuple(int(parent) for parent in parents[1:]) != PARENTS[1:]:
        raise wrong(path, f"its joints hang on {parents.tolist()}, expected {list(PARENTS)}")
