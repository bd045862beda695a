"""``ftim reconstruct``: finding photographs, whole folders, resuming, failures, the exit status."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ftim
from ftim.assets import asset_path, sha256_of
from ftim.cli import main
from ftim.cli import settings as result_settings
from ftim.cli.files import Batch
from ftim.cli.folders import FAILURES
from ftim.cli.photo_search import Search, find_photos
from ftim.cli.report import Reporter
from ftim.cli.settings import Settings, made_with
from ftim.data import load_portraits
from ftim.errors import OutputError, SettingsError
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.quality import assess

FILES = [
    "albedo.png", "head.glb", "head.mtl", "head.obj", "overlay.png", "params.json", "partial.png", "report.json",
    "texture.png", "visibility.png",
]  # fmt: skip


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.build(texture_size=256)


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


def batch(output: Path, pipeline: Pipeline, resume: bool = False, **changes: Any) -> Batch:
    settings = Settings(texture_size=256, completion="mirror", **changes)
    return Batch(output, settings, pipeline, None, resume)


def some_of(folder: Path, *places: str) -> Search:
    return Search({folder / place: Path(place) for place in places})


def test_one_bad_photograph_does_not_stop_the_rest(folder: Path, tmp_path: Path, pipeline: Pipeline) -> None:
    output = tmp_path / "out"
    outcome = batch(output, pipeline).run(find_photos((str(folder),)), quiet=True)
    assert (outcome.done, outcome.kept) == (2, 0)
    assert {Path(photo).name: reason.split(":")[0] for photo, reason in outcome.failures.items()} == {
        "letter.jpg": "PhotoError",
        "grey.png": "NoFaceError",
    }
    assert json.loads((output / FAILURES).read_text())["failures"] == outcome.failures
    for name in ("a", "deeper/b"):
        assert sorted(path.name for path in (output / name).iterdir()) == FILES
    report = json.loads((output / "a" / "report.json").read_text())
    assert report["quality"] == json.loads(json.dumps(asdict(assess(pipeline.reconstruct(folder / "a.jpg", "mirror")))))
    assert "scores" not in report and "seed" not in report["settings"]
    assert not list(output.rglob(".*")), "nothing temporary is left"


def test_finished_photographs_are_kept_and_unfinished_ones_made(
    folder: Path, tmp_path: Path, pipeline: Pipeline
) -> None:
    output = tmp_path / "out"
    photos = some_of(folder, "a.jpg", "deeper/b.jpg")
    batch(output, pipeline).run(some_of(folder, "a.jpg"), quiet=True)
    before = (output / "a" / "report.json").stat().st_mtime_ns
    outcome = batch(output, pipeline, resume=True).run(photos, quiet=True)
    assert (outcome.done, outcome.kept, outcome.failures) == (1, 1, {})
    assert (output / "a" / "report.json").stat().st_mtime_ns == before
    again = batch(output, pipeline, resume=True, face="0").run(some_of(folder, "a.jpg"), quiet=True)
    assert again.done == 1, "other settings make another result"


@pytest.mark.parametrize("changed", ["weights_path", "OPEN_HEAD_PATH", "TEMPLATE_PATH", "code_sha256"])
def test_a_result_of_other_weights_head_template_or_code_is_made_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    settings, photo = Settings(), folder / "a.jpg"
    before = settings.key(photo, made_with("ftim"))
    assert settings.key(photo, made_with("ftim")) == before
    other = tmp_path / "other"
    other.write_bytes(b"other")
    replacement = {"weights_path": lambda name: other, "code_sha256": lambda: "other"}.get(changed, other)
    monkeypatch.setattr(result_settings, changed, replacement)
    assert settings.key(photo, made_with("ftim")) != before


def test_references_have_no_weights() -> None:
    assert set(made_with("ftim")) - set(made_with("mirror")) == {"weights"}


def test_scores_compare_texture_and_relit_albedo_with_the_photograph(
    folder: Path, tmp_path: Path, pipeline: Pipeline
) -> None:
    settings = Settings(texture_size=256, completion="mirror", formats=("json",), scores=True)
    run = Batch(tmp_path / "out", settings, pipeline, Reporter.build(pipeline))
    assert run.run(find_photos((str(folder / "a.jpg"),)), quiet=True).done == 1
    scores = json.loads((tmp_path / "out" / "a" / "report.json").read_text())["scores"]
    assert set(scores) == {"texture", "albedo relit"}
    for blocks in scores.values():
        assert set(blocks) == {"overlay", "face"}
        for block in blocks.values():
            assert block["l1"] < 0.05 and block["psnr"] > 24 and block["ssim"] > 0.8
            assert 0 < block["lpips"] < 0.2 and 0.7 < block["cosine"] <= 1
    assert scores["texture"]["face"]["psnr"] > 28


@pytest.mark.parametrize("completion", ["mirror", "ftim"])
def test_the_landmarker_is_all_that_is_fetched_without_scores(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], completion: str
) -> None:
    """A machine that has the landmarker and no other file, and no network."""
    (tmp_path / "files").mkdir()
    shutil.copy(asset_path("face_landmarker.task"), tmp_path / "files")
    monkeypatch.setenv("FTIM_ASSETS", str(tmp_path / "files"))
    monkeypatch.setenv("FTIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FTIM_OFFLINE", "1")
    options = ["-o", str(tmp_path / "out"), "--texture-size", "256", "--completion", completion]
    assert main(["reconstruct", str(folder / "a.jpg"), *options]) == 0
    assert sorted(path.name for path in (tmp_path / "out" / "a").iterdir()) == FILES
    assert main(["reconstruct", str(folder / "a.jpg"), *options, "--scores"]) == 1
    assert "graph_final.pb is not in" in capsys.readouterr().err, "scores need more, so the test can fail"


def test_warnings_are_told_by_photograph(tmp_path: Path, folder: Path, pipeline: Pipeline) -> None:
    dark = tmp_path / "dark.png"
    Image.fromarray(read_photo(folder / "a.jpg") // 3).save(dark)
    photos = find_photos((str(folder / "a.jpg"), str(dark)))
    outcome = batch(tmp_path / "out", pipeline, formats=("json",)).run(photos, quiet=True)
    assert list(outcome.warned) == [str(dark)] and "dark" in outcome.warned[str(dark)][0]
    report = json.loads((tmp_path / "out" / "dark" / "report.json").read_text())
    assert [warning["kind"] for warning in report["quality"]["warnings"]] == ["dark"]


def test_all_faces_have_a_folder_each(tmp_path: Path, pipeline: Pipeline) -> None:
    pair = [read_photo(photo.path) for photo in load_portraits("test").first(2).photos]
    height = min(len(photo) for photo in pair)
    Image.fromarray(np.concatenate([photo[:height] for photo in pair], 1)).save(tmp_path / "two.png")
    photos = find_photos((str(tmp_path / "two.png"),))
    outcome = batch(tmp_path / "out", pipeline, face="all").run(photos, quiet=True)
    assert outcome.done == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["two-face0", "two-face1"]
    assert batch(tmp_path / "out", pipeline, resume=True, face="all").run(photos, quiet=True).kept == 1


def test_a_folder_of_other_files_stays_as_it_is(folder: Path, tmp_path: Path, pipeline: Pipeline) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "diary.txt").write_text("mine")
    (folder / "c").write_bytes((folder / "a.jpg").read_bytes())
    photos = find_photos((str(folder / "a.jpg"), str(folder / "c")))
    outcome = batch(folder, pipeline).run(photos, quiet=True)
    assert outcome.done == 0 and all(reason.startswith("ResultFolderError") for reason in outcome.failures.values())
    assert (folder / "a" / "diary.txt").read_text() == "mine" and (folder / "c").is_file()


def test_results_keep_to_their_photographs(folder: Path, tmp_path: Path, pipeline: Pipeline) -> None:
    """Two folders, a photograph of one name in each: one after the other, together, and again."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "deeper" / "b.jpg", other / "a.jpg")
    output = tmp_path / "out"
    for _ in range(2):
        for photo in (folder / "a.jpg", other / "a.jpg"):
            assert batch(output, pipeline, formats=("json",)).run(find_photos((str(photo),)), quiet=True).done == 1
    assert sorted(path.name for path in output.iterdir()) == ["a", "a-2"]
    both = find_photos((str(other), str(folder / "a.jpg")))
    assert batch(output, pipeline, resume=True, formats=("json",)).run(both, quiet=True).kept == 2
    reports = [json.loads((output / name / "report.json").read_text())["photo"] for name in ("a", "a-2")]
    assert [report["path"] for report in reports] == ["../photos/a.jpg", "../other/a.jpg"]
    assert [report["sha256"] for report in reports] == [sha256_of(folder / "a.jpg"), sha256_of(other / "a.jpg")]


