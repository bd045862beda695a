"""The loop on a sphere: it learns, stops, goes on, and never loses its last checkpoint."""

from __future__ import annotations

import csv
import errno
import math
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image
from torch import Tensor

from ftim.assets import sha256_of
from ftim.completion import Completion
from ftim.completion.network import TextureNetwork
from ftim.errors import OutputError, TrainingError, TrainingStopped
from ftim.losses import LossTerms
from ftim.training import preview
from ftim.training.checkpoint import Checkpoint
from ftim.training.log import TrainingLog, read_log
from ftim.training.sampling import Batch
from ftim.training.step import training_losses
from ftim.training.trainer import Trainer, start_from
from tests.tiny_training import (
    FORM,
    SIDE,
    Alter,
    TinyConfig,
    image_renderer,
    plain_output,
    stage,
    template,
    tiny_config,
    tiny_network,
)

STEPS = 40


@pytest.fixture(autouse=True)
def small_and_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_output(monkeypatch)


def trainer_of(config: TinyConfig, alter: Alter | None = None) -> Trainer:
    return Trainer(config, stage(config, alter), quiet=True)


def logged(config: TinyConfig) -> list[dict[str, str]]:
    """All but the time."""
    return [
        {name: cell for name, cell in row.items() if name != "seconds"} for row in read_log(config.folder / "log.csv")
    ]


def at(step: int, action: Callable[[Batch], Batch]) -> Alter:
    """Something that happens to the batch of the step after ``step`` steps."""
    return lambda number, batch: action(batch) if number == step else batch


def interrupt(batch: Batch) -> Batch:
    signal.raise_signal(signal.SIGINT)
    return batch


