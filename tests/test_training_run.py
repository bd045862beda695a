"""``ftim train`` from photographs to its folder: what is left out, what is recorded, what is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ftim import __version__
from ftim.data import PhotoFile
from ftim.errors import DatasetError, NoFaceError, TrainingError
from ftim.losses import LossNetworks
from ftim.pipeline import Pipeline
from ftim.provenance import code_commit
from ftim.structures import Face, View
from ftim.training import run
from ftim.training.cases import TrainingCase, TrainingData
from tests.fake_pipeline import write_photo
from tests.test_completion import head
from tests.tiny_training import SIDE, image_renderer, plain_output, renderer, template, tiny_config, triplet_fit


@pytest.fixture(autouse=True)
def small_and_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_output(monkeypatch)


def no_git(*_: Any, **__: Any) -> None:
    raise FileNotFoundError("git")


class SpherePipeline:
    """What ``train`` and the cache use of a pipeline; each photograph shows the sphere, an almost black one none."""

    size = SIDE
    uv = renderer()
    image = image_renderer()
    model = head()
    template = template()
    regressor = SimpleNamespace(name="landmarks")

    def face(self, photo: np.ndarray) -> Face:
        if photo.mean() < 5:
            raise NoFaceError("no face was found")
        image = Image.fromarray(photo).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        picture = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        nothing = torch.zeros(1, 478, 2)
        return Face(picture, torch.ones(1, 1, SIDE, SIDE), nothing, torch.zeros(1, 52), torch.tensor([[1.0, 0, 0]]))

    def views(self, face: Face, together: bool = False) -> View:
        of, skin = triplet_fit(), torch.ones(len(face), 1, SIDE, SIDE)
        of = of[1] if len(face) == 1 else of
        return View(face, of, skin, renderer()(face.image, of, skin))


def case(folder: Path, name: str, *brightness: int) -> TrainingCase:
    photos = []
    for index, value in enumerate(brightness):
        write_photo(folder / f"{name}-{index}.png", value, seed=index)
        photos.append(PhotoFile(f"{name}-{index}", folder / f"{name}-{index}.png"))
    return TrainingCase(name, tuple(photos))


@pytest.fixture
def all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three triplets, one without a face in a view, and two portraits."""
    triplets = (case(tmp_path, "a", 90, 100, 110), case(tmp_path, "b", 90, 0, 90), case(tmp_path, "c", 150, 140, 130))
    portraits = (case(tmp_path, "d", 120), case(tmp_path, "e", 0))
    data = TrainingData(triplets, portraits, {"made": "CC0"})
    monkeypatch.setattr(run, "load_training_data", lambda *_: data)
    monkeypatch.setattr(Pipeline, "build", lambda *_, **__: SpherePipeline())
    monkeypatch.setattr(run, "load_loss_networks", lambda *_: LossNetworks(None, None))
    return tmp_path


def test_a_run_from_photographs_to_its_folder(all_of_it: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny_config(all_of_it / "runs", steps=3)
    made = run.train(config, quiet=True)
    assert made.done == 3
    about = json.loads((config.folder / "config.json").read_text())
    assert {name: about[name] for name in config.recorded()} == config.recorded()
    assert (about["triplets"], about["portraits"]) == (2, 1)
    assert about["skipped"] == {"b": "no face was found", "e": "no face was found"}
    assert about["licences"] == {"made": "CC0"} and about["commit"]
    assert str(all_of_it) not in (config.folder / "config.json").read_text()
    assert capsys.readouterr().err == ""
    with pytest.raises(TrainingError, match="holds a run already"):
        run.train(config, quiet=True)
    assert run.train(replace(config, resume=True)).done == 3
    assert "left out, no usable face: b, e" in capsys.readouterr().err


def test_without_a_usable_triplet_there_is_nothing_to_learn(all_of_it: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = TrainingData((case(all_of_it, "x", 90, 0, 90),), (), {})
    monkeypatch.setattr(run, "load_training_data", lambda *_: data)
    with pytest.raises(DatasetError, match="no triplet has a usable face"):
        run.train(tiny_config(all_of_it / "runs"), quiet=True)
    assert not (all_of_it / "runs" / "ftim").exists()


def test_the_commit_or_the_version_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def git(changed: str) -> Callable[..., subprocess.CompletedProcess[str]]:
        def answer(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
            return subprocess.CompletedProcess(command, 0, "abc\n" if "rev-parse" in command else changed)

        return answer

    for changed, expected in (("", "abc"), (" M ftim/uv.py\n", "abc+")):
        monkeypatch.setattr(subprocess, "run", git(changed))
        assert code_commit() == expected
    monkeypatch.setattr(subprocess, "run", no_git)
    assert code_commit() == f"version {__version__}"