def test_the_output_may_lie_among_the_photographs(folder: Path, pipeline: Pipeline) -> None:
    """And a second run finds the same photographs, keeps what the user added, and the formats of before."""
    counts = []
    for output, formats in ((folder, ("json", "obj")), (folder / "out", ("json",)), (folder, ("json",))):
        search = find_photos((str(folder),))
        counts.append(len(search.photos))
        assert batch(output, pipeline, formats=formats).run(search, quiet=True).done == 2
        (folder / "a" / "my_sculpt.blend").write_text("mine")
    assert counts == [4, 4, 4]
    assert {"head.obj", "albedo.png", "my_sculpt.blend"} <= {path.name for path in (folder / "a").iterdir()}
    (folder / "a" / "params.json").write_text("changed by hand")
    again = batch(folder, pipeline, formats=("json",)).run(some_of(folder, "a.jpg"), quiet=True)
    assert "params.json is not as ftim wrote it" in again.failures[str(folder / "a.jpg")]


@pytest.mark.parametrize("text", ["[]", "{}", '{"quarter": "good"}', "not even JSON"])
def test_a_list_of_failures_of_someone_else_stays(folder: Path, tmp_path: Path, pipeline: Pipeline, text: str) -> None:
    """And is found before any work is done."""
    (tmp_path / FAILURES).write_text(text)
    with pytest.raises(OutputError, match="not ours; nothing was done"):
        batch(tmp_path, pipeline, formats=("json",)).run(some_of(folder, "a.jpg"), quiet=True)
    assert (tmp_path / FAILURES).read_text() == text and not (tmp_path / "a").exists()