def spoil(batch: Batch) -> Batch:
    photo = batch.example.photo.clone()
    photo[0, 0, SIDE // 2, SIDE // 2] = float("nan")
    face = replace(batch.example.face, image=photo)
    return replace(batch, example=replace(batch.example, face=face))


def same_state(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyConfig, Trainer]:
    """Forty steps without a stop."""
    config = tiny_config(tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preview, "SIDE", SIDE)
        made = trainer_of(config)
        made.run()
    return config, made


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> TinyConfig:
    """Eight steps without a stop."""
    config = tiny_config(tmp_path_factory.mktemp("short"), steps=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preview, "SIDE", SIDE)
        patch.setattr(TrainingLog, "draw", lambda _: None)
        trainer_of(config).run()
    return config


def test_a_run_leaves_its_files(whole: tuple[TinyConfig, Trainer]) -> None:
    config, made = whole
    rows = logged(config)
    assert [int(row["step"]) for row in rows] == list(range(1, STEPS + 1))
    assert [float(row["rate"]) for row in rows] == pytest.approx([config.rate(step) for step in range(STEPS)], rel=1e-5)
    assert all(row["identity"] == row["id_mrf"] == "" for row in rows)
    assert all(0 < float(row["gradient"]) < math.inf for row in rows)
    names = {path.name for path in config.folder.iterdir()}
    assert names == {"checkpoint.pt", "log.csv", "log.png", f"preview-{STEPS:06d}.jpg"}
    with Image.open(config.folder / f"preview-{STEPS:06d}.jpg") as image:
        assert image.size == (7 * SIDE, 3 * SIDE)
    saved = Checkpoint.read(config.folder / "checkpoint.pt")
    assert (saved.step, saved.fingerprint, saved.recorded) == (STEPS, config.fingerprint(), config.recorded())
    assert same_state(saved.network, made.network.state_dict()) and same_state(saved.average, made.average)
    assert made.done == STEPS and saved.seconds == pytest.approx(made.seconds)


def test_the_papers_form_learns_from_nothing(tmp_path: Path) -> None:
    """It begins grey; the losses of pictures that it did not see before fall, also with the averaged weights."""
    config = tiny_config(tmp_path, preset="ftim_paper", steps=30, learning_rate=1e-2, ema=0.8)
    made = trainer_of(config)

    @torch.no_grad()
    def loss(completion: Completion) -> float:
        unseen = [made.stage.sampler(step) for step in range(100, 105)]
        terms = [
            training_losses(
                batch, completion, image_renderer(), template(), config.losses, made.stage.networks
            ).total
            for batch in unseen
        ]  # fmt: skip
        return float(torch.stack(terms).mean())

    before = loss(made.completion)
    made.run()
    assert loss(made.completion) < 0.7 * before
    assert loss(made.averaged()) < 0.7 * before


def test_stopped_and_resumed_is_the_run_without_a_stop(whole: tuple[TinyConfig, Trainer], tmp_path: Path) -> None:
    expected, unbroken = whole
    config = tiny_config(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingStopped, match=r"stopped after step 20 of 40.*checkpoint\.pt is written.*--resume"):
        trainer_of(config, at(19, interrupt)).run()
    assert signal.getsignal(signal.SIGINT) is before
    assert Checkpoint.read(config.folder / "checkpoint.pt").step == 20
    assert not list(config.folder.glob("preview-*"))
    torch.manual_seed(99)
    resumed = trainer_of(replace(config, resume=True))
    assert resumed.done == 20
    resumed.run()
    assert logged(config) == logged(expected)
    assert same_state(resumed.network.state_dict(), unbroken.network.state_dict())
    assert same_state(resumed.average, unbroken.average)
    assert resumed.seconds > Checkpoint.read(config.folder / "checkpoint.pt").seconds - 1e-6 > 0


def test_stopped_twice_and_resumed_is_the_run_without_a_stop(short: TinyConfig, tmp_path: Path) -> None:
    """With a checkpoint every third step between the stops."""
    config = tiny_config(tmp_path, steps=8, checkpoint_every=3)
    for step, resume in ((0, False), (4, True)):
        with pytest.raises(TrainingStopped, match=f"after step {step + 1} of 8"):
            trainer_of(replace(config, resume=resume), at(step, interrupt)).run()
    trainer_of(replace(config, resume=True)).run()
    assert logged(config) == logged(short)


def test_a_second_interruption_ends_at_once(tmp_path: Path) -> None:
    def twice(batch: Batch) -> Batch:
        interrupt(batch)
        return interrupt(batch)

    config = tiny_config(tmp_path, checkpoint_every=2)
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            trainer_of(config, at(5, twice)).run()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, outside)
    assert Checkpoint.read(config.folder / "checkpoint.pt").step == 4


def test_resuming_a_finished_run_changes_nothing(whole: tuple[TinyConfig, Trainer]) -> None:
    config, made = whole
    rows, state = logged(config), Checkpoint.read(config.folder / "checkpoint.pt").network
    trainer_of(replace(config, resume=True)).run()
    assert logged(config) == rows
    assert same_state(Checkpoint.read(config.folder / "checkpoint.pt").network, state)


def test_lines_after_the_checkpoint_are_made_again(short: TinyConfig, tmp_path: Path) -> None:
    """Killed without a word after step 7, the checkpoint being of step 4."""

    def killed(batch: Batch) -> Batch:
        raise SystemExit

    config = tiny_config(tmp_path, steps=8, checkpoint_every=4)
    with pytest.raises(SystemExit):
        trainer_of(config, at(7, killed)).run()
    assert len(logged(config)) == 7
    resumed = trainer_of(replace(config, resume=True))
    assert len(logged(config)) == resumed.done == 4
    resumed.run()
    assert logged(config) == logged(short)


