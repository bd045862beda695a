"""``ftim reconstruct``: finding photographs, whole folders, resuming, failures, the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ftim
from ftim.cli import main
from ftim.data import load_portraits
from ftim.errors import SettingsError
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.reconstruct_files import Batch, Settings, find_photos
from ftim.report import Reporter
from ftim.result_folders import FAILURES

FILES = [
    "albedo.png", "head.glb", "head.mtl", "head.obj", "overlay.png", "params.json", "partial.png", "report.json",
    "texture.png", "visibility.png",
]  # fmt: skip


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.build(texture_size=256)


@pytest.fixture(scope="module")
def reporter() -> Reporter:
    return Reporter.build()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two portraits, one of them deeper, a letter and a grey picture."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    for place, photo in zip(("a.jpg", "deeper/b.jpg"), load_portraits("test").first(2).photos, strict=True):
        (folder / place).write_bytes(photo.path.read_bytes())
    (folder / "letter.jpg").write_text("Dear reader")
    Image.fromarray(np.full((200, 200, 3), 127, np.uint8)).save(folder / "grey.png")
    return folder


def batch(output: Path, pipeline: Pipeline, reporter: Reporter, resume: bool = False, **changes: str) -> Batch:
    settings = Settings(texture_size=256, completion="mirror", formats=("png", "glb", "obj", "json"), **changes)  # type: ignore[arg-type]
    return Batch(output, settings, pipeline, reporter, resume)


def test_one_bad_photograph_does_not_stop_the_rest(
    folder: Path, tmp_path: Path, pipeline: Pipeline, reporter: Reporter
) -> None:
    output = tmp_path / "out"
    outcome = batch(output, pipeline, reporter).run(find_photos((str(folder),)), quiet=True)
    assert (outcome.done, outcome.kept) == (2, 0)
    assert {Path(photo).name: reason.split(":")[0] for photo, reason in outcome.failures.items()} == {
        "letter.jpg": "PhotoError",
        "grey.png": "NoFaceError",
    }
    assert json.loads((output / FAILURES).read_text()) == outcome.failures
    for name in ("a", "deeper/b"):
        assert sorted(path.name for path in (output / name).iterdir()) == FILES
    report = json.loads((output / "a" / "report.json").read_text())
    assert report["scores"]["face"]["psnr"] > 28 and 0.8 < report["scores"]["overlay"]["cosine"] <= 1
    assert not list(output.rglob(".*")), "nothing temporary is left"


def test_finished_photographs_are_kept_and_unfinished_ones_made(
    folder: Path, tmp_path: Path, pipeline: Pipeline, reporter: Reporter
) -> None:
    output = tmp_path / "out"
    photos = [item for item in find_photos((str(folder),)) if item[1] in ("a", "deeper/b")]
    batch(output, pipeline, reporter).run(photos[:1], quiet=True)
    half = output / ".b.123.tmp"
    half.mkdir()
    (half / "overlay.png").write_bytes(b"half")
    before = (output / "a" / "report.json").stat().st_mtime_ns
    outcome = batch(output, pipeline, reporter, resume=True).run(photos, quiet=True)
    assert (outcome.done, outcome.kept, outcome.failures) == (1, 1, {})
    assert (output / "a" / "report.json").stat().st_mtime_ns == before and not half.exists()
    again = batch(output, pipeline, reporter, resume=True, face="0").run(photos[:1], quiet=True)
    assert again.done == 1, "other settings make another result"


def test_all_faces_have_a_folder_each(tmp_path: Path, pipeline: Pipeline, reporter: Reporter) -> None:
    pair = [read_photo(photo.path) for photo in load_portraits("test").first(2).photos]
    height = min(len(photo) for photo in pair)
    Image.fromarray(np.concatenate([photo[:height] for photo in pair], 1)).save(tmp_path / "two.png")
    photos = find_photos((str(tmp_path / "two.png"),))
    outcome = batch(tmp_path / "out", pipeline, reporter, face="all").run(photos, quiet=True)
    assert outcome.done == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["two-face0", "two-face1"]
    assert batch(tmp_path / "out", pipeline, reporter, resume=True, face="all").run(photos, quiet=True).kept == 1


def test_inputs_are_files_folders_and_patterns(folder: Path) -> None:
    names = [name for _, name in find_photos((str(folder),))]
    assert names == ["a", "deeper/b", "grey", "letter"]
    inside = [name for _, name in find_photos((str(folder),), folder / "deeper")]
    assert inside == ["a", "grey", "letter"], "results of an earlier run are no photographs"
    assert [name for _, name in find_photos((str(folder / "*.jpg"),))] == ["a", "letter"]
    (folder / "a.png").write_bytes(b"")
    assert [name for _, name in find_photos((str(folder / "a.*"),))] == ["a", "a.png"]
    for wrong in ("nothing.jpg", "none*"):
        with pytest.raises(SettingsError, match=r"nothing\.jpg|none"):
            find_photos((str(folder / wrong),))
    (folder / "empty").mkdir()
    with pytest.raises(SettingsError, match="no photograph"):
        find_photos((str(folder / "empty"),))


def test_a_folder_of_other_files_stays_as_it_is(
    folder: Path, tmp_path: Path, pipeline: Pipeline, reporter: Reporter
) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "diary.txt").write_text("mine")
    (folder / "c").write_bytes((folder / "a.jpg").read_bytes())
    photos = find_photos((str(folder / "a.jpg"), str(folder / "c")))
    outcome = batch(folder, pipeline, reporter).run(photos, quiet=True)
    assert outcome.done == 0 and all(reason.startswith("ResultFolderError") for reason in outcome.failures.values())
    assert (folder / "a" / "diary.txt").read_text() == "mine" and (folder / "c").is_file()


def test_wrong_settings_are_named() -> None:
    with pytest.raises(SettingsError, match="smallest"):
        Settings(face="smallest")
    with pytest.raises(SettingsError, match="fbx"):
        Settings(formats=("fbx",))  # type: ignore[arg-type]


def test_the_command_says_what_failed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--texture-size", "256", "--completion", "mirror", "--format", "json"]
    output = tmp_path / "out"
    status = main(["reconstruct", str(folder / "a.jpg"), str(folder / "letter.jpg"), "-o", str(output), *options])
    captured = capsys.readouterr()
    assert status == 1 and "1 reconstructed" in captured.out and "letter.jpg: PhotoError" in captured.err
    assert sorted(path.name for path in (output / "a").iterdir()) == ["params.json", "report.json"]
    assert main(["reconstruct", str(folder / "a.jpg"), "-o", str(output), *options, "--resume"]) == 0
    assert "1 kept" in capsys.readouterr().out


def test_the_python_interface(folder: Path, tmp_path: Path) -> None:
    result = ftim.reconstruct(folder / "a.jpg", texture_size=256, completion="mirror")
    result.save(tmp_path / "out", ("glb",))
    assert (tmp_path / "out" / "head.glb").is_file()
    assert result.overlay.shape == result.photo.shape