def test_a_list_of_failures_of_an_earlier_version_is_ours(folder: Path, tmp_path: Path, pipeline: Pipeline) -> None:
    (tmp_path / FAILURES).write_text(json.dumps({"b.jpg": "PhotoError: b.jpg is empty"}))
    outcome = batch(tmp_path, pipeline, formats=("json",)).run(some_of(folder, "letter.jpg"), quiet=True)
    assert json.loads((tmp_path / FAILURES).read_text())["failures"] == outcome.failures
    assert batch(tmp_path, pipeline, formats=("json",)).run(some_of(folder, "a.jpg"), quiet=True).done == 1
    assert not (tmp_path / FAILURES).exists()


def test_photographs_of_one_name_and_two_suffixes_keep_their_folders(
    folder: Path, tmp_path: Path, pipeline: Pipeline
) -> None:
    Image.open(folder / "deeper" / "b.jpg").save(folder / "a.png")
    for _ in range(3):
        search = some_of(folder, "a.jpg", "a.png")
        assert batch(tmp_path / "out", pipeline, formats=("json",)).run(search, quiet=True).done == 2
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "a.png"]


def test_another_photograph_at_the_same_place_has_another_folder(
    folder: Path, tmp_path: Path, pipeline: Pipeline
) -> None:
    for source in ("a.jpg", "deeper/b.jpg", "deeper/b.jpg"):
        shutil.copy(folder / source, tmp_path / "IMG_1.jpg")
        run = batch(tmp_path / "out", pipeline, formats=("json",))
        assert run.run(some_of(tmp_path, "IMG_1.jpg"), quiet=True).done == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["IMG_1", "IMG_1-2"]


