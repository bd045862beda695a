"""Folders of overlays that other code wrote: matched by name, cut as the photograph is, and told what is wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import benchmark.run as runner
from benchmark.run import BenchmarkConfig, RunError, evaluate
from benchmark.runner.overlays import (
    OverlayFolder,
    OverlayFolderError,
    OverlayMissingError,
    OverlaySizeError,
    OverlayUnreadableError,
    match_folders,
    match_report,
    split_option,
)
from benchmark.runner.records import RecordError, Result
from ftim.data import PhotoFile
from ftim.detector import Detection
from ftim.face import align
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.structures import Face
from tests import distributed_run
from tests.fake_pipeline import SIDE, FakePipeline, as_pipeline, fake_method, fake_scorer, write_photo

NAMES = tuple("abcdef")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, name in enumerate(NAMES):
        write_photo(folder / f"{name}.png", 80 + 20 * index, index)
    return folder


@pytest.fixture
def overlays(tmp_path: Path) -> Path:
    """An overlay as large as the crop for each photograph, in several formats, that is white everywhere."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for index, name in enumerate(NAMES):
        suffix = ("png", "jpg", "JPEG", "webp")[index % 4]
        Image.new("RGB", (SIDE, SIDE), "white").save(folder / f"{name}.{suffix}")
    (folder / "notes.txt").write_text("made elsewhere")
    return folder


def files_of(folder: Path) -> list[PhotoFile]:
    return [PhotoFile(path.stem, path) for path in sorted(folder.iterdir())]


def run(photos: Path, overlays: Path, results: Path, method: bool = False, **changes) -> list[Result]:
    data = distributed_run.load(photos)
    pipeline = FakePipeline()
    folders = match_folders((f"theirs={overlays}",), data.photos.photos)
    methods = [fake_method(pipeline, "same", 0.0)] if method else []
    config = replace(BenchmarkConfig(batch_size=4, results=results), **changes)
    return evaluate(
        config, data, as_pipeline(pipeline), fake_scorer(), [*methods, *folders], torch.device("cpu"), quiet=True
    )


@pytest.fixture(autouse=True)
def quick_and_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed_run.make_quick_and_steady(monkeypatch)


def face_of(photo: np.ndarray, size: int = 64) -> Face:
    """An aligned crop that reaches over the photograph's edge."""
    height, width = photo.shape[:2]
    points = np.random.default_rng(0).uniform(0.1, 0.7, (478, 2)) * [width, height]
    return align(photo, Detection(points.astype(np.float32), np.zeros(52, np.float32)), size)


def save_photo(path: Path, width: int, height: int, seed: int = 0) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 10, width // 10, 3)).astype(np.uint8)
    Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(path)


