from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from ftim.errors import PhotoError
from ftim.photo import MAX_PIXELS, MIN_SIDE, open_photo, read_photo, reduction_of, register_heif

HEIGHT, WIDTH = 48, 64


def picture() -> np.ndarray:
    """(48, 64, 3): red grows to the right, green downwards, blue in the top left corner."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    blue = np.where((x < 8) & (y < 8), 255, 40)
    return np.stack([x * 4, y * 5, blue], axis=-1).astype(np.uint8)


def written(folder: Path, image: Image.Image, name: str, **options: Any) -> Path:
    image.save(folder / name, **options)
    return folder / name


def test_convention_photo_is_height_width_rgb_uint8(tmp_path: Path) -> None:
    photo = read_photo(written(tmp_path, Image.fromarray(picture()), "p.png"))
    assert photo.shape == (HEIGHT, WIDTH, 3) and photo.dtype == np.uint8
    assert np.array_equal(photo, picture())
    assert np.array_equal(read_photo(str(tmp_path / "p.png")), photo)


def test_jpeg(tmp_path: Path) -> None:
    path = written(tmp_path, Image.fromarray(picture()), "p.jpg", quality=95, subsampling=0)
    assert np.abs(read_photo(path).astype(int) - picture()).mean() < 3


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, 1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a, -1)),
    ],
)
def test_exif_rotation(tmp_path: Path, orientation: int, stored) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored(picture())))
    assert np.array_equal(read_photo(written(tmp_path, image, "p.png", exif=exif)), picture())


def test_grey(tmp_path: Path) -> None:
    grey = picture()[..., 0]
    photo = read_photo(written(tmp_path, Image.fromarray(grey), "p.png"))
    assert np.array_equal(photo, np.stack([grey] * 3, axis=-1))


def test_black_and_white(tmp_path: Path) -> None:
    bits = picture()[..., 0] > 100
    photo = read_photo(written(tmp_path, Image.fromarray(bits), "p.png"))
    assert np.array_equal(photo, np.stack([bits * 255] * 3, axis=-1))


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    alpha = np.full((HEIGHT, WIDTH, 1), 255, dtype=np.uint8)
    alpha[:, :20] = 0
    alpha[:, 20:40] = 128
    rgba = np.concatenate([picture(), alpha], axis=-1)
    photo = read_photo(written(tmp_path, Image.fromarray(rgba), "p.png"))
    opacity = alpha / 255
    assert np.abs(photo - (picture() * opacity + 255 * (1 - opacity))).max() <= 1
    assert (photo[:, :20] == 255).all() and np.array_equal(photo[:, 40:], picture()[:, 40:])


def test_grey_with_transparency(tmp_path: Path) -> None:
    grey_alpha = np.stack([picture()[..., 0], np.zeros((HEIGHT, WIDTH), np.uint8)], axis=-1)
    assert (read_photo(written(tmp_path, Image.fromarray(grey_alpha, "LA"), "p.png")) == 255).all()


def test_palette_and_its_transparent_color(tmp_path: Path) -> None:
    image = Image.fromarray((np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 3).astype(np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    expected = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]])[np.asarray(image)]
    assert np.array_equal(read_photo(written(tmp_path, image, "p.png")), expected)
    expected[np.asarray(image) == 1] = 255
    assert np.array_equal(read_photo(written(tmp_path, image, "t.png", transparency=1)), expected)


def test_cmyk(tmp_path: Path) -> None:
    path = written(tmp_path, Image.fromarray(picture()).convert("CMYK"), "p.jpg", quality=100, subsampling=0)
    with Image.open(path) as image:
        assert image.mode == "CMYK"
    assert np.abs(read_photo(path).astype(int) - picture()).mean() < 3


def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    photo = read_photo(written(tmp_path, Image.fromarray(deep), "p.png"))
    assert np.abs(photo - (deep / 257)[..., None]).max() <= 0.5


def test_16_bit_color(tmp_path: Path) -> None:
    import cv2

    deep = picture().astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "p.png"), deep[..., ::-1])
    assert np.array_equal(read_photo(tmp_path / "p.png"), picture())


def test_embedded_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    # An sRGB profile changes nothing; one whose red light is green exchanges the two channels.
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = read_photo(written(tmp_path, Image.fromarray(picture()), "s.png", icc_profile=srgb))
    assert np.abs(same.astype(int) - picture()).max() <= 1
    swapped = read_photo(
        written(tmp_path, Image.fromarray(picture()), "w.png", icc_profile=_red_and_green_exchanged(srgb))
    )
    inside = picture()[..., [1, 0, 2]]
    assert np.abs(swapped.astype(int) - inside).max() <= 4


def _red_and_green_exchanged(profile: bytes) -> bytes:
    """The profile of a device whose red light is sRGB's green and the other way round."""
    assert profile.count(b"rXYZ") == profile.count(b"gXYZ") == 1
    return profile.replace(b"rXYZ", b"tmp!").replace(b"gXYZ", b"rXYZ").replace(b"tmp!", b"gXYZ")


def test_broken_profile_is_ignored(tmp_path: Path) -> None:
    photo = read_photo(written(tmp_path, Image.fromarray(picture()), "p.png", icc_profile=b"not a profile"))
    assert np.array_equal(photo, picture())


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)


