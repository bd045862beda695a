"""MediaPipe's 478 landmarks on the head: non-rigid registration of its canonical face to the mesh."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh

from ftim.canonical_face import CanonicalFace
from ftim.landmarks import LANDMARK_MIRROR
from ftim.morphable.expressions import EXPRESSIONS
from scripts.bake.open_head.identity import Bases
from scripts.bake.open_head.mesh import HeadMesh

NOSE_TIP = 1
EYE_CORNERS = ((33, 133), (362, 263))
"""Outer and inner corner of the subject's right eye, inner and outer corner of the left one."""
MOUTH_CORNERS = (61, 291)
LIPS = (13, 14)
UPPER_LIP = (
    37, 0, 267, 39, 269, 72, 11, 302, 73, 303, 38, 12, 268, 41, 271, 82, 13, 312, 81, 311, 80, 310, 42, 272, 74, 304,
    40, 270,
)  # fmt: skip
LOWER_LIP = (
    84, 17, 314, 181, 405, 85, 16, 315, 180, 404, 86, 15, 316, 179, 403, 87, 14, 317, 178, 402, 88, 318, 89, 319,
    90, 320, 91, 321,
)  # fmt: skip
UPPER_LIDS = (161, 160, 159, 158, 157, 388, 387, 386, 385, 384)
LOWER_LIDS = (163, 144, 145, 153, 154, 390, 373, 374, 380, 381)
IRIS_RADIUS = 0.0059
OFFSETS = Path(__file__).parent / "landmark_offsets.txt"


@dataclass(frozen=True)
class Embedding:
    """One surface point for each landmark."""

    triangles: np.ndarray
    """(478,)."""
    barycentrics: np.ndarray
    """(478, 3)."""


