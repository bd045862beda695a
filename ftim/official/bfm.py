"""The face of Deng et al. 2019: the Basel Face Model 2009 with expressions, cut to its front."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.official.layout import READ_ERRORS, check_array, check_indices, check_keys, to_tensor, unreadable
from ftim.structures import Batched

VERTICES = 35709
TRIANGLES = 70789
_KEYS = (
    "meanshape", "meantex", "idBase", "exBase", "texBase", "tri", "point_buf", "tri_mask2", "keypoints",
    "frontmask2_idx", "skinmask",
)  # fmt: skip


@dataclass(frozen=True)
class BfmFront(Batched):
    """Decimetres, centred; x to the viewer's right, y up, z to the viewer. V is 35,709 in the official file."""

    shape: Tensor
    """(V, 3) mean."""
    identity_basis: Tensor
    """(80, V, 3)."""
    expression_basis: Tensor
    """(64, V, 3)."""
    color: Tensor
    """(V, 3) mean, RGB in [0, 1]."""
    color_basis: Tensor
    """(80, V, 3)."""
    triangles: Tensor
    """(F, 3)."""
    around: Tensor
    """(V, 8) the triangles at each vertex; F where there are fewer."""

    def vertices(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(B, 80), (B, 64) -> (B, V, 3)."""
        offsets = identity @ self.identity_basis.flatten(1) + expression @ self.expression_basis.flatten(1)
        return self.shape + offsets.view(-1, *self.shape.shape)

    def albedo(self, texture: Tensor) -> Tensor:
        """(B, 80) -> (B, V, 3) RGB, about [0, 1]."""
        return self.color + (texture @ self.color_basis.flatten(1)).view(-1, *self.color.shape)

    def normals(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) -> (B, V, 3) unit, each the mean of its triangles' unit normals, whatever their area."""
        a, b, c = vertices[:, self.triangles].unbind(2)
        faces = F.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
        faces = torch.cat([faces, torch.zeros_like(faces[:, :1])], dim=1)
        return F.normalize(faces[:, self.around].sum(2), dim=-1)


def load_bfm(path: Path) -> BfmFront:
    """Read ``BFM_model_front.mat``. Raises ``OfficialLayoutError``."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        tree = loadmat(path)
    except (*READ_ERRORS, MatReadError) as error:
        raise unreadable(path, error) from error
    tree = {name: value for name, value in tree.items() if not name.startswith("__")}
    check_keys(tree, _KEYS, path, "the file")
    # Not used here, but they tell this file from others. MATLAB's vectors are rows or columns.
    check_array(np.squeeze(tree["skinmask"]), (VERTICES,), path, "skinmask")
    for name, indices in (("keypoints", (68,)), ("frontmask2_idx", (None,))):
        check_indices(np.squeeze(tree[name]), indices, 1, VERTICES, path, name)
    check_indices(tree["tri_mask2"], (None, 3), 1, VERTICES, path, "tri_mask2")

    def points(name: str) -> Tensor:
        return to_tensor(check_array(tree[name], (1, 3 * VERTICES), path, name)).view(VERTICES, 3)

    def basis(name: str, count: int) -> Tensor:
        array = check_array(tree[name], (3 * VERTICES, count), path, name)
        return to_tensor(array.astype(np.float32).T).view(count, VERTICES, 3)

    mean = points("meanshape")
    return BfmFront(
        shape=mean - mean.mean(0),
        identity_basis=basis("idBase", 80),
        expression_basis=basis("exBase", 64),
        color=points("meantex") / 255,
        color_basis=basis("texBase", 80) / 255,
        triangles=check_indices(tree["tri"], (TRIANGLES, 3), 1, VERTICES, path, "tri"),
        around=check_indices(tree["point_buf"], (VERTICES, 8), 1, TRIANGLES + 1, path, "point_buf"),
    )
