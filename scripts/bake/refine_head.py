"""Learn from photographs where the landmarks lie on the head and how people's heads vary.

    FTIM_DATA=FOLDER python -m scripts.bake.refine_head     # then: python -m scripts.bake.head

Fits the head, as baked without what this script finds, to FRLL's training people (six photos each, together), webmorph
and the official portraits for training, and alternates two steps of expectation maximisation and one of triangulation:

* Identity is normal with a mean and covariance. Each fit gives a Gaussian over the coefficients (Laplace's
  approximation); their mixture's moments are the new mean and covariance (Dempster, Laird and Rubin 1977).
* The place of a landmark is moved by what is left on average between fits and detections over all views, in
  head space, and put back on the surface.

Writes ``scripts/bake/open_head/identity_prior.safetensors`` and ``scripts/bake/open_head/landmark_offsets.txt``.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

os.environ |= {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}  # sums in one order, on any number of cores

import numpy as np
import torch
import trimesh
from torch import Tensor
from tqdm import tqdm

from ftim.canonical_face import load_canonical_face
from ftim.data import load_frll, load_official_portraits, load_webmorph
from ftim.data.frll import EXPRESSIONS as FRLL_EXPRESSIONS
from ftim.detector import FaceDetector, detect_face
from ftim.errors import FtimError
from ftim.face import align
from ftim.landmarks import LANDMARK_MIRROR
from ftim.morphable.expressions import EXPRESSION_MIRROR
from ftim.morphable.model import MorphableModel
from ftim.photo import read_photo
from ftim.regressors.gauss_newton import State, linearize, normal_matrix, pose_jacobian
from ftim.regressors.geometry import GeometrySettings, LandmarkFitter
from ftim.structures import Face
from scripts.bake.head import vertex_weights
from scripts.bake.open_head.identity import Bases, IdentityConfig, build_bases
from scripts.bake.open_head.landmarks import OFFSETS, Embedding, barycentrics, front_skin, register
from scripts.bake.open_head.mesh import HeadMesh, build_mesh, build_models
from scripts.bake.open_head.prior import apply_prior, save_prior

FLIP = torch.tensor([-1.0, 1.0, 1.0])


@dataclasses.dataclass(frozen=True)
class RefineConfig:
    """Settings of the refinement."""

    rounds: int = 6
    wideness: float = 0.15
    """Share of the drawn heads' covariance that stays, for people unlike those of the data sets."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Photos fitted in one go: of one person, or of as many people as photos."""

    face: Face
    together: bool


def find_groups() -> list[Group]:
    """Crops without pixels, in the order of the data sets."""
    detector = FaceDetector()

    def find(paths: list[Path]) -> list[Face]:
        faces = []
        for path in paths:
            try:
                photo = read_photo(path)
                face = align(photo, detect_face(photo, detector=detector))
            except FtimError as error:
                print(f"{path.name} left out: {error}")
                continue
            faces.append(dataclasses.replace(face, image=face.image[:, :1]))
        return faces

    groups = []
    frll = load_frll()
    for person in tqdm(frll.people("train"), desc="FRLL"):
        paths = [path for expression in FRLL_EXPRESSIONS for path in frll.triplet(person, expression)]
        groups.append(Group(Face.concatenate(find(paths)), True))
    for photos in (load_webmorph(), load_official_portraits("train")):
        faces = find([photo.path for photo in tqdm(photos.photos, desc=photos.name)])
        groups += [Group(Face.concatenate(faces[i : i + 16]), False) for i in range(0, len(faces), 16)]
    return groups


def as_model(mesh: HeadMesh, bases: Bases, embedding: Embedding) -> MorphableModel:
    """The head without atlas and regions, which the geometric fit does not need."""
    rows = len(mesh.triangles)
    return MorphableModel(
        template=torch.as_tensor(bases.mean).float(),
        identity_basis=torch.as_tensor(bases.identity).float(),
        expression_basis=torch.as_tensor(bases.expression).float(),
        triangles=torch.as_tensor(mesh.triangles).long(),
        uv=torch.zeros(1, 2),
        uv_triangles=torch.zeros(rows, 3, dtype=torch.int64),
        regions=torch.zeros(rows, dtype=torch.int64),
        vertex_mirror=torch.as_tensor(mesh.vertex_mirror).long(),
        identity_mirror=torch.as_tensor(bases.identity_mirror).float(),
        expression_mirror=torch.tensor(EXPRESSION_MIRROR),
        landmark_triangles=torch.as_tensor(embedding.triangles).long(),
        landmark_barycentrics=torch.as_tensor(embedding.barycentrics).float(),
    )


