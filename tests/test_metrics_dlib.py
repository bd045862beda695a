"""dlib's distance: chips against dlib's own, and what the network makes of people; skipped without dlib."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.runner import scoring
from benchmark.runner.scoring import Scorer
from ftim.assets import ASSETS, AssetStore
from ftim.data import load_portraits
from ftim.detector import FaceDetector, detect_face
from ftim.errors import AssetUnavailableError, ModelFileError
from ftim.face import align
from ftim.metrics import chip_grid, descriptor_distance, face_chips, face_descriptor, load_dlib_face, on_grey
from ftim.metrics.dlib_face import ASSET, CHIP, LANDMARKS, DlibMissingError
from ftim.photo import read_photo
from ftim.structures import Face
from tests.fake_pipeline import FakeFacenet, FakeLpips

SIDE = 224
PLACES = np.array([(0.86, 0.21), (0.65, 0.23), (0.12, 0.21), (0.33, 0.23), (0.49, 0.63)])
"""Of the five points, as shares of the face's square: about where dlib wants them."""


def some_landmarks(turn: float = 0.0, size: float = 90.0) -> Tensor:
    """(1, 478, 2) whose five points lie on whole pixels + 0.5, as dlib's points do, turned by some radians."""
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = np.round((PLACES - 0.5) @ rotation * size + 110) + 0.5
    landmarks = torch.zeros(1, 478, 2)
    landmarks[0, list(LANDMARKS)] = torch.from_numpy(points).float()
    return landmarks


def some_picture() -> Tensor:
    """(1, 3, 224, 224), smooth."""
    small = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    picture = torch.nn.functional.interpolate(small, (SIDE, SIDE), mode="bicubic", align_corners=False).clamp(0, 1)
    return (picture * 255).round() / 255


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("dlib", reason="dlib is not installed: pip install 'ftim[dlib]'")
    if AssetStore.from_environment().find(ASSETS[ASSET]) is None:
        pytest.skip(f"{ASSET} is not fetched: ftim assets --fetch {ASSET}")
    return load_dlib_face()


@pytest.fixture(scope="module")
def faces() -> Face:
    try:
        photos = load_portraits("test").photos[:4]
    except AssetUnavailableError as error:
        pytest.skip(str(error))
    pixels = [read_photo(photo.path) for photo in photos]
    detector = FaceDetector()
    return Face.concatenate([align(item, detect_face(item, 0, detector), SIDE) for item in pixels])


def test_five_points_are_brought_to_their_places() -> None:
    """A crop that has the points exactly where the chip wants them is its own chip, but for its larger frame."""
    landmarks = some_landmarks()
    grid = chip_grid(landmarks, SIDE)
    assert grid.shape == (1, CHIP, CHIP, 2)
    # Moved and enlarged alike, landmarks and picture give the same chip.
    moved = chip_grid(landmarks * 2 + 10, 2 * SIDE)
    torch.testing.assert_close((moved + 1) * SIDE - 10, (grid + 1) * SIDE, atol=1e-3, rtol=0)


@pytest.mark.parametrize("turn", [0.0, 0.4, -2.0])
def test_turned_faces_are_upright_in_the_chip(turn: float) -> None:
    """Eyes on a level in the chip, whatever the turn: the grid's rows follow the line between them."""
    landmarks = some_landmarks(turn)
    grid = (chip_grid(landmarks, SIDE)[0] + 1) * SIDE / 2
    along = (grid[0, -1] - grid[0, 0]) / (grid[0, -1] - grid[0, 0]).norm()
    eyes = landmarks[0, LANDMARKS[0]] - landmarks[0, LANDMARKS[2]]
    assert float(along @ (eyes / eyes.norm())) > 0.999


