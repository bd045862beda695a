"""The skin mask on a made-up photograph whose true mask is known."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from ftim.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from ftim.morphable.model import MorphableModel
from ftim.morphable.open_head import load_open_head
from ftim.regressors.mirror import mirror_face, mirror_fit
from ftim.render.pose import pose_head
from ftim.render.rasterizer import Rasterizer, default_rasterizer
from ftim.skin import skin_mask
from ftim.skin.geometry import LEFT_BROW, LEFT_EYE, LIPS, RIGHT_BROW, RIGHT_EYE
from ftim.structures import Camera, Face, Fit

SIZE = 224
SKIN = (0.75, 0.57, 0.48)
HAIR = (0.16, 0.11, 0.08)
WALL = (0.85, 0.87, 0.9)
FEATURES: tuple[tuple[int, ...], ...] = (RIGHT_BROW, LEFT_BROW, RIGHT_EYE, LEFT_EYE, LIPS)


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_open_head()


@pytest.fixture(scope="module")
def rasterizer() -> Rasterizer:
    return default_rasterizer()


def fit_of(model: MorphableModel, turn: float = 0.0) -> Fit:
    cos, sin = np.cos(turn), np.sin(turn)
    camera = Camera(torch.tensor([400.0]), torch.tensor([[SIZE / 2, SIZE / 2]]), SIZE, SIZE)
    return Fit(
        identity=torch.zeros(1, len(model.identity_basis)),
        expression=torch.zeros(1, len(model.expression_basis)),
        rotation=torch.tensor([[[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]], dtype=torch.float32),
        translation=torch.tensor([[0.0, 0.02, -0.45]]),
        light=torch.zeros(1, 9, 3),
        camera=camera,
    )


class Scene:
    """A head of one colour with features, lit from one side, before a wall; what it shows as it is painted over."""

    def __init__(self, model: MorphableModel, rasterizer: Rasterizer, turn: float = 0.0, skin: tuple = SKIN) -> None:
        self.fit = fit_of(model, turn)
        head = pose_head(model, self.fit)
        fragments = rasterizer(head.positions, model.triangles, SIZE, SIZE)
        corners = model.triangles[fragments.face[0].clamp_min(0)]
        normal = (head.normals[0][corners] * fragments.barycentric[0, ..., None]).sum(2)
        shade = 0.75 + 0.2 * normal[..., 2] + 0.2 * normal[..., 0]
        self.head = (fragments.face[0] >= 0).numpy()
        rng = np.random.default_rng(0)
        image = np.where(self.head[..., None], shade[..., None].numpy() * np.array(skin), WALL)
        self.image = (image + rng.normal(0, 0.008, image.shape)).clip(0, 1).astype(np.float32)
        points = model.landmarks(head.vertices)
        self.landmarks = self.fit.camera.project(points)[0, :, :2].numpy()
        self.unit = float(np.linalg.norm(self.landmarks[RIGHT_EYE_OUTER] - self.landmarks[LEFT_EYE_OUTER]))
        colours: dict[tuple[int, ...], tuple[float, float, float]] = {
            RIGHT_BROW: HAIR,
            LEFT_BROW: HAIR,
            RIGHT_EYE: WALL,
            LEFT_EYE: WALL,
            LIPS: (0.6, 0.3, 0.3),
        }
        for outline, colour in colours.items():
            cv2.fillPoly(self.image, [self.landmarks[list(outline)].astype(np.int32)], colour)

    def face(self) -> Face:
        return Face(
            image=torch.from_numpy(self.image).permute(2, 0, 1)[None],
            valid=torch.ones(1, 1, SIZE, SIZE),
            landmarks=torch.from_numpy(self.landmarks)[None],
            blendshapes=torch.zeros(1, 52),
            crop_to_photo=torch.tensor([[1.0, 0.0, 0.0]]),
        )

    def paint(self, polygon: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
        """Paint an occluder and return its pixels."""
        mask = np.zeros((SIZE, SIZE), np.uint8)
        cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 1)
        self.image[mask > 0] = colour
        return mask > 0


def shown(mask: Tensor, where: np.ndarray) -> float:
    return float(mask[0, 0].numpy()[where].mean())


def inner_face(scene: Scene) -> np.ndarray:
    x, y = scene.landmarks[1]
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    return ((columns - x) / (0.45 * scene.unit)) ** 2 + ((rows - y + 0.1 * scene.unit) / (0.6 * scene.unit)) ** 2 < 1


@pytest.mark.parametrize("skin", [SKIN, (0.3, 0.19, 0.14)])
@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_bare_face_is_kept_and_wall_is_not(model, rasterizer, turn, skin) -> None:
    scene = Scene(model, rasterizer, turn, skin)
    mask = skin_mask(scene.face(), scene.fit, model, rasterizer)
    assert mask.shape == (1, 1, SIZE, SIZE) and float(mask.min()) >= 0 and float(mask.max()) <= 1
    within = cv2.erode(scene.head.astype(np.uint8), np.ones((9, 9))) > 0
    assert shown(mask, inner_face(scene) & within) > 0.97
    assert shown(mask, ~scene.head) < 0.002


def test_features_belong_to_the_face(model, rasterizer) -> None:
    scene = Scene(model, rasterizer)
    mask = skin_mask(scene.face(), scene.fit, model, rasterizer)
    for outline in FEATURES:
        feature = np.zeros((SIZE, SIZE), np.uint8)
        cv2.fillPoly(feature, [scene.landmarks[list(outline)].astype(np.int32)], 1)
        assert shown(mask, feature > 0) > 0.95


def test_hair_over_the_forehead_is_left_out(model, rasterizer) -> None:
    scene = Scene(model, rasterizer)
    u = scene.unit
    lock = np.array([[-1.2, -1.5], [1.2, -1.5], [1.2, 0.0], [0.0, -0.25], [-1.2, 0.0]])
    hair = scene.paint(scene.landmarks[9] + u * lock, HAIR)
    mask = skin_mask(scene.face(), scene.fit, model, rasterizer)
    brows = np.zeros((SIZE, SIZE), np.uint8)
    for outline in FEATURES[:2]:
        cv2.fillPoly(brows, [scene.landmarks[list(outline)].astype(np.int32)], 1)
    assert shown(mask, hair & (cv2.dilate(brows, np.ones((9, 9))) == 0)) < 0.03
    assert shown(mask, inner_face(scene) & ~hair) > 0.97


@pytest.mark.parametrize("skin", [SKIN, (0.3, 0.19, 0.14)])
def test_hair_that_is_nearly_as_bright_as_skin_is_left_out_beside_the_face(model, rasterizer, skin) -> None:
    """Cropped hair at a temple, and the tip of a fringe: darker by a third than skin, and browner; no black."""
    scene = Scene(model, rasterizer, skin=skin)
    u, colour = scene.unit, tuple(np.array(skin) * (0.64, 0.62, 0.56))
    between, top = scene.landmarks[[RIGHT_EYE_OUTER, LEFT_EYE_OUTER]].mean(0), scene.landmarks[10]
    scene.paint(top + u * np.array([[-1.2, -1.5], [1.2, -1.5], [1.2, -0.2], [-1.2, -0.2]]), colour)
    tip = scene.paint(top + u * np.array([[-0.2, -0.25], [0.2, -0.25], [0.0, 0.2]]), colour)
    temple = scene.paint(between + u * np.array([[0.65, -0.9], [1.1, -0.9], [1.1, 0.1], [0.74, 0.1]]), colour)
    hair = tip | temple
    mask = skin_mask(scene.face(), scene.fit, model, rasterizer)
    assert shown(mask, hair & scene.head) < 0.15
    assert shown(mask, inner_face(scene) & (cv2.dilate(hair.astype(np.uint8), np.ones((9, 9))) == 0)) > 0.97


def test_glove_over_the_cheek_is_left_out(model, rasterizer) -> None:
    scene = Scene(model, rasterizer)
    u = scene.unit
    hand = np.array([[0.3, -0.2], [1.3, -0.2], [1.3, 0.1], [0.3, 0.1]])
    glove = scene.paint(scene.landmarks[1] + u * hand, (0.1, 0.3, 0.7))
    mask = skin_mask(scene.face(), scene.fit, model, rasterizer)
    assert shown(mask, glove) < 0.05
    assert shown(mask, inner_face(scene) & (cv2.dilate(glove.astype(np.uint8), np.ones((9, 9))) == 0)) > 0.97


def test_frames_of_glasses_are_left_out(model, rasterizer) -> None:
    scene = Scene(model, rasterizer)
    frame = np.zeros((SIZE, SIZE), np.uint8)
    thickness = max(2, round(0.035 * scene.unit))
    centres = []
    for outline in FEATURES[2:4]:
        centre = scene.landmarks[list(outline)].mean(0) + np.array([0, 0.02 * scene.unit])
        centres.append(centre)
        cv2.circle(frame, [int(centre[0]), int(centre[1])], round(0.23 * scene.unit), 1, thickness)
    height = round(float(centres[0][1]))
    reach = 0.22 * scene.unit
    cv2.line(frame, (round(centres[0][0] + reach), height), (round(centres[1][0] - reach), height), 1, thickness)
    with_frame = dataclasses.replace(scene.face(), image=scene.face().image.clone())
    with_frame.image[0, :, torch.from_numpy(frame > 0)] = 0.08
    plain = skin_mask(scene.face(), scene.fit, model, rasterizer)
    mask = skin_mask(with_frame, scene.fit, model, rasterizer)
    brows = np.zeros((SIZE, SIZE), np.uint8)
    for outline in FEATURES[:2]:
        cv2.fillPoly(brows, [scene.landmarks[list(outline)].astype(np.int32)], 1)
    line = (frame > 0) & (cv2.dilate(brows, np.ones((5, 5))) == 0)
    assert shown(plain, line) > 0.97
    assert shown(mask, line) < 0.15
    assert shown(mask, inner_face(scene) & (cv2.dilate(frame, np.ones((7, 7))) == 0)) > 0.97


def test_beard_belongs_to_the_face(model, rasterizer) -> None:
    scene = Scene(model, rasterizer)
    jaw = [132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 425, 164, 205]
    lips = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(lips, [scene.landmarks[list(LIPS)].astype(np.int32)], 1)
    lip_colours = scene.image[lips > 0].copy()
    beard = scene.paint(scene.landmarks[jaw], HAIR)
    scene.image[lips > 0] = lip_colours
    mask = skin_mask(scene.face(), scene.fit, model, rasterizer)
    assert shown(mask, beard & inner_face(scene)) > 0.95


def test_padding_is_left_out(model, rasterizer) -> None:
    scene = Scene(model, rasterizer)
    valid = torch.ones(1, 1, SIZE, SIZE)
    valid[..., : SIZE // 2] = 0
    mask = skin_mask(dataclasses.replace(scene.face(), valid=valid), scene.fit, model, rasterizer)
    assert float(mask[..., : SIZE // 2].max()) == 0 and float(mask[..., SIZE // 2 :].mean()) > 0.1


def test_mirrored_photo_gives_the_mirrored_mask(model, rasterizer) -> None:
    scene = Scene(model, rasterizer, turn=0.5)
    face = scene.face()
    mask = skin_mask(face, scene.fit, model, rasterizer)
    mirrored = skin_mask(mirror_face(face), mirror_fit(scene.fit, model), model, rasterizer)
    assert float((mask - mirrored.flip(-1)).abs().mean()) < 1e-3


def test_batch_gives_what_single_photos_give(model, rasterizer) -> None:
    scenes = [Scene(model, rasterizer, turn) for turn in (0.0, 0.4)]
    face, fit = Face.concatenate([s.face() for s in scenes]), Fit.concatenate([s.fit for s in scenes])
    both = skin_mask(face, fit, model, rasterizer)
    for index, scene in enumerate(scenes):
        assert torch.equal(both[index : index + 1], skin_mask(scene.face(), scene.fit, model, rasterizer))


def test_face_outside_the_crop_gives_an_empty_mask(model, rasterizer) -> None:
    scene = Scene(model, rasterizer)
    away = dataclasses.replace(scene.fit, translation=torch.tensor([[2.0, 0.0, -0.45]]))
    assert float(skin_mask(scene.face(), away, model, rasterizer).max()) == 0
