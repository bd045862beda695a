"""Identity and expression bases: adults of all phenotypes and head changes, aligned, then PCA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from scripts.bake.open_head.mesh import AnnyModel, HeadMesh, to_head_axes


@dataclass(frozen=True)
class IdentityConfig:
    """How the population of heads is drawn and how many components are kept."""

    heads: int = 2000
    youngest: float = 0.35
    """anny's age axis; 0.33 is a child, 0.67 a young adult, 1 old."""
    change_sigma: float = 0.4
    """Standard deviation of each local change that both sides share."""
    asymmetry_sigma: float = 0.25
    """Standard deviation of the difference between the sides."""
    symmetric: int = 80
    asymmetric: int = 24
    seed: int = 20221021


@dataclass(frozen=True)
class Bases:
    """Mean head and linear bases in metres."""

    mean: np.ndarray
    identity: np.ndarray
    identity_mirror: np.ndarray
    expression: np.ndarray


def draw_vertices(
    whole: AnnyModel, mesh: HeadMesh, phenotypes: np.ndarray, changes: np.ndarray, labels: list[str]
) -> np.ndarray:
    """Vertices of heads (N, V, 3) for phenotype values (N, P) in [0, 1] and local changes (N, L)."""
    parts = []
    for start in tqdm(range(0, len(phenotypes), 20), desc="drawing heads"):
        rows = slice(start, start + 20)
        kwargs = {name: torch.as_tensor(phenotypes[rows, i]) for i, name in enumerate(whole.phenotype_labels)}
        local = {name: torch.as_tensor(changes[rows, i]) for i, name in enumerate(labels)}
        vertices = whole(phenotype_kwargs=kwargs, local_changes_kwargs=local)["rest_vertices"]
        parts.append(to_head_axes(vertices.numpy()[:, mesh.base_vertices]))
    return np.concatenate(parts)


def head_changes(whole: AnnyModel, mesh: HeadMesh) -> list[str]:
    """Local changes that move some vertex of the head by more than a tenth of a millimetre.

    Those of the torso are left out: they carry the head along without changing it.
    """
    labels = list(whole.blendshape_labels)
    found = []
    for name in whole.local_change_labels:
        row = labels.index(f"local_change:{name}")
        moved = whole.blendshapes[row : row + 2, mesh.base_vertices].norm(dim=-1).amax()
        if moved > 1e-4 and not name.startswith(("torso", "measure-nape", "measure-waist")):
            found.append(name)
    return found


def sides(labels: list[str]) -> np.ndarray:
    """For each label the index of its partner on the other side (itself when it has none)."""
    index = {name: i for i, name in enumerate(labels)}
    swap = {"l-": "r-", "r-": "l-"}
    return np.array([index.get(swap.get(name[:2], name[:2]) + name[2:], i) for i, name in enumerate(labels)])