def refused(path: Path, reason: str) -> None:
    with pytest.raises(PhotoError, match=reason) as error:
        read_photo(path)
    assert str(path) in str(error.value)


def test_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.jpg", "no such file")


def test_folder(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder")


def test_text_file_named_jpg(tmp_path: Path) -> None:
    path = tmp_path / "p.jpg"
    path.write_text("not a photograph\n" * 100)
    refused(path, "not an image")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "p.jpg").touch()
    refused(tmp_path / "p.jpg", "is empty: it has 0 bytes")


@pytest.mark.parametrize("start", ["<!DOCTYPE html>", "\ufeff\n<html lang='en'>", "<?xml version='1.0'?>"])
def test_a_web_page_that_was_saved_as_a_photograph(tmp_path: Path, start: str) -> None:
    path = tmp_path / "p.jpg"
    path.write_text(start + "<body>Not found</body>", encoding="utf-8")
    refused(path, "is a web page and no photograph")


def test_heic_is_named_where_it_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "p.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    refused(tmp_path / "p.heic", r"damaged" if register_heif() else r"HEIC photograph: pip install 'ftim\[heic\]'")


@pytest.mark.parametrize(("name", "part"), [("p.jpg", 0.5), ("p.png", 0.5), ("p.png", 0.9)])
def test_truncated_file(tmp_path: Path, name: str, part: float) -> None:
    path = written(tmp_path, Image.fromarray(noise()), name)
    os.truncate(path, int(path.stat().st_size * part))
    refused(path, "breaks off: its lower" if name == "p.jpg" else "damaged or incomplete")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_bytes_is_read(tmp_path: Path, progressive: bool) -> None:
    path = written(tmp_path, Image.fromarray(noise()), "p.jpg", progressive=progressive)
    whole = open_photo(path)
    os.truncate(path, path.stat().st_size - 2)
    cut = open_photo(path)
    assert whole.complete and not cut.complete
    assert np.array_equal(cut.pixels[:160], whole.pixels[:160])


def test_16_bit_pgm(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 1600).round().reshape(40, 40)
    (tmp_path / "p.pgm").write_bytes(b"P5 40 40 65535\n" + values.astype(">u2").tobytes())
    assert np.array_equal(read_photo(tmp_path / "p.pgm")[..., 0], np.floor((values + 128) / 257))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_photograph_is_reduced_and_its_parts_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int, suffix: str
) -> None:
    """Of odd sides, in every orientation, and turned afterwards: a part shows what the reduced picture shows there."""
    smooth = np.asarray(Image.fromarray(noise()).resize((12, 9)).resize((401, 303), Image.Resampling.BICUBIC))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = written(tmp_path, Image.fromarray(smooth), f"p{suffix}", exif=exif)
    upright = read_photo(path)
    monkeypatch.setattr("ftim.photo.WHOLE_PIXELS", 20_000)
    photo = open_photo(path)
    assert photo.reduction == 4 and sorted(photo.pixels.shape[:2]) == [75, 100]
    for turn in range(4):
        turned = photo.turned(turn)
        part = turned.part((20, 8, 52, 48))
        assert part.shape == (160, 128, 3)
        small = np.asarray(Image.fromarray(part).reduce(4)).astype(float)
        assert np.abs(small - turned.pixels[8:48, 20:52]).mean() < 2
    whole = photo.part((0, 0, *reversed(photo.pixels.shape[:2])))
    assert any(
        np.array_equal(whole, upright[y : y + whole.shape[0], x : x + whole.shape[1]])
        for y in range(4)
        for x in range(4)
    )


def test_no_photograph_of_a_phone_is_too_large() -> None:
    assert reduction_of(12_000_000) == 1 and reduction_of(48_000_000) == 2
    assert reduction_of(12_000 * 9_000) == 4 and reduction_of(16_320 * 12_240) == 4 < MAX_PIXELS


def test_12_pixel_image(tmp_path: Path) -> None:
    refused(written(tmp_path, Image.new("RGB", (4, 3)), "p.png"), f"4 x 3 pixels; at least {MIN_SIDE} x {MIN_SIDE}")
    refused(written(tmp_path, Image.new("RGB", (500, MIN_SIDE - 1)), "q.png"), "at least")
    assert read_photo(written(tmp_path, Image.new("RGB", (MIN_SIDE, MIN_SIDE)), "r.png")).shape == (
        MIN_SIDE,
        MIN_SIDE,
        3,
    )


@pytest.mark.parametrize("factor", [1.01, 3])
def test_pixel_bomb_is_refused_before_decoding(tmp_path: Path, factor: float) -> None:
    # A valid PNG header that announces a huge picture; decoding the missing rest would be another error.
    width = 10_000
    small = written(tmp_path, Image.new("L", (40, 40)), "p.png").read_bytes()
    header = b"IHDR" + struct.pack(">II", width, int(MAX_PIXELS * factor / width)) + small[24:29]
    path = tmp_path / "bomb.png"
    path.write_bytes(small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:])
    refused(path, "megapixels")


def test_32_bit_pixels_are_refused(tmp_path: Path) -> None:
    refused(written(tmp_path, Image.fromarray(np.zeros((40, 40), np.float32)), "p.tiff"), "floating-point")
    refused(written(tmp_path, Image.fromarray(np.zeros((40, 40), np.int32)), "q.tiff"), "32-bit")
