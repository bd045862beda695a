from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ftim.data import load_portraits
from ftim.detector import MIN_FACE_SIDE, Detection, FaceDetector, cut, cut_reduced, detect_face
from ftim.errors import FaceIndexError, FaceTooSmallError, NoFaceError
from ftim.face import align, recut
from ftim.landmarks import CHIN, LEFT_IRIS, MOUTH_LEFT, NOSE_TIP, RIGHT_IRIS, mirror_landmarks
from ftim.morphable.expressions import EXPRESSIONS
from ftim.photo import read_photo


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    return [read_photo(file.path) for file in load_portraits("test").first(6).photos]


@pytest.fixture(scope="module")
def photo(photos: list[np.ndarray]) -> np.ndarray:
    return photos[0]


def resized(photo: np.ndarray, factor: float) -> np.ndarray:
    height, width = photo.shape[:2]
    return np.asarray(
        Image.fromarray(photo).resize((round(width * factor), round(height * factor)), Image.Resampling.BICUBIC)
    )


def synthetic(
    rng: np.random.Generator, height: int = 300, width: int = 260, side: float = 120
) -> tuple[np.ndarray, Detection]:
    """A smooth picture and landmarks strewn over a part of it."""
    small = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    photo = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
    # Multiples of 1/64 mirror without rounding.
    points = np.round(rng.uniform(0, side, (478, 2)) * 64) / 64 + np.array([70, 90])
    return photo, Detection(points.astype(np.float32), rng.random(52).astype(np.float32))


def moved(detection: Detection, right: float, down: float) -> Detection:
    return Detection(detection.landmarks + np.array([right, down], dtype=np.float32), detection.blendshapes)


def test_landmarks_and_scores_of_a_portrait(photo: np.ndarray, detector: FaceDetector) -> None:
    (detection,) = detector.detect(photo)
    height, width = photo.shape[:2]
    assert detection.landmarks.shape == (478, 2) and detection.blendshapes.shape == (52,)
    assert (detection.landmarks > 0).all() and (detection.landmarks < [width, height]).all()
    points = detection.landmarks
    assert points[RIGHT_IRIS, 0] < points[NOSE_TIP, 0] < points[LEFT_IRIS, 0], "right is the subject's own"
    assert points[LEFT_IRIS, 1] < points[NOSE_TIP, 1] < points[MOUTH_LEFT, 1] < points[CHIN, 1]
    assert ((detection.blendshapes >= 0) & (detection.blendshapes <= 1)).all()
    assert detection.blendshapes[EXPRESSIONS.index("tongueOut")] == 0


def test_scores_are_in_the_order_of_expressions(photos: list[np.ndarray], detector: FaceDetector) -> None:
    scores = np.stack([detector.detect(photo)[0].blendshapes for photo in photos])
    left, right = EXPRESSIONS.index("mouthSmileLeft"), EXPRESSIONS.index("mouthSmileRight")
    # Of all 52 scores the two sides of a smile agree best with each other, and jawForward hardly ever fires.
    assert np.abs(scores[:, left] - scores[:, right]).max() < 0.3 < scores[:, left].max()
    assert scores[:, EXPRESSIONS.index("jawForward")].max() < 0.1


def test_detection_is_deterministic(photo: np.ndarray, detector: FaceDetector) -> None:
    first, second, other = detector.detect(photo)[0], detector.detect(photo)[0], FaceDetector().detect(photo)[0]
    for again in (second, other):
        assert np.array_equal(first.landmarks, again.landmarks)
        assert np.array_equal(first.blendshapes, again.blendshapes)


def test_convention_landmarks_count_from_the_edge_of_the_photo(
    photos: list[np.ndarray], detector: FaceDetector
) -> None:
    # With pixel centres at +0.5, positions scale with the photo; counted from pixel centres they would be off by
    # 0.375 pixels at four times the size.
    differences = []
    for photo in photos:
        small, large = detector.detect(photo)[0], detector.detect(resized(photo, 4))[0]
        differences.append((large.landmarks / 4 - small.landmarks).mean(axis=0))
    assert np.abs(np.mean(differences, axis=0)).max() < 0.15


def test_mirrored_photos_have_mirrored_landmarks(photos: list[np.ndarray], detector: FaceDetector) -> None:
    differences = []
    for photo in photos:
        detection = detector.detect(photo)[0]
        mirrored = detector.detect(np.ascontiguousarray(photo[:, ::-1]))[0]
        back = mirror_landmarks(mirrored.landmarks, photo.shape[1])
        differences.append((back - detection.landmarks).mean(axis=0) / detection.side)
    assert np.abs(np.mean(differences, axis=0)).max() < 0.0015, "no bias to one side"