def test_the_average_is_that_of_the_weights_after_each_step(tmp_path: Path) -> None:
    """Against a loop in float64 over all states; early on it is nearly their plain mean."""
    config = tiny_config(tmp_path, steps=12, ema=0.6)
    states: list[dict[str, Tensor]] = []
    made: list[Trainer] = []

    def watch(_: int, batch: Batch) -> Batch:
        states.append({name: value.clone().double() for name, value in made[0].network.state_dict().items()})
        return batch

    made.append(trainer_of(config, watch))
    made[0].run()
    watch(12, cast(Batch, None))
    assert len(states) == 13
    expected = states[0]
    for number, state in enumerate(states[1:], start=1):
        decay = min(0.6, number / (number + 10))
        expected = {name: decay * value + (1 - decay) * state[name] for name, value in expected.items()}
    for name, value in made[0].average.items():
        assert torch.allclose(value.double(), expected[name], atol=1e-6), name
    assert not torch.equal(states[0]["stem.weight"], states[-1]["stem.weight"])
    averaged = made[0].averaged().network
    assert same_state(averaged.state_dict(), made[0].average)
    assert not averaged.training and not any(parameter.requires_grad for parameter in averaged.parameters())


def test_initial_weights_are_of_the_seed_alone(tmp_path: Path) -> None:
    states = []
    for number, seed in enumerate((0, 0, 1)):
        torch.manual_seed(number)
        expected = torch.get_rng_state()
        states.append(trainer_of(tiny_config(tmp_path / str(number), seed=seed)).network.state_dict())
        assert torch.equal(torch.get_rng_state(), expected)
    assert same_state(states[0], states[1]) and not same_state(states[0], states[2])


def test_gradients_are_clipped(tmp_path: Path) -> None:
    """Adam does not feel a common factor, so the log tells the norm before, and the parameters hold the norm after."""
    config = tiny_config(tmp_path, steps=1, clip=1e-3)
    made = trainer_of(config)
    made.run()
    gradients = [parameter.grad for parameter in made.network.parameters() if parameter.grad is not None]
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)
    assert float(logged(config)[0]["gradient"]) > 2e-3


def test_half_precision_learns_nearly_the_same(whole: tuple[TinyConfig, Trainer], tmp_path: Path) -> None:
    config = tiny_config(tmp_path, bfloat16=True, steps=3)
    trainer_of(config).run()
    ours = [float(row["total"]) for row in logged(config)]
    theirs = [float(row["total"]) for row in logged(whole[0])[:3]]
    assert ours == pytest.approx(theirs, rel=0.02) and ours != theirs


# ---- what goes wrong


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=9, checkpoint_every=3)
    made = trainer_of(config, at(7, spoil))
    with pytest.raises(TrainingError, match=r"step 8: the loss is not a number \(photometric.*total\).*checkpoint\.pt"):
        made.run()
    saved = Checkpoint.read(config.folder / "checkpoint.pt")
    assert saved.step == 6 and len(logged(config)) == 7
    assert all(torch.isfinite(value).all() for value in [*saved.network.values(), *made.network.state_dict().values()])
    resumed = trainer_of(replace(config, resume=True))
    resumed.run()
    assert resumed.done == 9


