"""What the Python API takes for a photograph, and what it says of anything else."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ftim
from ftim.errors import NoFaceError, PhotoError, SettingsError
from ftim.photo import read_photo
from ftim.photo_input import to_photograph

ROTATED = 6
"""EXIF: turn by a quarter to the right to see it upright."""


def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def file_of(image: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def test_every_form_gives_the_same_pixels(tmp_path: Path) -> None:
    image = Image.fromarray(pixels())
    path = tmp_path / "a.png"
    path.write_bytes(file_of(image))
    content = path.read_bytes()
    for photo in (path, str(path), content, bytearray(content), memoryview(content), image, pixels()):
        assert np.array_equal(to_photograph(photo).pixels, pixels())  # type: ignore[arg-type]


def test_orientation_of_bytes_and_of_a_lazy_picture_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    content = file_of(Image.fromarray(pixels()), exif=exif)
    upright = np.rot90(pixels(), -1)
    assert np.array_equal(to_photograph(content).pixels, upright)
    assert np.array_equal(to_photograph(Image.open(io.BytesIO(content))).pixels, upright)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16", "HSV", "LAB"])
def test_pictures_of_every_mode_are_read_as_files_are(mode: str) -> None:
    grey = Image.fromarray(np.full((40, 40), 40_000, np.uint16))
    image = grey if mode == "I;16" else Image.fromarray(pixels()).convert("RGB").convert(mode)
    got = to_photograph(image).pixels
    assert got.dtype == np.uint8 and got.shape[2] == 3
    if mode == "I;16":
        assert int(got[0, 0, 0]) == round(40_000 / 257)


def test_a_picture_that_is_cut_off_is_an_error_in_words() -> None:
    content = file_of(Image.fromarray(pixels()).resize((400, 400)), "JPEG")
    with pytest.raises(PhotoError, match="cannot be read"):
        to_photograph(Image.open(io.BytesIO(content[:1500])))


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_no_picture_are_an_error_without_their_content(content: bytes) -> None:
    with pytest.raises(PhotoError, match=r"^the photograph"):
        to_photograph(content)


@pytest.mark.parametrize(
    "array",
    [np.zeros((40, 50)), np.zeros((40, 50, 3), int), np.zeros((40, 50, 4), np.uint8), np.zeros((3, 40, 50), np.uint8)],
)
def test_other_arrays_say_what_is_needed(array: np.ndarray) -> None:
    with pytest.raises(PhotoError, match=r"give \(H, W, 3\), red, green, blue as uint8"):
        to_photograph(array)


@pytest.mark.parametrize("photo", [None, 3, 2.5, {"a": 1}, object()])
def test_what_is_no_photograph_is_named(photo: Any) -> None:
    with pytest.raises(PhotoError, match=f"{type(photo).__name__} is no photograph|str is|there is no such file"):
        ftim.reconstruct(photo, texture_size=256)


def test_reading_bytes_is_reading_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(file_of(Image.fromarray(pixels()), "JPEG"))
    assert np.array_equal(read_photo(path.read_bytes()), read_photo(path))


@pytest.mark.parametrize("form", [Image.fromarray, lambda array: file_of(Image.fromarray(array)), lambda array: array])
def test_the_api_takes_each_form(form: Callable[[np.ndarray], Any]) -> None:
    """As far as the face, of which noise has none: a picture and bytes are one photograph and not a list."""
    with pytest.raises(NoFaceError, match="50 x 40"):
        ftim.reconstruct(form(pixels()), texture_size=256)


def test_of_several_photographs_the_error_says_which(tmp_path: Path) -> None:
    path = tmp_path / "second.png"
    path.write_bytes(file_of(Image.fromarray(pixels())))
    with pytest.raises(NoFaceError, match=r"^photograph 1 of 2: no face"):
        ftim.reconstruct([pixels(), path], texture_size=256)
    with pytest.raises(PhotoError, match=r"^photograph 1 of 2: .*absent\.png: there is no such file"):
        ftim.reconstruct([tmp_path / "absent.png", path], texture_size=256)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"texture_size": 300}, "texture_size is one of 256, 512, 1024, not 300"),
        ({"completion": "best"}, "no completion 'best'"),
        ({"cover": "hair"}, "cover is skin or full, not 'hair'"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ftim.reconstruct(pixels(), **{"texture_size": 256, **settings})


@pytest.mark.parametrize("count", [0, 4])
def test_the_number_of_photographs_is_named(count: int) -> None:
    with pytest.raises(SettingsError, match=f"1 to 3 photographs of one person, got {count}"):
        ftim.reconstruct([pixels()] * count, texture_size=256)


def test_floats_tensors_and_open_files_are_the_same_photograph() -> None:
    array = pixels()
    floats = (array / 255).astype(np.float32)
    channels_first = torch.from_numpy(floats).permute(2, 0, 1)
    content = file_of(Image.fromarray(array), "PNG")
    for photo in (floats, floats.astype(np.float64), torch.from_numpy(array), channels_first, io.BytesIO(content)):
        assert np.array_equal(to_photograph(photo).pixels, array)


@pytest.mark.parametrize("factor", [255.0, -1.0, float("nan")])
def test_floats_beyond_one_are_told(factor: float) -> None:
    with pytest.raises(PhotoError, match="lie from 0 to 1"):
        to_photograph((pixels() / 255 * factor).astype(np.float32))


def test_open_files_of_text_and_closed_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Dear reader")
    with path.open(encoding="utf-8") as file, pytest.raises(PhotoError, match="gives text"):
        to_photograph(file)  # type: ignore[arg-type]
    with pytest.raises(PhotoError, match="cannot be read"):
        to_photograph(file)  # type: ignore[arg-type]
