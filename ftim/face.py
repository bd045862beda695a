"""Finding faces in a photograph and cutting aligned crops around them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ftim.assets import asset_path
from ftim.errors import FaceIndexError, FaceTooSmallError, NoFaceError
from ftim.landmarks import LANDMARK_COUNT, LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from ftim.morphable.expressions import EXPRESSIONS
from ftim.structures import Face
from ftim.system import native_stderr_hidden, require_libraries

CROP_SIZE = 224
MIN_FACE_SIDE = 24
"""Pixels; smaller faces are refused."""
HALF_INPUT_PIXEL = 0.0025
"""Half a pixel of the landmark network's input, in sides of a face."""
CENTER_SHIFT = 0.06
"""How far the crop's centre lies above that of the landmarks' box, in larger sides of the box."""


@dataclass(frozen=True)
class Detection:
    """One face found in a photograph."""

    landmarks: np.ndarray
    """(478, 2) float32 photo pixels, x and y, counted from the photo's top left edge; may lie outside the photo."""
    blendshapes: np.ndarray
    """(52,) float32 in [0, 1], ordered as ``ftim.morphable.EXPRESSIONS``; MediaPipe has no tongueOut, so that is 0."""

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


class FaceDetector:
    """MediaPipe's face landmarker on the CPU. The same photograph always gives the same result.

    MediaPipe looks at the whole photograph in 128 x 128 pixels, which misses faces that fill it or that
    are small in it. Only when it finds none there are more looks: at the photograph with a border, then at
    overlapping windows of half and of a quarter of its size.
    """

    def __init__(self, num_faces: int = 8, min_confidence: float = 0.5, model: Path | None = None) -> None:
        """``num_faces`` is the most that are returned; ``model`` defaults to the asset ``face_landmarker.task``."""
        self.num_faces = num_faces
        self.min_confidence = min_confidence
        self._model = model
        self._landmarker: Any = None
        self._close: Callable[[], object] = lambda: None

    def detect(self, photo: np.ndarray) -> list[Detection]:
        """The faces of a photo, (H, W, 3) uint8 RGB, largest first; an empty list when there is none."""
        _check_photo(photo)
        height, width = photo.shape[:2]
        longer = max(height, width)
        found = self._look(photo, 0, 0, width, height)
        if not found:
            border = longer // 2
            found = self._look(photo, -border, -border, width + 2 * border, height + 2 * border)
        for divisor in (2, 4):
            if not found:
                found = self._look_through_windows(photo, longer // divisor)
        return sorted(_distinct(found), key=lambda detection: -detection.side)[: self.num_faces]

    def close(self) -> None:
        """Frees the model; the next ``detect`` loads it again."""
        if self._landmarker is not None:
            self._close()
            self._landmarker = None

    def _look_through_windows(self, photo: np.ndarray, side: int) -> list[Detection]:
        """Faces in square windows that overlap by half, each measured again in a window centred on it."""
        height, width = photo.shape[:2]
        found: list[Detection] = []
        for top in _window_starts(height, side):
            for left in _window_starts(width, side):
                found += self._look(photo, left, top, side, side)
        refined: list[Detection] = []
        for detection in _distinct(found):
            left_edge, top_edge, right_edge, bottom_edge = detection.box
            center_x, center_y = (left_edge + right_edge) / 2, (top_edge + bottom_edge) / 2
            window = round(3 * detection.side)
            again = self._look(photo, round(center_x - window / 2), round(center_y - window / 2), window, window)
            refined += [min(again, key=lambda other: _distance(other, detection))] if again else [detection]
        return refined

    def _look(self, photo: np.ndarray, left: int, top: int, width: int, height: int) -> list[Detection]:
        """Faces in one window, which is filled up with the photo's edge pixels where it reaches outside."""
        import mediapipe

        window = _cut(photo, left, top, width, height)
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=window)
        result = self._loaded().detect(image)
        offset = np.array([left, top], dtype=np.float32)
        scale = np.array([width, height], dtype=np.float32)
        detections = []
        for points, scores in zip(result.face_landmarks, result.face_blendshapes, strict=True):
            landmarks = np.array([[point.x, point.y] for point in points], dtype=np.float32) * scale
            if landmarks.shape != (LANDMARK_COUNT, 2):
                raise ValueError(f"expected {LANDMARK_COUNT} landmarks, the model gave {len(landmarks)}")
            landmarks = _unbiased(landmarks) + offset
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
                    num_faces=self.num_faces,
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
    height, width = photo.shape[:2]
    detections = (detector or FaceDetector()).detect(photo)
    if not detections:
        raise NoFaceError(
            f"no face was found in the photo of {width} x {height} pixels; "
            "use one that shows a face from the front or from the side up to about 60 degrees, well lit"
        )
    if not 0 <= index < len(detections):
        raise FaceIndexError(
            f"face {index} was asked for; the photo has {len(detections)}, numbered from 0, largest first"
        )
    _check_face_side(detections[index])
    return detections[index]


