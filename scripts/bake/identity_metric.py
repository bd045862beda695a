"""Makes ``ftim/morphable/data/identity_metric.safetensors`` and measures how well it tells people apart.

    FTIM_DATA=... python -m scripts.bake.identity_metric             # two minutes; writes the metric
    FTIM_DATA=... python -m scripts.bake.identity_metric --facenet   # also measures FaceNet's cosine; a minute more

From FRLL's training people, three views and two expressions each, every photograph fitted by itself. Distances are
between different views of one expression, as photographs that are merged are: of the same person, and of different
people. For the thresholds of ``ftim.quality`` people are left out of the metric in five folds.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from ftim.data import load_frll
from ftim.data.frll import EXPRESSIONS, VIEWS, Split
from ftim.errors import FtimError
from ftim.identity import METRIC_PATH, fisher_projection
from ftim.metrics import load_facenet
from ftim.metrics.facenet import face_embedding
from ftim.outputs import whole_file
from ftim.photo import read_photo
from ftim.pipeline import Pipeline

FOLDS = 5
SHARES = (0.95, 0.975, 0.99, 1.0)
"""Of pairs of one person's photographs that lie below a threshold."""


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.bake.identity_metric``."""

    facenet: bool = False
    """Measure the cosine of FaceNet too."""
    output: Path = METRIC_PATH


@dataclass(frozen=True)
class Fits:
    """Of N photographs of FRLL."""

    identity: Tensor
    """(N, K)."""
    embedding: Tensor
    """(N, 512) FaceNet's, or (N, 0)."""
    person: Tensor
    """(N,) place in the list of people."""
    expression: Tensor
    view: Tensor
    """(N,) places in ``EXPRESSIONS`` and ``VIEWS``."""

    def of(self, chosen: Tensor) -> Fits:
        """Those with True in (N,)."""
        return Fits(*(part[chosen] for part in vars(self).values()))


@torch.no_grad()
def fit_people(split: Split, pipeline: Pipeline, facenet: bool) -> Fits:
    """Every photograph of a split, fitted by itself."""
    frll, network = load_frll(), load_facenet() if facenet else None
    rows = [
        (place, expression, view)
        for place in range(len(frll.people(split)))
        for expression in range(len(EXPRESSIONS))
        for view in range(len(VIEWS))
    ]
    identities, embeddings = [], []
    for place, expression, view in tqdm(rows, unit="photo", mininterval=10):
        path = frll.path(frll.people(split)[place], EXPRESSIONS[expression], VIEWS[view])
        face = pipeline.face(read_photo(path))
        identities.append(pipeline.regressor(face).identity)
        embeddings.append(torch.zeros(1, 0) if network is None else face_embedding(network, face.image))
    columns = torch.tensor(rows).T.contiguous()
    return Fits(torch.cat(identities), torch.cat(embeddings), *columns)


def pairs(fits: Fits, distance: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(N, N) distances -> those of the same person and of different people, between two views of one expression."""
    alike = fits.expression[:, None] == fits.expression
    alike &= fits.view[:, None] < fits.view
    same = fits.person[:, None] == fits.person
    return distance[alike & same].numpy(), distance[alike & ~same].numpy()


def left_out(fits: Fits) -> tuple[np.ndarray, np.ndarray]:
    """``pairs`` of people who were left out of the metric that measures them."""
    found = []
    for fold in range(FOLDS):
        out = fits.person % FOLDS == fold
        points = fits.identity[out] @ fisher_projection(fits.identity[~out], fits.person[~out])
        found.append(pairs(fits.of(out), torch.cdist(points, points)))
    same, different = zip(*found, strict=True)
    return np.concatenate(same), np.concatenate(different)


def describe(name: str, same: np.ndarray, different: np.ndarray) -> None:
    """Print thresholds and what they find."""
    print(f"{name}: {len(same)} pairs of one person, median {np.median(same):.3f};", end=" ")
    print(f"{len(different)} of different people, median {np.median(different):.3f}")
    for share in SHARES:
        threshold = np.quantile(same, share)
        print(f"  {share:.1%} of one person's below {threshold:.3f}, where {(different > threshold).mean():.1%} of"
              " different people are above")  # fmt: skip


def main(config: Config) -> None:
    """Fit, measure, write."""
    pipeline = Pipeline.build(texture_size=256)
    fits = fit_people("train", pipeline, config.facenet)
    describe("identity, people left out", *left_out(fits))
    projection = fisher_projection(fits.identity, fits.person)
    others = fit_people("validation", pipeline, config.facenet)
    points = others.identity @ projection
    describe("identity, validation people", *pairs(others, torch.cdist(points, points)))
    if config.facenet:
        for name, group in (("training", fits), ("validation", others)):
            describe(f"1 - FaceNet's cosine, {name} people", *pairs(group, 1 - group.embedding @ group.embedding.T))
    head = f"{pipeline.model.name} {pipeline.model.version}"
    with whole_file(config.output) as temporary:
        save_file({"projection": projection.contiguous()}, str(temporary), metadata={"head": head})


if __name__ == "__main__":
    try:
        main(tyro.cli(Config, description=__doc__))
    except FtimError as error:
        sys.exit(f"error: {error}")