def test_shape_of_landmarks_is_checked() -> None:
    with pytest.raises(ValueError, match="478"):
        chip_grid(torch.zeros(1, 68, 2), SIDE)


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_chips_are_those_of_dlib(turn: float) -> None:
    """dlib puts pixel centres at whole numbers, ours lie at + 0.5; its chip is ours but for the resampling."""
    dlib = pytest.importorskip("dlib", reason="dlib is not installed: pip install 'ftim[dlib]'")
    landmarks, picture = some_landmarks(turn), some_picture()
    points = dlib.points()
    for index in LANDMARKS:
        x, y = landmarks[0, index].tolist()
        points.append(dlib.point(int(x), int(y)))
    pixels = np.ascontiguousarray((picture[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    found = dlib.full_object_detection(dlib.rectangle(0, 0, SIDE - 1, SIDE - 1), points)
    expected = dlib.get_face_chip(pixels, found, size=CHIP, padding=0.25).astype(np.float32) / 255
    ours = face_chips(picture, chip_grid(landmarks, SIDE))[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - expected).mean() < 0.01
    assert np.abs(np.roll(ours, 8, axis=1) - expected).mean() > 0.02, "the picture is too smooth to show a shift"


def test_a_person_is_known_again(network, faces: Face) -> None:
    """A darker picture is nearer to its own person than to anybody else; equal pictures have no distance."""
    grid = chip_grid(faces.landmarks, SIDE)
    first = face_descriptor(network, face_chips(faces.image, grid))
    darker = face_descriptor(network, face_chips(0.8 * faces.image, grid))
    assert first.shape == (4, 128)
    distances = torch.stack([descriptor_distance(darker, other.expand(4, -1)) for other in first])
    assert (distances.argmin(0) == torch.arange(4)).all()
    assert float(distances.diagonal().max()) < 0.3
    others = distances + torch.eye(4)
    assert float(others.min()) > 0.5
    assert descriptor_distance(first, first).tolist() == [0.0] * 4


def test_masks_hide_the_outside(network, faces: Face) -> None:
    mask = torch.zeros(4, 1, SIDE, SIDE)
    mask[..., 50:180, 50:170] = 1
    grid = chip_grid(faces.landmarks, SIDE)
    other = torch.where(mask > 0.5, faces.image, torch.rand_like(faces.image))
    chips = face_chips(faces.image, grid, mask)
    torch.testing.assert_close(face_chips(other, grid, mask), chips)
    torch.testing.assert_close(chips, face_chips(on_grey(faces.image, mask), grid))
    assert float((face_chips(other, grid) - chips).abs().mean()) > 0.05


def test_targets_ask_for_the_face_alone(network, faces: Face) -> None:
    scorer = Scorer(FakeLpips(), FakeFacenet(), network)
    image, mask = faces.image, torch.ones_like(faces.valid)
    whole, face = scorer.target("overlay", image, None), scorer.target("face", image, mask, landmarks=faces.landmarks)
    assert {row.dlib for row in scorer.score(image, whole)} == {None}
    assert {row.dlib for row in scorer.score(image, face)} == {0.0}
    swapped = scorer.score(image[[1, 0]], face.part([0, 1]))
    assert all(row.dlib is not None and row.dlib > 0.5 for row in swapped), "other people"
    without = Scorer(FakeLpips(), FakeFacenet())
    assert without.target("face", image, mask, landmarks=faces.landmarks).chips is None


def test_wrong_files_are_refused(network, tmp_path: Path) -> None:
    path = tmp_path / "wrong.dat"
    path.write_bytes(b"no network")
    with pytest.raises(ModelFileError, match=r"wrong\.dat"):
        load_dlib_face(path)


def test_without_dlib_a_run_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(DlibMissingError, match=r"pip install 'ftim\[dlib\]'"):
        load_dlib_face()
    monkeypatch.setattr(scoring, "load_lpips", lambda device: FakeLpips())
    monkeypatch.setattr(scoring, "load_facenet", lambda device: FakeFacenet())
    told: list[str] = []
    assert Scorer.build(torch.device("cpu"), told.append).dlib_face is None
    assert len(told) == 1 and told[0].startswith("There will be no dlib distance: ")


def test_without_its_weights_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise AssetUnavailableError("no network")

    monkeypatch.setattr(scoring, "load_lpips", lambda device: FakeLpips())
    monkeypatch.setattr(scoring, "load_facenet", lambda device: FakeFacenet())
    monkeypatch.setattr(scoring, "load_dlib_face", absent)
    assert Scorer.build(torch.device("cpu")).dlib_face is None
