"""Finding faces in a photograph, whichever way up it is and however small they are."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ftim.assets import asset_path
from ftim.errors import FaceIndexError, FaceTooSmallError, NoFaceError
from ftim.landmarks import LANDMARK_COUNT, LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from ftim.morphable.expressions import EXPRESSIONS
from ftim.small_faces import SmallFaces
from ftim.system import native_stderr_hidden, require_libraries

MIN_FACE_SIDE = 24
"""Pixels; smaller faces are refused."""
MOST_AT_ONE_LOOK = 8
"""Faces that the landmarker looks for in one window."""
HALF_INPUT_PIXEL = 0.0025
"""Half a pixel of the landmark network's input, in sides of a face."""
LARGEST_WINDOW = 2048
"""Pixels: larger windows are reduced to it; the landmark network looks at 256 pixels of a face."""
WINDOW = 3.0
"""Side of the window in which a face is measured again, in sides of the face."""


@dataclass(frozen=True)
class Detection:
    """One face found in a photograph."""

    landmarks: np.ndarray
    """(478, 2) float32 photo pixels, x and y, counted from the photo's top left edge; may lie outside the photo."""
    blendshapes: np.ndarray
    """(52,) float32 in [0, 1], ordered as ``ftim.morphable.EXPRESSIONS``; MediaPipe has no tongueOut, so that is 0."""
    turn: int = 0
    """Quarter turns counter-clockwise (``numpy.rot90``) that bring the face upright, to within 45 degrees."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the landmarks in photo pixels."""
        left, top = self.landmarks.min(axis=0)
        right, bottom = self.landmarks.max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    @property
    def side(self) -> float:
        """The larger side of the box in pixels."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    @property
    def roll(self) -> float:
        """Degrees from the right to the left outer corner of the eyes; 0 upright, positive when the head leans to the
        picture's right."""
        right = self.landmarks[LEFT_EYE_OUTER] - self.landmarks[RIGHT_EYE_OUTER]
        return float(np.degrees(np.arctan2(right[1], right[0])))

    def upright(self, photo: np.ndarray) -> tuple[np.ndarray, Detection]:
        """The photograph (H, W, 3) and this face in it, turned so that the face is upright; as they are mostly."""
        if self.turn == 0:
            return photo, self
        height, width = photo.shape[:2]
        landmarks = turned_points(self.landmarks, width, height, self.turn)
        return np.ascontiguousarray(np.rot90(photo, self.turn)), Detection(landmarks, self.blendshapes)