def anchors(mesh: HeadMesh, bases: Bases) -> tuple[np.ndarray, list[list[int]]]:
    """Head points of eyes, mouth corners and nose tip, found from where the facial actions move the head."""

    def most_moved(name: str, among: np.ndarray) -> np.ndarray:
        moved = np.linalg.norm(bases.expression[EXPRESSIONS.index(name)], axis=1) * among
        return bases.mean[moved > 0.9 * moved.max()].mean(0)

    skin = np.zeros(len(bases.mean), bool)
    skin[np.unique(mesh.triangles[mesh.groups == 0])] = True
    left_eye = bases.mean[np.unique(mesh.triangles[mesh.groups == 1])]
    right_eye = bases.mean[np.unique(mesh.triangles[mesh.groups == 2])]
    eyes = [right_eye[right_eye[:, 2].argmax()], left_eye[left_eye[:, 2].argmax()]]
    corners = [most_moved("mouthSmileRight", skin), most_moved("mouthSmileLeft", skin)]
    middle = skin & (np.abs(bases.mean[:, 0]) < 1e-6) & (bases.mean[:, 1] > corners[0][1] + 0.01)
    nose = bases.mean[np.flatnonzero(middle)[bases.mean[middle, 2].argmax()]]
    rows = [list(EYE_CORNERS[0]), list(EYE_CORNERS[1]), [MOUTH_CORNERS[0]], [MOUTH_CORNERS[1]], [NOSE_TIP]]
    return np.stack([*eyes, *corners, nose]), rows


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation and shift that bring ``source`` to ``target`` (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = (s * np.diag(sign)).sum() / (a**2).sum()
    return scale, rotation, target.mean(0) - scale * rotation @ source.mean(0)


def front_skin(mesh: HeadMesh, bases: Bases) -> np.ndarray:
    """Triangles that a landmark may lie on: outer skin that faces forward or sideways, in front of the ears."""
    corners = bases.mean[mesh.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    centre = corners.mean(1)
    candidate = (mesh.groups == 0) & (centre[:, 2] > -0.10) & (normal[:, 2] > -0.35)
    origins = centre + 1e-5 * normal
    away = np.where(normal[:, 2:] > 0.25, [0.0, 0.0, 1.0], np.sign(centre[:, :1]) * [1.0, 0.0, 0.0])
    rays = trimesh.Trimesh(bases.mean, mesh.triangles, process=False).ray
    hidden = rays.intersects_any(origins, away + 0.3 * normal)
    return np.flatnonzero(candidate & ~hidden)


def register(mesh: HeadMesh, bases: Bases, face: CanonicalFace, rounds: int = 30) -> Embedding:
    """Fit identity to the canonical face by closest points, then take each landmark's nearest surface point."""
    points, rows = anchors(mesh, bases)
    source = np.stack([face.vertices[row].mean(0) for row in rows])
    scale, rotation, shift = similarity(source, points)
    target = scale * face.vertices @ rotation.T + shift
    allowed = front_skin(mesh, bases)
    triangles = mesh.triangles[allowed]
    basis = bases.identity[bases.identity_mirror > 0]
    coefficients = np.zeros(len(basis))
    for _ in range(rounds):
        vertices = bases.mean + np.einsum("kvc,k->vc", basis, coefficients)
        surface = trimesh.Trimesh(vertices, triangles, process=False)
        nearest, distance, index = trimesh.proximity.closest_point(surface, target)
        bary = barycentrics(vertices[triangles[index]], nearest)
        on_basis = np.einsum("kncd,nc->knd", basis[:, triangles[index]], bary)
        rest = nearest - np.einsum("knd,k->nd", on_basis, coefficients)
        scale, rotation, shift = similarity(face.vertices, nearest)
        target = scale * face.vertices @ rotation.T + shift
        jacobian = on_basis.reshape(len(basis), -1)
        stiffness = 0.002**2 * np.eye(len(basis))
        coefficients = np.linalg.solve(jacobian @ jacobian.T + stiffness, jacobian @ (target - rest).ravel())
    millimetres = 1e3 * distance
    print(f"canonical face to head: mean {millimetres.mean():.2f} mm, 95 % {np.quantile(millimetres, 0.95):.2f} mm")
    return with_irises(mesh, bases, allowed[index], bary)


def barycentrics(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 3, 3) and (N, 3) -> (N, 3) weights, clamped to the triangle."""
    weights = trimesh.triangles.points_to_barycentric(corners, points)
    weights = np.clip(weights, 0.0, 1.0)
    return weights / weights.sum(1, keepdims=True)


def with_irises(mesh: HeadMesh, bases: Bases, triangles: np.ndarray, weights: np.ndarray) -> Embedding:
    """Add the ten iris landmarks on the eyeballs, which look straight ahead in the mean head.

    MediaPipe's order is centre and four points of the rim, right eye first (468 to 472), then left (473 to 477);
    the rim runs: towards the image's right, up, towards the image's left, down.
    """
    found, bary = [triangles], [weights]
    for group in (2, 1):
        own = np.flatnonzero(mesh.groups == group)
        surface = trimesh.Trimesh(bases.mean, mesh.triangles[own], process=False)
        ball = bases.mean[np.unique(mesh.triangles[own])]
        front = ball[ball[:, 2].argmax()]
        ring = IRIS_RADIUS * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
        nearest, _, index = trimesh.proximity.closest_point(surface, front + ring)
        found.append(own[index])
        bary.append(barycentrics(bases.mean[mesh.triangles[own[index]]], nearest))
    return Embedding(np.concatenate(found), np.concatenate(bary))


def correct(mesh: HeadMesh, bases: Bases, embedding: Embedding) -> Embedding:
    """The final embedding: offsets learnt from photographs, lips and lids on their own side, both halves alike.

    The offsets (``landmark_offsets.txt``, metres in head axes) come from fits to real photographs. The points are
    made mirror-symmetric, and each is put on the nearest surface that it may lie on: lower-lip points where the
    jaw moves the skin, upper-lip points where it does not, upper-lid points where blinking moves it.
    """
    corners = bases.mean[mesh.triangles[embedding.triangles]]
    points = (corners * embedding.barycentrics[:, :, None]).sum(1)
    if OFFSETS.exists():
        points = points + np.loadtxt(OFFSETS)
    mirror = np.asarray(LANDMARK_MIRROR)
    points = 0.5 * (points + points[mirror] * [-1.0, 1.0, 1.0])
    found, bary = np.zeros(len(points), np.int64), np.zeros((len(points), 3))
    row_of = {tuple(sorted(triangle)): i for i, triangle in enumerate(mesh.triangles)}
    for rows, allowed in surfaces(mesh, bases):
        surface = trimesh.Trimesh(bases.mean, mesh.triangles[allowed], process=False)
        nearest, _, index = trimesh.proximity.closest_point(surface, points[rows])
        found[rows] = allowed[index]
        bary[rows] = barycentrics(bases.mean[mesh.triangles[found[rows]]], nearest)
    for left in np.flatnonzero(points[:, 0] > 1e-9):  # the right half is the left half's mirror image
        flipped = mesh.vertex_mirror[mesh.triangles[found[left]]]
        right = mirror[left]
        found[right] = row_of[tuple(sorted(flipped))]
        bary[right] = [bary[left][np.flatnonzero(flipped == corner)[0]] for corner in mesh.triangles[found[right]]]
    return Embedding(found, bary)


def surfaces(mesh: HeadMesh, bases: Bases) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of landmark rows and the triangles they may lie on; together they cover the 478 landmarks."""
    skin = front_skin(mesh, bases)
    jaw = moved(mesh, bases, "jawOpen")[skin]
    blink = np.maximum(moved(mesh, bases, "eyeBlinkLeft"), moved(mesh, bases, "eyeBlinkRight"))[skin]
    kinds = [
        (np.array(UPPER_LIP), skin[jaw < 0.25]),
        (np.array(LOWER_LIP), skin[jaw > 0.5]),
        (np.array(UPPER_LIDS), skin[blink > 0.3]),
        (np.array(LOWER_LIDS), skin[blink < 0.5]),
        (np.arange(468, 473), np.flatnonzero(mesh.groups == 2)),
        (np.arange(473, 478), np.flatnonzero(mesh.groups == 1)),
    ]
    named = np.concatenate([rows for rows, _ in kinds])
    return [(np.setdiff1d(np.arange(478), named), skin), *kinds]


def moved(mesh: HeadMesh, bases: Bases, name: str) -> np.ndarray:
    """(F,) how far an expression moves each triangle's centre, relative to the most that it moves any."""
    offsets = np.linalg.norm(bases.expression[EXPRESSIONS.index(name)][mesh.triangles].mean(1), axis=1)
    return offsets / offsets.max()