def test_whole_photographs_are_cut_as_the_face_is(tmp_path: Path) -> None:
    """The photograph as its own overlay is exactly its crop, and so is the crop as an overlay."""
    for folder in ("photos", "whole", "crops"):
        (tmp_path / folder).mkdir()
    photo = tmp_path / "photos" / "x.png"
    save_photo(photo, 170, 210)
    shutil.copy(photo, tmp_path / "whole")
    face = face_of(read_photo(photo))
    crop = (face.image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(crop).save(tmp_path / "crops" / "x.png")
    for folder in ("whole", "crops"):
        matched = OverlayFolder.match(f"theirs={tmp_path / folder}", [PhotoFile("row", photo)])
        rendering = matched.drawings(["row"], face).albedo
        assert torch.equal(rendering.overlay, face.image), folder
        assert torch.equal(rendering.image, face.image)
        assert bool((rendering.mask == 1).all())


def test_turned_photographs(tmp_path: Path) -> None:
    """A photograph with an EXIF rotation: its overlay is as large as it is seen, not as it is stored."""
    (tmp_path / "theirs").mkdir()
    photo = tmp_path / "x.jpg"
    save_photo(tmp_path / "x.png", 170, 210)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(tmp_path / "x.png").save(photo, exif=exif, quality=95)
    pixels = read_photo(photo)
    assert pixels.shape == (170, 210, 3)
    Image.fromarray(pixels).save(tmp_path / "theirs" / "x.png")
    face = face_of(pixels)
    matched = OverlayFolder.match(f"theirs={tmp_path / 'theirs'}", [PhotoFile("row", photo)])
    assert torch.equal(matched.drawings(["row"], face).albedo.overlay, face.image)


def test_scores_and_provenance(tmp_path: Path, photos: Path, overlays: Path) -> None:
    same, theirs = run(photos, overlays, tmp_path / "results", method=True)
    assert theirs.source == "official"
    assert theirs.failures == {}
    assert "overlays" not in same.provenance
    assert str(tmp_path) not in json.dumps(theirs.provenance)
    for name, row, other in zip(NAMES, theirs.rows, same.rows, strict=True):
        image = FakePipeline().face(read_photo(photos / f"{name}.png")).image
        mask = FakePipeline().image.draw_lit(image, None, image).mask[0, 0] > 0  # type: ignore[arg-type]
        assert row.coverage is None
        assert other.coverage == 1
        assert row.scores.keys() == {"relit_overlay", "relit_face"}, "drawn from a model, as far as is known"
        assert row.scores["relit_overlay"].l1 == pytest.approx(float((1 - image).mean()), abs=1e-4)
        assert row.scores["relit_face"].l1 == pytest.approx(float((1 - image[0, :, mask]).mean()), abs=1e-4)
    read = Result.read(tmp_path / "results" / "portraits" / "theirs.json")
    assert read == theirs
    assert "theirs (official)" in (tmp_path / "results" / "portraits" / "README.md").read_text()


def test_what_is_wrong_with_one_file_is_one_row(tmp_path: Path, photos: Path, overlays: Path) -> None:
    (overlays / "a.png").unlink()
    Image.new("RGB", (50, 60)).save(overlays / "b.jpg")
    (overlays / "c.JPEG").write_text("no picture")
    (overlays / "d.webp").unlink()
    Image.new("RGBA", (SIDE, SIDE), (255, 255, 255, 200)).save(overlays / "d.png")
    (result,) = run(photos, overlays, tmp_path / "results")
    reasons = {row.name: row.reason for row in result.rows if row.reason is not None}
    assert reasons == {
        "a": "OverlayMissingError: theirs has no overlay of the photograph a: write one called a.png",
        "b": "OverlaySizeError: theirs: b.jpg has 50 x 60 pixels; write it with 40 x 40 as the photograph b has, "
        "or with 32 x 32 as the crop around the face",
        "c": "OverlayUnreadableError: theirs: c.JPEG is not an image of a known kind; convert it to JPEG or PNG; "
        "write this overlay again",
        "d": "OverlayUnreadableError: theirs: d.png has transparent pixels: lay it over the photograph before it is "
        "saved",
    }
    assert result.summary["relit_face"].scored == 2
    for kind in (OverlayMissingError, OverlaySizeError, OverlayUnreadableError):
        assert kind.__name__ in result.failures


def test_report(tmp_path: Path, photos: Path, overlays: Path) -> None:
    folder = OverlayFolder.match(f"theirs={overlays}", files_of(photos))
    assert match_report("theirs", folder.recorded()) == "theirs: overlays of 6 of 6 photographs"
    many = [PhotoFile(f"p{index:02d}", photos / f"p{index:02d}.jpg") for index in range(12)]
    Image.new("RGB", (SIDE, SIDE)).save(overlays / "nobody.png")
    folder = OverlayFolder.match(f"theirs={overlays}", [*files_of(photos), *many])
    assert match_report("theirs", folder.recorded()).splitlines() == [
        "theirs: overlays of 6 of 18 photographs",
        "  photographs without an overlay (12): p00, p01, p02, p03, p04, p05, p06, p07, p08, p09, ...",
        "  files that belong to no photograph (1): nobody.png",
    ]


def test_the_report_is_printed(tmp_path: Path, photos: Path, overlays: Path, monkeypatch, capsys) -> None:
    (overlays / "b.jpg").unlink()
    monkeypatch.setattr(runner, "run", lambda config: run(photos, overlays, config.folder))
    options = ["--methods", "none", "--overlays", f"theirs={overlays}", "--results", str(tmp_path / "results")]
    monkeypatch.setattr("sys.argv", ["run.py", *options])
    runner.main()
    printed = capsys.readouterr().out
    assert "theirs: 5 of 6 scored; failures: {'OverlayMissingError': 1}" in printed
    assert "theirs: overlays of 5 of 6 photographs\n  photographs without an overlay (1): b\n" in printed


def test_resume_refuses_other_overlays(tmp_path: Path, photos: Path, overlays: Path) -> None:
    first = run(photos, overlays, tmp_path / "results")
    assert run(photos, overlays, tmp_path / "results", resume=True)[0].rows == first[0].rows
    # The same contents under exchanged names are other overlays too.
    Image.new("RGB", (SIDE, SIDE)).save(overlays / "a.png")
    changed = OverlayFolder.match(f"theirs={overlays}", files_of(photos)).sha256
    with pytest.raises(RecordError, match="without --resume"):
        run(photos, overlays, tmp_path / "results", resume=True)
    (overlays / "a.png").rename(overlays / "kept.png")
    (overlays / "e.png").rename(overlays / "a.png")
    (overlays / "kept.png").rename(overlays / "e.png")
    assert OverlayFolder.match(f"theirs={overlays}", files_of(photos)).sha256 != changed


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("theirs", "takes NAME=DIR"),
        ("theirs=", "takes NAME=DIR"),
        ("Theirs={}", "a to z"),
        ("their-s={}", "a to z"),
        ("mean={}", "mean is taken"),
        ("all={}", "all is taken"),
        ("theirs={}/absent", "there is no folder"),
        ("theirs={}/notes.txt", "there is no folder"),
    ],
)
def test_options_that_cannot_be(overlays: Path, option: str, message: str) -> None:
    with pytest.raises(OverlayFolderError, match=message):
        split_option(option.format(overlays))