def test_a_result_that_lacks_a_file_is_made_again(folder: Path, tmp_path: Path, pipeline: Pipeline) -> None:
    for expected in (1, 0, 1):
        run = batch(tmp_path, pipeline, resume=True, formats=("json", "glb"))
        assert run.run(some_of(folder, "a.jpg"), quiet=True).done == expected
        if not expected:
            (tmp_path / "a" / "head.glb").unlink()
    assert (tmp_path / "a" / "head.glb").is_file()


def test_a_full_disk_ends_the_run_with_its_list(
    folder: Path, tmp_path: Path, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutputError("no room") from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pipeline, "reconstruct", full)
    with pytest.raises(OutputError, match="no room"):
        batch(tmp_path, pipeline, formats=("json",)).run(some_of(folder, "letter.jpg", "a.jpg"), quiet=True)
    assert len(json.loads((tmp_path / FAILURES).read_text())["failures"]) == 2


def test_no_name_and_no_mistake_ends_a_run(
    folder: Path, tmp_path: Path, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [os.fsdecode(name) for name in (b"caf\xe9.jpg", b"...jpg", b"b" * 251 + b".jpg")]
    for place in places:
        shutil.copy(folder / "a.jpg", folder / place)
    output = tmp_path / "out"
    outcome = batch(output, pipeline, formats=("json",)).run(some_of(folder, *places), quiet=True)
    assert (outcome.done, outcome.failures) == (3, {}) and len(list(output.iterdir())) == 3

    def breaks(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(pipeline, "reconstruct", breaks)
    outcome = batch(output, pipeline, formats=("json",)).run(some_of(folder, places[0], "letter.jpg"), quiet=True)
    assert [reason.split(":")[0] for reason in outcome.failures.values()] == ["ZeroDivisionError", "PhotoError"]
    assert any("caf\\xe9.jpg" in name for name in outcome.failures)
    assert json.loads((output / FAILURES).read_text(encoding="utf-8"))["failures"] == outcome.failures


def test_a_console_that_cannot_print_a_name(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "letter.jpg", folder / "\u6c34.jpg")
    command = [sys.executable, "-m", "ftim.cli", "reconstruct", str(folder / "\u6c34.jpg"), "-o", str(tmp_path / "out")]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    run = subprocess.run(command, env=environment, capture_output=True, check=False, cwd=Path(ftim.__file__).parents[1])
    assert run.returncode == 1 and b"Traceback" not in run.stderr and b"\\u6c34.jpg: PhotoError" in run.stderr


def test_threads_are_set_and_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    try:
        options = ["-o", str(tmp_path / "out"), "--format", "json", "--completion", "mirror", "--texture-size", "256"]
        assert main(["reconstruct", str(folder / "a.jpg"), *options, "--threads", "1"]) == 0
        assert "(1 thread)" in capsys.readouterr().out and torch.get_num_threads() == 1
        assert main(["reconstruct", str(folder / "a.jpg"), *options, "--threads", "-1"]) == 1
        assert "threads must be 0" in capsys.readouterr().err
    finally:
        torch.set_num_threads(before)


def test_threads_spin_shortly_unless_you_say_otherwise() -> None:
    code = "import os, ftim; print(os.environ['OMP_WAIT_POLICY'], os.environ.get('GOMP_SPINCOUNT'))"
    for given, expected in ((None, "passive 1000"), ("active", "active None")):
        ours = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        environment |= {"OMP_WAIT_POLICY": given} if given else {}
        command = [sys.executable, "-c", code]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == expected


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
    full = ftim.reconstruct(folder / "a.jpg", texture_size=256, completion="mirror", cover="full")
    assert full.rendering.mask.sum() > result.rendering.mask.sum()


def test_a_second_call_reads_no_model_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ftim.reconstruct(folder / "a.jpg", texture_size=256)

    def read(*_: object) -> None:
        raise AssertionError("a model was read again")

    monkeypatch.setattr("ftim.pipeline.build_completion", read)
    monkeypatch.setattr("ftim.pipeline.load_open_head", read)
    ftim.reconstruct(folder / "a.jpg", texture_size=256)
    with pytest.raises(AssertionError, match="read again"):
        ftim.reconstruct(folder / "a.jpg", texture_size=256, completion="mean")