class FaceDetector:
    """MediaPipe's face landmarker on the CPU. The same photograph always gives the same result.

    MediaPipe looks at the whole photograph in 128 x 128 pixels. That misses faces that fill it, that are small in it,
    and some of those that stand on their heads. So a photograph without a face is looked at again with a border,
    turned, and by a detector of small faces, whose finds MediaPipe measures.
    """

    def __init__(
        self, min_confidence: float = 0.5, model: Path | None = None, small_faces: SmallFaces | None = None
    ) -> None:
        """``model`` defaults to the asset ``face_landmarker.task``."""
        self.min_confidence = min_confidence
        self.small_faces = small_faces or SmallFaces()
        self._model = model
        self._landmarker: Any = None
        self._lock = threading.Lock()
        self._close: Callable[[], object] = lambda: None

    def detect(self, photo: np.ndarray, all_faces: bool = False) -> list[Detection]:
        """The faces of a photo, (H, W, 3) uint8 RGB, largest first; an empty list when there is none.

        With ``all_faces`` small ones are looked for also where a large one was found.
        """
        check_photo(photo)
        height, width = photo.shape[:2]
        found = self._look(photo, 0, 0, width, height)
        if not found:
            border = max(height, width) // 2
            found = self._look(photo, -border, -border, width + 2 * border, height + 2 * border)
        for turn in (1, 2, 3):
            found = found or self._look(photo, 0, 0, width, height, turn)
        if all_faces or not found:
            found = found + self._look_at_small_faces(photo, found)
        upright = [self._upright(photo, detection) for detection in distinct(found)]
        return sorted(distinct(upright), key=lambda detection: -detection.side)

    def close(self) -> None:
        """Frees the model; the next ``detect`` loads it again."""
        if self._landmarker is not None:
            self._close()
            self._landmarker = None

    def _look_at_small_faces(self, photo: np.ndarray, known: list[Detection]) -> list[Detection]:
        """Those that are not among the ``known``."""
        found: list[Detection] = []
        for left, top, right, bottom in self.small_faces(photo):
            side, x, y = max(right - left, bottom - top), (left + right) / 2, (top + bottom) / 2
            if any(np.hypot(*(item.landmarks.mean(axis=0) - [x, y])) < 0.5 * item.side for item in known):
                continue
            again = self._look_around(photo, x, y, side)
            found += [detection for detection in again if 0.5 < detection.side / side < 2]
        return found

    def _look_around(self, photo: np.ndarray, x: float, y: float, side: float, turn: int = 0) -> list[Detection]:
        """The face in the middle of a window; at most one."""
        window = round(WINDOW * side)
        found = self._look(photo, round(x - window / 2), round(y - window / 2), window, window, turn)
        near = [item for item in found if np.linalg.norm(item.landmarks.mean(axis=0) - [x, y]) < 0.5 * item.side]
        return sorted(near, key=lambda item: -item.side)[:1]

    def seen_aside(self, photo: np.ndarray, detection: Detection, turn: int) -> Detection | None:
        """The same face as a look after quarter turns of the photograph finds it; None when it does not."""
        x, y = detection.landmarks.mean(axis=0)
        found = self._look_around(photo, x, y, detection.side, turn)
        return self._upright(photo, found[0]) if found else None

    def _upright(self, photo: np.ndarray, detection: Detection) -> Detection:
        """The detection with the turn that its roll tells, measured again after that. Of faces on their heads some are
        taken for upright ones: ``seen_aside``."""
        turn = round(detection.roll / 90) % 4
        if turn == 0:
            return detection
        x, y = detection.landmarks.mean(axis=0)
        again = self._look_around(photo, x, y, detection.side, turn)
        return replace((again or [detection])[0], turn=turn)

    def _look(self, photo: np.ndarray, left: int, top: int, width: int, height: int, turn: int = 0) -> list[Detection]:
        """Faces in one window, which is filled up with the photo's edge pixels where it reaches outside, and turned."""
        import mediapipe

        window, left, top, factor = cut_reduced(photo, left, top, width, height, LARGEST_WINDOW)
        window = np.ascontiguousarray(np.rot90(window, turn))
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=window)
        with self._lock:
            result = self._loaded().detect(image)
        across, down = window.shape[1], window.shape[0]
        detections = []
        for points, scores in zip(result.face_landmarks, result.face_blendshapes, strict=True):
            landmarks = np.array([[point.x * across, point.y * down] for point in points], np.float32)
            if landmarks.shape != (LANDMARK_COUNT, 2):
                raise ValueError(f"expected {LANDMARK_COUNT} landmarks, the model gave {len(landmarks)}")
            landmarks = turned_points(_unbiased(landmarks), across, down, -turn) * factor + np.array(
                [left, top], np.float32
            )
            by_name = {score.category_name: score.score for score in scores}
            blendshapes = np.array([by_name.get(name, 0.0) for name in EXPRESSIONS], dtype=np.float32)
            detections.append(Detection(landmarks, blendshapes))
        return detections

    def _loaded(self) -> Any:
        """The landmarker; loaded on first use, so that making a detector costs nothing."""
        if self._landmarker is None:
            require_libraries()
            model = self._model or asset_path("face_landmarker.task")
            with native_stderr_hidden():
                from mediapipe.tasks.python import BaseOptions, vision

                options = vision.FaceLandmarkerOptions(
                    base_options=BaseOptions(model_asset_path=str(model), delegate=BaseOptions.Delegate.CPU),
                    num_faces=MOST_AT_ONE_LOOK,
                    min_face_detection_confidence=self.min_confidence,
                    min_face_presence_confidence=self.min_confidence,
                    output_face_blendshapes=True,
                )
                self._landmarker = vision.FaceLandmarker.create_from_options(options)
            # Runs with the detector's end or the interpreter's; MediaPipe's own clean-up comes too late at exit.
            self._close = weakref.finalize(self, self._landmarker.close)
        return self._landmarker


def detect_face(photo: np.ndarray, index: int = 0, detector: FaceDetector | None = None) -> Detection:
    """One face of a photo, (H, W, 3) uint8 RGB; ``index`` 0 is the largest.

    Raises ``NoFaceError``, ``FaceIndexError`` when the photo has fewer faces, ``FaceTooSmallError``.
    """
    detections = (detector or FaceDetector()).detect(photo, all_faces=index > 0)
    if not detections:
        raise no_face(photo)
    if not 0 <= index < len(detections):
        raise FaceIndexError(
            f"face {index} was asked for; the photo has {len(detections)}, numbered from 0, largest first"
        )
    check_face_side(detections[index])
    return detections[index]


