"""Settings of a run, and the command line that sets them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from ftim.cli import main
from ftim.completion.settings import FULL, IMAGE_TO_IMAGE, PAPER
from ftim.completion.weights import SHIPPED
from ftim.errors import SettingsError, TrainingError, TrainingStopped
from ftim.losses import LossWeights
from ftim.training.config import Preset, TrainingConfig

OTHER: dict[str, Any] = {
    "preset": "image_to_image",
    "regressor": "deca",
    "steps": 7,
    "seed": 1,
    "learning_rate": 1e-5,
    "warmup": 3,
    "ema": 0.5,
    "clip": 2.0,
    "triplet_share": 0.1,
    "hidden_front_share": 0.1,
    "mirror_share": 0.1,
    "perceptual_views": 3,
    "one_sided_symmetry": False,
    "structure": 0.1,
    "without_hair": False,
    "sources": ("frll",),
    "bfloat16": False,
    "rendered_pictures": 4,
}
"""Another value of every setting that decides the result."""


def recorded_fields() -> list[str]:
    return [f.name for f in dataclasses.fields(TrainingConfig) if f.metadata.get("recorded", True)]


def test_every_setting_that_decides_the_result_has_a_part_in_the_fingerprint() -> None:
    assert sorted(OTHER) == sorted(recorded_fields())
    prints = {TrainingConfig().fingerprint()}
    prints |= {replace(TrainingConfig(), **{name: value}).fingerprint() for name, value in OTHER.items()}
    assert len(prints) == len(OTHER) + 1


def test_where_and_how_a_run_is_watched_has_none(tmp_path: Path) -> None:
    changed = TrainingConfig(
        data=tmp_path, triplets=tmp_path, output=tmp_path, cache=tmp_path, device="cpu", resume=True,
        checkpoint_every=7, preview_minutes=1.0, tensorboard=True, rendered=tmp_path,
    )  # fmt: skip
    # The path of the initial weights is not recorded, their sha256 is: tests/test_trainer.py.
    unrecorded = {f.name for f in dataclasses.fields(TrainingConfig)} - {*recorded_fields(), "initial"}
    assert all(getattr(changed, name) != getattr(TrainingConfig(), name) for name in unrecorded)
    assert changed.recorded() == TrainingConfig().recorded()
    assert changed.fingerprint() == TrainingConfig().fingerprint()
    assert str(tmp_path) not in json.dumps(changed.recorded())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("warmup", -1),
        ("perceptual_views", 0),
        ("perceptual_views", 4),
        ("triplet_share", 1.5),
        ("hidden_front_share", -0.1),
        ("mirror_share", float("nan")),
        ("ema", 1.01),
        ("structure", 2.0),
        ("rendered_pictures", -1),
    ],
)
def test_settings_without_sense_are_named(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=name):
        TrainingConfig(**{name: value})  # type: ignore[arg-type]


def test_rate_grows_in_a_line_and_falls_as_a_cosine() -> None:
    config = TrainingConfig(steps=250, warmup=50, learning_rate=2e-3)
    assert [config.rate(step) for step in (0, 24, 49)] == pytest.approx([2e-3 / 50, 1e-3, 2e-3])
    assert config.rate(50) == pytest.approx(2e-3)
    assert config.rate(150) == pytest.approx(2e-3 * (0.05 + 0.95 / 2))
    assert config.rate(250) == pytest.approx(2e-3 / 20)
    after = [config.rate(step) for step in range(50, 251)]
    assert all(a > b for a, b in zip(after, after[1:], strict=False))
    assert replace(config, warmup=0).rate(0) == pytest.approx(2e-3)
    assert 0 < replace(config, steps=10).rate(9) < 2e-3


def test_presets() -> None:
    presets: dict[str, TrainingConfig] = {name: TrainingConfig(preset=name) for name in get_args(Preset)}
    assert set(SHIPPED) <= set(presets)
    assert presets["ftim"].form == presets["ftim_no_sym_mrf"].form == FULL
    assert (presets["image_to_image"].form, presets["ftim_paper"].form) == (IMAGE_TO_IMAGE, PAPER)
    steps = [presets[name].form for name in ("ftim_paper", "ftim_divide", "ftim_keep_seen")]
    changed = [
        {f.name for f in dataclasses.fields(PAPER) if getattr(a, f.name) != getattr(b, f.name)}
        for a, b in zip(steps, steps[1:], strict=False)
    ]
    assert changed == [{"lighting"}, {"keep_seen"}]
    ablation = presets.pop("ftim_no_sym_mrf")
    assert ablation.losses == replace(LossWeights(), symmetry=0, id_mrf=0)
    assert all(config.losses == LossWeights() for config in presets.values())
    assert presets["ftim"].folder == Path("runs/train/ftim")


# ---- ftim train


class Finished:
    done, seconds, folder = 7, 90.0, Path("here")


def test_train_takes_every_setting(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given: list[TrainingConfig] = []

    def train(config: TrainingConfig) -> Finished:
        given.append(config)
        return Finished()

    monkeypatch.setattr("ftim.training.run.train", train)
    arguments = []
    for name, value in OTHER.items():
        option = f"--{'no-' if value is False else ''}{name.replace('_', '-')}"
        values = [] if value is False else [str(item) for item in (value if isinstance(value, tuple) else (value,))]
        arguments += [option, *values]
    assert main(["train", *arguments, "--output", "there", "--resume"]) == 0
    assert given == [TrainingConfig(**OTHER, output=Path("there"), resume=True)]
    assert capsys.readouterr().out == "7 steps in 1.5 minutes; see here\n"
    assert main(["train"]) == 0
    assert given[1] == TrainingConfig()


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (TrainingStopped("stopped after step 3"), 130, "ftim: stopped after step 3\n"),
        (TrainingError("the loss is not a number"), 1, "ftim: the loss is not a number\n"),
        (KeyboardInterrupt(), 130, "ftim: interrupted\n"),
    ],
)
def test_train_ends_with_a_sentence(
    error: BaseException,
    status: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def train(_: TrainingConfig) -> None:
        raise error

    monkeypatch.setattr("ftim.training.run.train", train)
    assert main(["train"]) == status
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", sentence)


def test_senseless_setting_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--steps", "0"]) == 1
    assert capsys.readouterr().err.startswith("ftim: steps must be at least 1")
    with pytest.raises(SystemExit):
        main(["train", "--preset", "magic"])
    assert "ftim_no_sym_mrf" in capsys.readouterr().err