def test_two_faces_largest_first(photos: list[np.ndarray], detector: FaceDetector) -> None:
    small, large = resized(photos[0], 0.7), photos[1]
    canvas = np.full((max(len(small), len(large)), small.shape[1] + large.shape[1], 3), 255, dtype=np.uint8)
    canvas[: len(small), : small.shape[1]] = small
    canvas[: len(large), small.shape[1] :] = large
    detections = detector.detect(canvas)
    assert len(detections) == 2
    first, second = (detection.landmarks[NOSE_TIP, 0] for detection in detections)
    assert first > small.shape[1] > second
    assert np.array_equal(detect_face(canvas, 1, detector).landmarks, detections[1].landmarks)
    with pytest.raises(FaceIndexError, match="face 2 was asked for; the photo has 2"):
        detect_face(canvas, 2, detector)
    with pytest.raises(FaceIndexError):
        detect_face(canvas, -1, detector)


def test_face_that_fills_the_photo(photos: list[np.ndarray], detector: FaceDetector) -> None:
    for photo in photos:
        whole = detector.detect(photo)[0]
        left, top, right, bottom = (round(edge) for edge in whole.box)
        (tight,) = detector.detect(np.ascontiguousarray(photo[top:bottom, left:right]))
        assert np.abs(moved(tight, left, top).landmarks - whole.landmarks).mean() < 0.02 * whole.side


def test_face_larger_than_the_photo(photos: list[np.ndarray], detector: FaceDetector) -> None:
    # A sixth of the face is cut off on every side: a look at the photo alone finds few of these.
    found = 0
    for photo in photos:
        whole = detector.detect(photo)[0]
        cut = round(0.15 * whole.side)
        left, top, right, bottom = (round(edge) for edge in whole.box)
        part = np.ascontiguousarray(photo[top + cut : bottom - cut, left + cut : right - cut])
        detections = detector.detect(part)
        found += len(detections) == 1
        for detection in detections:
            assert (
                np.abs(moved(detection, left + cut, top + cut).landmarks - whole.landmarks).mean() < 0.05 * whole.side
            )
    assert found >= len(photos) - 1


def test_small_face_in_a_large_photo(photo: np.ndarray, detector: FaceDetector) -> None:
    whole = detector.detect(photo)[0]
    factor = 60 / whole.side
    small = resized(photo, factor)
    canvas = np.full((1000, 1400, 3), 128, dtype=np.uint8)
    canvas[700 : 700 + len(small), 1100 : 1100 + small.shape[1]] = small
    (found,) = detector.detect(canvas)
    assert np.abs((found.landmarks - [1100, 700]) / factor - whole.landmarks).mean() < 0.03 * whole.side


def test_no_face(detector: FaceDetector) -> None:
    with pytest.raises(NoFaceError, match="160 x 120"):
        detect_face(np.full((120, 160, 3), 200, dtype=np.uint8), detector=detector)


def test_too_small_face(photo: np.ndarray, detector: FaceDetector) -> None:
    side = detector.detect(photo)[0].side
    tiny = resized(photo, (MIN_FACE_SIDE - 6) / side)
    with pytest.raises(FaceTooSmallError, match=f"at least {MIN_FACE_SIDE}"):
        detect_face(tiny, detector=detector)
    _, detection = synthetic(np.random.default_rng(0), side=20)
    with pytest.raises(FaceTooSmallError, match="20 pixels"):
        align(np.zeros((300, 300, 3), np.uint8), detection)


def test_wrong_kinds_of_array_are_refused(detector: FaceDetector) -> None:
    for wrong in (np.zeros((50, 50), np.uint8), np.zeros((50, 50, 4), np.uint8), np.zeros((50, 50, 3), np.float32)):
        with pytest.raises(ValueError, match="uint8"):
            detector.detect(wrong)


def test_crop_holds_the_whole_face(photos: list[np.ndarray], detector: FaceDetector) -> None:
    for photo in photos:
        detection = detector.detect(photo)[0]
        face = align(photo, detection)
        assert face.image.shape == (1, 3, 224, 224) and face.valid.shape == (1, 1, 224, 224)
        assert face.image.min() >= 0 and face.image.max() <= 1
        assert (face.landmarks > 20).all() and (face.landmarks < 204).all()
        assert torch.allclose(face.blendshapes[0], torch.from_numpy(detection.blendshapes))


def test_convention_crop_to_photo(photos: list[np.ndarray], detector: FaceDetector) -> None:
    detection = detector.detect(photos[1])[0]
    face = align(photos[1], detection)
    scale, x, y = face.crop_to_photo[0]
    assert np.abs((face.landmarks[0] * scale + torch.stack([x, y])).numpy() - detection.landmarks).max() < 1e-3


