"""How far two fitted heads are from being one person's, by their identity coefficients alone.

Separate fits of one person differ, most of all in what a photograph does not show well. Fisher's linear discriminant
(Fisher 1936) of training people, photographed from three sides with two expressions, keeps the directions in which
people differ more than one person's fits do, each in units of the latter's standard deviation.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from ftim.errors import ModelFileError
from ftim.morphable import MorphableModel

METRIC_PATH = Path(__file__).parent / "morphable" / "data" / "identity_metric.safetensors"
DIRECTIONS = 10
"""Of 5, 10, 20 and 40, the best for people who were left out."""
SHRINKAGE = 0.05
"""Of the covariance within people towards a multiple of the identity: 420 fits know 104 x 104 numbers badly."""


def identity_distances(model: MorphableModel, identity: Tensor) -> tuple[float, ...]:
    """Of heads (B, K), fitted one by one: the distance of each but the first from the first.

    Empty for one head, and for a model other than the one that the metric was made with.
    """
    projection, head = identity_metric()
    if len(identity) < 2 or head != f"{model.name} {model.version}" or identity.shape[1] != len(projection):
        return ()
    points = identity @ projection.to(identity)
    return tuple(float(value) for value in (points[1:] - points[0]).norm(dim=1))


@cache
def identity_metric(path: Path = METRIC_PATH) -> tuple[Tensor, str]:
    """(K, ``DIRECTIONS``) projection, and name and version of its head. Raises ``ModelFileError``."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return file.get_tensor("projection"), (file.metadata() or {})["head"]
    except Exception as error:  # safetensors raises its own error, OSError, or KeyError
        raise ModelFileError(f"cannot read the identity metric {path}: {error}. Reinstall ftim.") from error


def fisher_projection(
    identity: Tensor, person: Tensor, directions: int = DIRECTIONS, shrinkage: float = SHRINKAGE
) -> Tensor:
    """(N, K) identities and (N,) whose they are -> (K, ``directions``): Fisher's linear discriminant.

    In the projection fits of one person have a standard deviation of about one in every direction.
    """
    people, person = person.unique(), person.contiguous()
    means = torch.stack([identity[person == one].mean(0) for one in people])
    apart = identity - means[torch.searchsorted(people, person)]
    within = apart.T @ apart / (len(identity) - len(people))
    within = within + shrinkage * within.diag().mean() * torch.eye(len(within)).to(within)
    values, vectors = torch.linalg.eigh(within)
    whitening = vectors * values.rsqrt() @ vectors.T
    _, _, axes = torch.linalg.svd((means - means.mean(0)) @ whitening, full_matrices=False)
    return whitening @ axes[:directions].T