def no_face(photo: np.ndarray) -> NoFaceError:
    """What is to be said of a photo (H, W, 3) in which nothing was found."""
    height, width = photo.shape[:2]
    return NoFaceError(
        f"no face was found in the photo of {width} x {height} pixels; use one that shows a face from the front or "
        "from the side up to about 60 degrees, well lit; or cut out the part with the face"
    )


def turned_points(points: np.ndarray, width: int, height: int, turn: int) -> np.ndarray:
    """(N, 2) points of a picture, and where they are in the same one after ``numpy.rot90(picture, turn)``."""
    for _ in range(turn % 4):
        points = np.stack([points[:, 1], width - points[:, 0]], axis=1)
        width, height = height, width
    return points.astype(np.float32)


def _unbiased(landmarks: np.ndarray) -> np.ndarray:
    """MediaPipe's landmarks in pixels, with its two half-pixel shifts taken out.

    It cuts the face out with pixel centres at whole numbers, in the photo and in the network's input alike, but
    counts the network's output from the input's edge: what it reports lies half a pixel of the photo too far left
    and up, and half a pixel of the input (which is turned with the face) too far right and down. The first was
    measured by enlarging photos 4 times (-0.51 and -0.51 pixels), the second by mirroring them.
    """
    side = float((landmarks.max(axis=0) - landmarks.min(axis=0)).max())
    right = landmarks[LEFT_EYE_OUTER] - landmarks[RIGHT_EYE_OUTER]
    right = right / max(float(np.linalg.norm(right)), 1e-6)
    down = np.array([-right[1], right[0]])
    return (landmarks + 0.5 - HALF_INPUT_PIXEL * side * (right + down)).astype(np.float32)


def cut(photo: np.ndarray, left: int, top: int, width: int, height: int) -> np.ndarray:
    """A contiguous part of the photo; positions outside it take the nearest edge pixel."""
    rows = np.clip(np.arange(top, top + height), 0, photo.shape[0] - 1)
    columns = np.clip(np.arange(left, left + width), 0, photo.shape[1] - 1)
    inside = photo[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if inside.shape[:2] == (height, width):
        return np.ascontiguousarray(inside)
    return np.ascontiguousarray(inside[rows - rows[0]][:, columns - columns[0]])


def cut_reduced(
    photo: np.ndarray, left: int, top: int, width: int, height: int, largest: int
) -> tuple[np.ndarray, int, int, int]:
    """As ``cut`` with no side above ``largest``: the part, where it begins, and how many pixels of the photo along
    one of it. When it is reduced it may begin and end a pixel of its own earlier."""
    factor = max(1, -(-max(width, height) // largest))
    if factor == 1:
        return cut(photo, left, top, width, height), left, top, 1
    x, y = max(left, 0), max(top, 0)
    inside = photo[y : min(top + height, photo.shape[0]), x : min(left + width, photo.shape[1])]
    small = np.asarray(Image.fromarray(inside).reduce(factor))
    across, down = (left - x) // factor, (top - y) // factor
    part = cut(small, across, down, width // factor, height // factor)
    return part, x + across * factor, y + down * factor, factor


def distinct(detections: list[Detection]) -> list[Detection]:
    """Without faces that were found twice; of two the larger stays, being the less likely to be cut off."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda item: -item.side):
        if all(_distance(detection, other) > 0.5 for other in kept):
            kept.append(detection)
    return kept


def _distance(detection: Detection, other: Detection) -> float:
    """Between the centres of two faces, in sides of the second."""
    difference = detection.landmarks.mean(axis=0) - other.landmarks.mean(axis=0)
    return float(np.linalg.norm(difference)) / other.side


def check_photo(photo: np.ndarray) -> None:
    """Raises ``ValueError`` for what is not (H, W, 3) uint8."""
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise ValueError(f"a photo is (H, W, 3) uint8 (see ftim.photo.read_photo), not {photo.shape} {photo.dtype}")


def check_face_side(detection: Detection) -> None:
    """Raises ``FaceTooSmallError``."""
    if detection.side < MIN_FACE_SIDE:
        raise FaceTooSmallError(
            f"the face is {detection.side:.0f} pixels large; at least {MIN_FACE_SIDE} are needed, "
            "and about 200 for a good texture"
        )