def test_crop_shows_the_photo_at_pixel_centres() -> None:
    # A picture that is linear in x and y survives any resampling with the right centres.
    height, width = 400, 420
    for side in (60, 150, 300):
        y, x = np.mgrid[0:height, 0:width] + 0.5
        photo = np.stack([x / width, y / height, 0 * x], axis=-1)
        _, detection = synthetic(np.random.default_rng(1), side=side)
        face = align(np.round(photo * 255).astype(np.uint8), detection, size=96)
        scale, offset_x, offset_y = face.crop_to_photo[0].tolist()
        centers = (torch.arange(96) + 0.5) * scale
        inside = face.valid[0, 0] > 0
        expected_x = ((centers + offset_x) / width).expand(96, 96)
        expected_y = ((centers + offset_y) / height)[:, None].expand(96, 96)
        # Half a pixel off would be 0.0012; the mean averages the rounding to 8 bits away.
        assert abs((face.image[0, 0] - expected_x)[inside].mean()) < 3e-4
        assert abs((face.image[0, 1] - expected_y)[inside].mean()) < 3e-4


def test_shrinking_does_not_alias() -> None:
    photo = np.zeros((600, 600, 3), dtype=np.uint8)
    photo[::2] = 255  # one-pixel stripes average to grey
    _, detection = synthetic(np.random.default_rng(2), side=300)
    face = align(photo, moved(detection, 80, 60), size=64)
    assert face.valid.all()
    assert (face.image - 0.5).abs().max() < 0.02


def test_outside_of_the_photo_repeats_its_edge_and_is_not_valid() -> None:
    photo = np.full((200, 200, 3), 90, dtype=np.uint8)
    _, detection = synthetic(np.random.default_rng(3), side=120)
    face = align(photo, moved(detection, -60, 0))
    scale, x, _ = face.crop_to_photo[0].tolist()
    assert x < 0
    outside = int(np.ceil(-x / scale - 0.5))
    assert (face.valid[0, 0, 100, :outside] == 0).all() and (face.valid[0, 0, 100, outside : outside + 50] == 1).all()
    assert torch.allclose(face.image, torch.tensor(90 / 255), atol=1e-6)


@pytest.mark.parametrize("width", [260, 261])
@pytest.mark.parametrize("side", [40.0, 120.0, 190.0])
def test_aligning_the_mirrored_photo_gives_the_mirrored_crop(width: int, side: float) -> None:
    rng = np.random.default_rng(int(side) + width)
    photo, detection = synthetic(rng, width=width, side=side)
    mirrored = Detection(mirror_landmarks(detection.landmarks, width), detection.blendshapes)
    face = align(photo, detection)
    other = align(np.ascontiguousarray(photo[:, ::-1]), mirrored)
    assert torch.equal(other.image, face.image.flip(-1))
    assert torch.equal(other.valid, face.valid.flip(-1))
    back = mirror_landmarks(other.landmarks.numpy(), 224)
    assert np.abs(back - face.landmarks.numpy()).max() < 1e-3


def test_quiet_and_clean_at_exit(photo: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "p.png")
    code = (
        "import sys; from ftim.detector import FaceDetector; from ftim.photo import read_photo\n"
        "detector = FaceDetector(); print(len(detector.detect(read_photo(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "p.png")], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_the_same_square_on_other_pixels() -> None:
    """Cut again at its own size it is the crop itself; at twice the size it shows the same square, sharper."""
    photo, detection = synthetic(np.random.default_rng(3))
    face = align(photo, detection, 64)
    again, larger = recut(photo, face, 64), recut(photo, face, 128)
    assert torch.equal(again.image, face.image) and torch.equal(again.valid, face.valid)
    assert torch.equal(again.crop_to_photo, face.crop_to_photo)
    assert larger.image.shape[-1] == 128 and torch.equal(larger.landmarks, 2 * face.landmarks)
    small = torch.nn.functional.avg_pool2d(larger.image, 2)
    assert float((small - face.image).abs().mean()) < 0.01
    corner = larger.crop_to_photo[0, 0] * 128 + larger.crop_to_photo[0, 1:]
    assert torch.allclose(corner, face.crop_to_photo[0, 0] * 64 + face.crop_to_photo[0, 1:], atol=1e-4)


def test_a_large_window_is_cut_on_fewer_pixels() -> None:
    """What it shows, and where, is what a whole window shows."""
    y, x = np.mgrid[0:300, 0:400]
    photo = np.stack([x / 2, y / 2, 0 * x], axis=-1).astype(np.uint8)
    for left, top, width, height in ((0, 0, 400, 300), (-120, -75, 640, 450), (37, 101, 200, 160)):
        part, first, upper, factor = cut_reduced(photo, left, top, width, height, 100)
        assert max(part.shape) <= 100 and 0 <= left - first < factor and 0 <= top - upper < factor
        expected = cut(photo, first, upper, part.shape[1] * factor, part.shape[0] * factor)
        blocks = expected.reshape(part.shape[0], factor, part.shape[1], factor, 3).mean((1, 3))
        assert np.abs(part - blocks).mean() < 1
    assert cut_reduced(photo, -5, 7, 90, 80, 100)[1:] == (-5, 7, 1)