def test_a_gradient_that_is_no_number_changes_no_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root of 0 has the value 0 and an infinite slope."""
    config = tiny_config(tmp_path)
    made = trainer_of(config)

    def steep(*arguments: Any, **options: Any) -> LossTerms:
        terms = training_losses(*arguments, **options)
        return replace(terms, total=terms.total + (0 * made.network.stem.weight.sum()).sqrt())

    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    monkeypatch.setattr("ftim.training.trainer.training_losses", steep)
    with pytest.raises(TrainingError, match="step 1: the gradient is not a number"):
        made.run()
    assert same_state(made.network.state_dict(), before) and same_state(made.average, before)
    assert made.done == 0 and logged(config) == []


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def hidden_reason(*_: object, **__: object) -> None:
    raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")


@pytest.mark.parametrize(
    ("where", "failure"), [("torch.save", full), ("torch.save", hidden_reason), ("os.replace", full)]
)
def test_a_full_disk_leaves_the_last_checkpoint_whole(
    short: TinyConfig, tmp_path: Path, where: str, failure: Callable[..., None]
) -> None:
    """The disk fills up after the first checkpoint; room is made, and the run goes on as if nothing had been."""
    config = tiny_config(tmp_path, steps=8, checkpoint_every=3)
    with pytest.MonkeyPatch.context() as disk:

        def fill(batch: Batch) -> Batch:
            disk.setattr(where, failure)
            return batch

        with pytest.raises(OutputError, match=r"checkpoint\.pt cannot be written.*Make room"):
            trainer_of(config, at(5, fill)).run()
    assert Checkpoint.read(config.folder / "checkpoint.pt").step == 3
    assert not list(config.folder.glob(".*"))
    trainer_of(replace(config, resume=True)).run()
    assert logged(config) == logged(short)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_met_by_the_log_leaves_the_last_checkpoint_whole(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, checkpoint_every=3)

    def fill(batch: Batch) -> Batch:
        (config.folder / "log.csv").unlink()
        (config.folder / "log.csv").symlink_to("/dev/full")
        return batch

    with pytest.raises(OutputError, match=r"log\.csv cannot be written: No space left"):
        trainer_of(config, at(4, fill)).run()
    assert Checkpoint.read(config.folder / "checkpoint.pt").step == 3


def test_other_settings_are_not_resumed(whole: tuple[TinyConfig, Trainer], tmp_path: Path) -> None:
    config, _ = whole
    changed = replace(config, resume=True, seed=1, structure=0.5)
    with pytest.raises(TrainingError, match=r"run with other settings \(seed, structure\): resume with the same"):
        trainer_of(changed)
    moved = replace(config, resume=True, checkpoint_every=7, preview_minutes=1.0)
    assert trainer_of(moved).done == STEPS
    with pytest.raises(TrainingError, match="there is no checkpoint"):
        trainer_of(replace(config, resume=True, output=tmp_path))


def test_a_corrupt_checkpoint_is_not_resumed(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=1)
    trainer_of(config).run()
    path = config.folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100])
    rows = logged(config)
    with pytest.raises(TrainingError, match=r"checkpoint\.pt cannot be read"):
        trainer_of(replace(config, resume=True))
    assert logged(config) == rows


def test_a_starting_run_refuses_a_folder_that_has_one(whole: tuple[TinyConfig, Trainer]) -> None:
    config, _ = whole
    rows, content = logged(config), (config.folder / "checkpoint.pt").read_bytes()
    with pytest.raises(TrainingError, match="holds a run already: add --resume"):
        trainer_of(config)
    assert logged(config) == rows and (config.folder / "checkpoint.pt").read_bytes() == content


def test_a_stopped_run_is_a_csv_that_others_can_read(whole: tuple[TinyConfig, Trainer]) -> None:
    config, _ = whole
    with (config.folder / "log.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len({len(row) for row in rows}) == 1 and len(rows) == STEPS + 1
    assert all(float(row[-1]) > 0 for row in rows[1:])


def test_a_run_can_start_from_the_weights_of_another(tmp_path: Path) -> None:
    """The other network's weights are taken over; what this one has beyond them begins as it is."""
    other = TextureNetwork(replace(FORM.network, smooth=3))
    network = tiny_network(FORM, seed=4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    start_from(network, other.state_dict())
    for name, value in other.state_dict().items():
        found = network.state_dict()[name]
        assert torch.equal(found[: len(value)], value) and torch.equal(found[len(value) :], before[name][len(value) :])
    del other.parameters_to_latent
    with pytest.raises(TrainingError, match=r"parameters_to_latent.*missing"):
        start_from(network, other.state_dict())


def test_what_a_run_starts_from_is_part_of_its_record(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"weights")
    recorded = tiny_config(tmp_path, initial=path).recorded()
    assert recorded["initial"] == sha256_of(path) and "initial" not in tiny_config(tmp_path).recorded()