class Evidence:
    """Sums over fits: moments of the identity, and normal equations of the landmarks' places."""

    def __init__(self, identities: int) -> None:
        self.people = 0
        self.first = torch.zeros(identities, dtype=torch.float64)
        self.second = torch.zeros(identities, identities, dtype=torch.float64)
        self.normal = torch.zeros(478, 3, 3)
        self.right = torch.zeros(478, 3)
        self.error = 0.0
        self.photos = 0

    def add(self, fitter: LandmarkFitter, group: Group) -> None:
        """Fit a group and take in what it shows."""
        face, basis = group.face, fitter.basis
        fit = fitter(face, group.together)
        state = State(fit.rotation, fit.translation, torch.cat([fit.identity, fit.expression], dim=1))
        target = fitter.target(face, fit.camera, -fit.translation[:, 2])
        linear = linearize(basis, state, target)
        covariance = self._identity_covariance(fitter, normal_matrix(basis, linear, pose_jacobian(linear)), group)
        people = fit.identity[:1] if group.together else fit.identity
        people = people.double()
        self.people += len(people)
        self.first += people.sum(0)
        self.second += covariance.sum(0) + people.T @ people
        self.normal += torch.einsum("bcni,bcnj->nij", linear.by_head, linear.by_head)
        self.right -= torch.einsum("bcni,bcn->ni", linear.by_head, linear.residual)
        self.error += target.sigma * float(linear.residual.square().sum(1).sqrt().mean(1).sum())
        self.photos += len(face)

    @staticmethod
    def _identity_covariance(fitter: LandmarkFitter, normal: Tensor, group: Group) -> Tensor:
        """(people, K, K): inverse curvature in identity with all else free."""
        k = fitter.basis.identities
        normal = normal.double()
        share = 1 / len(group.face) if group.together else 1.0
        prior = torch.cat([torch.full((k,), share), fitter.expression_precision, torch.full((6,), 1e-3)])
        normal.diagonal(dim1=1, dim2=2).add_(prior)
        common, cross, own = normal[:, :k, :k], normal[:, k:, :k], normal[:, k:, k:]
        reduced = common - cross.transpose(1, 2) @ torch.linalg.solve(own, cross)
        return torch.linalg.inv(reduced.sum(0, keepdim=True) if group.together else reduced)

    def prior(self, mirror: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (K,) and covariance (K, K), both of a population as frequent as its mirror image."""
        symmetric = mirror > 0
        mean = self.first / self.people * symmetric
        covariance = self.second / self.people - torch.outer(mean, mean)
        return mean, covariance * (symmetric[:, None] == symmetric)

    def displacement(self) -> Tensor:
        """(478, 3) metres in head space, the same on both sides."""
        mirror = torch.tensor(LANDMARK_MIRROR)
        normal = self.normal + FLIP[:, None] * self.normal[mirror] * FLIP
        right = self.right + self.right[mirror] * FLIP
        # A little stiffness holds still what no view shows: the depth of points seen from the front only.
        stiffness = 0.02 * normal.diagonal(dim1=1, dim2=2).mean(1)
        return torch.linalg.solve(normal + stiffness[:, None, None] * torch.eye(3), right[..., None])[..., 0]


def reembedded(mesh: HeadMesh, bases: Bases, embedding: Embedding, displacement: np.ndarray) -> Embedding:
    """The mesh landmarks moved and put back on the outer skin; the irises stay."""
    corners = bases.mean[mesh.triangles[embedding.triangles[:468]]]
    points = (corners * embedding.barycentrics[:468, :, None]).sum(1) + displacement[:468]
    allowed = front_skin(mesh, bases)
    surface = trimesh.Trimesh(bases.mean, mesh.triangles[allowed], process=False)
    nearest, _, index = trimesh.proximity.closest_point(surface, points)
    triangles, weights = embedding.triangles.copy(), embedding.barycentrics.copy()
    triangles[:468] = allowed[index]
    weights[:468] = barycentrics(bases.mean[mesh.triangles[triangles[:468]]], nearest)
    return Embedding(triangles, weights)


def ordered(factor: np.ndarray, bases: Bases, weights: np.ndarray) -> np.ndarray:
    """The factor turned so that within each kind the components move the face ever less, and are uncorrelated."""
    flat = (bases.identity * np.sqrt(weights)[:, None]).reshape(len(bases.identity), -1)
    turned = np.zeros_like(factor)
    for sign in (1, -1):
        rows = np.flatnonzero(bases.identity_mirror == sign)
        block = factor[np.ix_(rows, rows)]
        _, vectors = np.linalg.eigh(block.T @ (flat[rows] @ flat[rows].T) @ block)
        block = block @ vectors[:, ::-1]
        largest = np.abs(block).argmax(0)
        turned[np.ix_(rows, rows)] = block * np.sign(block[largest, np.arange(len(rows))])
    return turned


def main() -> None:
    """Detect, alternate, write."""
    torch.set_num_threads(1)  # sums in a fixed order
    config = RefineConfig()
    head, whole = build_models()
    mesh = build_mesh(head, whole)
    weights = vertex_weights(mesh)
    raw = build_bases(whole, mesh, weights, IdentityConfig())
    registered = register(mesh, raw, load_canonical_face())
    groups = find_groups()
    count = len(raw.identity)
    bases, embedding = raw, registered
    mean, factor = np.zeros(count), np.eye(count)
    mirror = torch.as_tensor(raw.identity_mirror)
    for number in range(config.rounds):
        fitter = LandmarkFitter(as_model(mesh, bases, embedding), GeometrySettings())
        evidence = Evidence(count)
        for group in tqdm(groups, desc=f"round {number}"):
            evidence.add(fitter, group)
        shift, covariance = evidence.prior(mirror)
        displacement = evidence.displacement().double().numpy()
        millimetres = 1e3 * np.abs(displacement[:468]).mean()
        print(
            f"round {number}: residual {100 * evidence.error / evidence.photos:.3f} %, mean off by {shift.norm():.3f}, "
            f"variance {covariance.diagonal().mean():.3f}, landmarks off by {millimetres:.3f} mm"
        )
        mean = mean + factor @ shift.numpy()
        raw_covariance = factor @ covariance.numpy() @ factor.T
        wide = (1 - config.wideness) * raw_covariance + config.wideness * np.eye(count)
        factor = ordered(np.linalg.cholesky(wide), raw, weights)
        bases = apply_prior(raw, mean, factor)
        embedding = reembedded(mesh, bases, embedding, displacement)
    save_prior(raw, mean, factor)
    corners = bases.mean[mesh.triangles]
    moved = (corners[embedding.triangles] * embedding.barycentrics[..., None]).sum(1)
    start = (corners[registered.triangles] * registered.barycentrics[..., None]).sum(1)
    np.savetxt(OFFSETS, moved - start, fmt="%.6f")
    print(f"wrote {OFFSETS}")


if __name__ == "__main__":
    main()