def align(heads: np.ndarray, target: np.ndarray, weights: np.ndarray, rounds: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Similarity alignment of symmetric heads to their mean: shift, tilt about x, and scale (Gower 1975)."""
    weight = weights / weights.sum()
    for _ in range(rounds):
        centre = (target * weight[:, None]).sum(0)
        aligned = np.empty_like(heads)
        for i, head in enumerate(heads):
            middle = (head * weight[:, None]).sum(0)
            u, s, vt = np.linalg.svd(((target - centre) * weight[:, None]).T @ (head - middle))
            sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
            scale = (s * np.diag(sign)).sum() / (weight[:, None] * (head - middle) ** 2).sum()
            aligned[i] = scale * (head - middle) @ (u @ sign @ vt).T + centre
        target = aligned.mean(0)
    return aligned, target


def without_rigid_motion(offsets: np.ndarray, mean: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Remove from small offsets (N, V, 3) the best sideways shift, yaw and roll: those belong to the pose."""
    x, y, z = mean.T
    nothing = np.zeros_like(x)
    motions = [np.stack(m, -1) for m in ((nothing + 1, nothing, nothing), (z, nothing, -x), (-y, x, nothing))]
    basis = np.stack([m.ravel() for m in motions], 1)
    root = np.sqrt(np.repeat(weights, 3))
    flat = offsets.reshape(len(offsets), -1)
    solution = np.linalg.lstsq(basis * root[:, None], (flat * root).T, rcond=None)[0]
    return (flat - (basis @ solution).T).reshape(offsets.shape)


def principal(offsets: np.ndarray, weights: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """Components in metres a standard deviation (count, V, 3), and the share of weighted variance they hold."""
    root = np.sqrt(np.repeat(weights / weights.mean(), 3))
    flat = offsets.reshape(len(offsets), -1) * root
    values, vectors = np.linalg.eigh(flat @ flat.T)
    order = np.argsort(values)[::-1][:count]
    directions = vectors[:, order].T @ flat
    components = directions / root / np.sqrt(len(offsets))
    largest = np.abs(components).argmax(1)
    components *= np.sign(components[np.arange(count), largest])[:, None]
    share = float(values[order].sum() / values.sum())
    return components.reshape(count, *offsets.shape[1:]), share


def build_bases(whole: AnnyModel, mesh: HeadMesh, weights: np.ndarray, config: IdentityConfig) -> Bases:
    """Draw the population, split it into symmetric and antisymmetric parts, and reduce each by PCA."""
    rng = np.random.default_rng(config.seed)
    labels = head_changes(whole, mesh)
    partner = sides(labels)
    phenotypes = rng.uniform(0.0, 1.0, (config.heads, len(whole.phenotype_labels)))
    age = list(whole.phenotype_labels).index("age")
    phenotypes[:, age] = rng.uniform(config.youngest, 1.0, config.heads)
    free = rng.normal(0.0, config.change_sigma, (config.heads, len(labels)))
    shared = np.where(partner >= np.arange(len(labels)), free, free[:, partner])
    uneven = rng.normal(0.0, config.asymmetry_sigma, shared.shape) * (partner != np.arange(len(labels)))
    sideways = [i for i, name in enumerate(labels) if is_sideways(whole, mesh, name)]
    uneven[:, sideways] = shared[:, sideways] * config.asymmetry_sigma / config.change_sigma
    shared[:, sideways] = 0.0
    even = draw_vertices(whole, mesh, phenotypes, np.clip(shared, -1, 1), labels)
    even = 0.5 * (even + even[:, mesh.vertex_mirror] * [-1.0, 1.0, 1.0])
    aligned, mean = align(even, mesh.template, weights)
    identity, share = principal(aligned - mean, weights, config.symmetric)
    print(f"{len(labels)} head changes; {config.symmetric} symmetric components hold {share:.2%} of the variance")

    some = min(config.heads, 500)
    middle = np.broadcast_to(phenotypes.mean(0), (some, phenotypes.shape[1]))
    tilted = draw_vertices(whole, mesh, middle, np.clip(uneven[:some], -1, 1), labels)
    odd = 0.5 * (tilted - tilted[:, mesh.vertex_mirror] * [-1.0, 1.0, 1.0])
    odd = without_rigid_motion(odd, mean, weights)
    asymmetry, share = principal(odd, weights, config.asymmetric)
    print(f"{config.asymmetric} antisymmetric components hold {share:.2%} of the variance")
    return Bases(
        mean,
        np.concatenate([identity, asymmetry]),
        np.repeat([1.0, -1.0], [config.symmetric, config.asymmetric]),
        build_expressions(whole, mesh),
    )


def is_sideways(whole: AnnyModel, mesh: HeadMesh, name: str) -> bool:
    """True for a change without partner that moves the face to one side (its mirror image is its opposite)."""
    row = list(whole.blendshape_labels).index(f"local_change:{name}")
    delta = to_head_axes(whole.blendshapes[row, mesh.base_vertices].numpy())
    mirrored = delta[mesh.vertex_mirror] * [-1.0, 1.0, 1.0]
    return bool(np.abs(delta + mirrored).max() < 0.2 * np.abs(delta).max())


def build_expressions(whole: AnnyModel, mesh: HeadMesh) -> np.ndarray:
    """The 52 facial actions as offsets from rest (E, V, 3), made exactly mirror-symmetric in pairs."""
    from ftim.morphable.expressions import EXPRESSION_MIRROR, EXPRESSIONS

    labels = list(whole.blendshape_labels)
    rows = [labels.index(f"facial_action:{name}") for name in EXPRESSIONS]
    deltas = to_head_axes(whole.blendshapes[rows][:, mesh.base_vertices].numpy())
    mirrored = deltas[list(EXPRESSION_MIRROR)][:, mesh.vertex_mirror] * [-1.0, 1.0, 1.0]
    return 0.5 * (deltas + mirrored)