def test_folders_that_cannot_be_scored(tmp_path: Path, photos: Path, overlays: Path) -> None:
    files = files_of(photos)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(OverlayFolderError, match=r"holds no \.png"):
        OverlayFolder.match(f"theirs={empty}", files)
    shutil.copy(overlays / "a.png", empty / "nobody.png")
    with pytest.raises(OverlayFolderError, match=r"none of the 1 files .* nobody.png"):
        OverlayFolder.match(f"theirs={empty}", files)
    with pytest.raises(OverlayFolderError, match="two photographs are called a"):
        OverlayFolder.match(f"theirs={overlays}", [*files, PhotoFile("other", tmp_path / "a.jpg")])
    with pytest.raises(OverlayFolderError, match="theirs twice"):
        match_folders((f"theirs={overlays}", f"theirs={overlays}"), files)
    Image.new("RGB", (SIDE, SIDE)).save(overlays / "a.webp")
    with pytest.raises(OverlayFolderError, match=r"a.png and a.webp .* one photograph"):
        OverlayFolder.match(f"theirs={overlays}", files)


def test_nothing_is_computed_for_a_wrong_folder(tmp_path: Path, photos: Path, monkeypatch) -> None:
    monkeypatch.setattr(runner, "load_data", lambda config: distributed_run.load(photos))
    monkeypatch.setattr(Pipeline, "build", lambda *_, **__: pytest.fail("nothing may be computed"))
    with pytest.raises(OverlayFolderError, match="there is no folder"):
        runner.run(BenchmarkConfig(methods="none", overlays=(f"theirs={tmp_path / 'absent'}",)))


def test_config() -> None:
    with pytest.raises(RunError, match="one view"):
        BenchmarkConfig(dataset="frll", overlays=("theirs=x",))
    BenchmarkConfig(dataset="frll", protocol="overlay", overlays=("theirs=x",))
    with pytest.raises(RunError, match="nothing to score"):
        BenchmarkConfig(methods="none")
    with pytest.raises(RunError, match="--table"):
        BenchmarkConfig(table=2, overlays=("theirs=x",))