def align(photo: np.ndarray, detection: Detection, size: int = CROP_SIZE, margin: float = 1.5) -> Face:
    """The square crop around a face: a batch of one.

    photo: (H, W, 3) uint8 RGB. The crop is not rotated; its side is ``margin`` times the larger side of
    the landmarks' box, whose centre lies a little below the crop's, because the landmarks end below the
    hair line. Outside the photo the crop repeats the photo's edge and ``Face.valid`` is 0.

    Aligning the mirrored photo with mirrored landmarks gives the mirrored crop.
    Raises ``FaceTooSmallError``.
    """
    _check_photo(photo)
    _check_face_side(detection)
    left, top, right, bottom = detection.box
    # Scale and offset are rounded to multiples of 2^-10 pixels, which makes every position below
    # exact in floating point and so the result the same in the mirror.
    scale = max(round(margin * detection.side / size * 1024), 1) / 1024
    center_x = round((left + right) / 2 * 1024) / 1024
    center_y = round(((top + bottom) / 2 - CENTER_SHIFT * detection.side) * 1024) / 1024
    offset_x, offset_y = center_x - scale * size / 2, center_y - scale * size / 2
    image, valid = _cut_with_valid(photo, offset_x, offset_y, scale, size)
    landmarks = (detection.landmarks.astype(np.float64) - [offset_x, offset_y]) / scale
    return Face(
        image=image,
        valid=valid,
        landmarks=torch.from_numpy(landmarks.astype(np.float32))[None],
        blendshapes=torch.from_numpy(detection.blendshapes.astype(np.float32))[None],
        crop_to_photo=torch.tensor([[scale, offset_x, offset_y]], dtype=torch.float32),
    )


def recut(photo: np.ndarray, face: Face, size: int) -> Face:
    """The same square of the photograph on another number of pixels, such as its own.

    Args:
        photo: (H, W, 3) uint8 RGB, which the face was cut from.
        face: batch of one.
        size: side of the new crop in pixels.
    """
    _check_photo(photo)
    scale, left, top = face.crop_to_photo[0].tolist()
    before = face.image.shape[-1]
    new_scale = scale * before / size
    image, valid = _cut_with_valid(photo, left, top, new_scale, size)
    return Face(
        image=image.to(face.image),
        valid=valid.to(face.image),
        landmarks=face.landmarks * (size / before),
        blendshapes=face.blendshapes,
        crop_to_photo=face.crop_to_photo.new_tensor([[new_scale, left, top]]),
    )


def _cut_with_valid(
    photo: np.ndarray, offset_x: float, offset_y: float, scale: float, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 3, size, size) ``cut_crop``, and (1, 1, size, size): 1 where it lies inside the photograph."""
    image = cut_crop(photo, offset_x, offset_y, scale, size)
    height, width = photo.shape[:2]
    centers = (np.arange(size) + 0.5) * scale
    inside_x = (centers + offset_x >= 0) & (centers + offset_x <= width)
    inside_y = (centers + offset_y >= 0) & (centers + offset_y <= height)
    valid = (inside_y[:, None] & inside_x[None, :]).astype(np.float32)
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous(), torch.from_numpy(valid)[None, None]


def cut_crop(photo: np.ndarray, offset_x: float, offset_y: float, scale: float, size: int) -> np.ndarray:
    """(size, size, 3) float32 in [0, 1]: the pixel at i + 0.5 shows the photo at offset + scale * (i + 0.5).

    Bicubic; when it shrinks, the kernel is widened to cover the area of the new pixel (Pillow does both).
    """
    # The kernel reaches two source pixels, or two new pixels, beyond the crop.
    reach = int(np.ceil(2 * max(scale, 1.0))) + 1
    left, top = int(np.floor(offset_x)) - reach, int(np.floor(offset_y)) - reach
    right = int(np.ceil(offset_x + scale * size)) + reach
    bottom = int(np.ceil(offset_y + scale * size)) + reach
    region = Image.fromarray(_cut(photo, left, top, right - left, bottom - top))
    box = (offset_x - left, offset_y - top, offset_x - left + scale * size, offset_y - top + scale * size)
    crop = region.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(crop, dtype=np.float32) / np.float32(255)


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


def _cut(photo: np.ndarray, left: int, top: int, width: int, height: int) -> np.ndarray:
    """A contiguous part of the photo; positions outside it take the nearest edge pixel."""
    rows = np.clip(np.arange(top, top + height), 0, photo.shape[0] - 1)
    columns = np.clip(np.arange(left, left + width), 0, photo.shape[1] - 1)
    inside = photo[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if inside.shape[:2] == (height, width):
        return np.ascontiguousarray(inside)
    return np.ascontiguousarray(inside[rows - rows[0]][:, columns - columns[0]])


def _window_starts(length: int, side: int) -> list[int]:
    """Where windows of one side begin so that they cover a length and overlap by at least half."""
    if length <= side:
        return [(length - side) // 2]
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return [round(start) for start in np.linspace(0, length - side, count)]


def _distinct(detections: list[Detection]) -> list[Detection]:
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


def _check_photo(photo: np.ndarray) -> None:
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise ValueError(f"a photo is (H, W, 3) uint8 (see ftim.photo.read_photo), not {photo.shape} {photo.dtype}")


def _check_face_side(detection: Detection) -> None:
    if detection.side < MIN_FACE_SIDE:
        raise FaceTooSmallError(
            f"the face is {detection.side:.0f} pixels large; at least {MIN_FACE_SIDE} are needed, "
            "and about 200 for a good texture"
        )
