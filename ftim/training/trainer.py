"""The loop: sample, step, average, log, save; stopped and resumed without a difference."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ftim.build import network_completion
from ftim.completion import FtimCompletion, PaintingCompletion
from ftim.completion.network import TextureNetwork
from ftim.errors import TrainingError, TrainingStopped
from ftim.losses import LossNetworks
from ftim.render.image import ImageRenderer
from ftim.training.checkpoint import Checkpoint
from ftim.training.config import TrainingConfig
from ftim.training.hair import HairFinder
from ftim.training.initial import read_initial
from ftim.training.log import TERMS, TRUTH_TERMS, TrainingLog, loss_values, truth_values
from ftim.training.preview import preview_sheet, write_sheet
from ftim.training.processes import any_of, gather_values, join_processes, sum_gradients
from ftim.training.rendered import RenderedLessons
from ftim.training.sampling import Sampler
from ftim.training.step import training_losses
from ftim.uv import UvRenderer


@dataclass(frozen=True)
class Stage:
    """What does not change while FTIM learns."""

    uv_renderer: UvRenderer
    image_renderer: ImageRenderer
    template: Tensor
    """(3, T, T) albedo at the side of the renderer."""
    networks: LossNetworks
    sampler: Sampler
    rendered: RenderedLessons | None = None
    """Heads that teach with the truth, beside the photographs."""


class Trainer:
    """One run, from its first step or its last checkpoint.

    The parts of a step, photographs and rendered heads, are shared among the processes of torchrun; the gradient is the
    sum of both, whoever worked on them. The first process writes the files.
    """

    def __init__(self, config: TrainingConfig, stage: Stage, quiet: bool = False) -> None:
        """Raises ``TrainingError`` when there is nothing to resume, or another run's folder in the way."""
        self.config = config
        self.stage = stage
        self.rank, self.count = join_processes()
        self.quiet = quiet or self.rank > 0
        self.folder = config.folder
        self.checkpoint_path = self.folder / "checkpoint.pt"
        device = stage.template.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = TextureNetwork(config.form.network)
        if config.initial is not None:
            start_from(self.network, read_initial(config.initial).state)
        self.network.to(device).to(memory_format=torch.channels_last)
        self.average = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
        self.done = 0
        self.seconds = 0.0
        if config.resume:
            self._restore(Checkpoint.read(self.checkpoint_path))
        elif self.checkpoint_path.exists():
            raise TrainingError(
                f"{self.folder} holds a run already: add --resume to go on with it, move it away, or choose "
                "another --output"
            )
        self.completion = self._completion(self.network)
        self.hair = HairFinder(stage.uv_renderer) if config.without_hair else None
        terms = TERMS if stage.rendered is None else (*TERMS, *TRUTH_TERMS)
        self.log = TrainingLog(self.folder, self.done, config.tensorboard, terms) if self.rank == 0 else None

    def run(self) -> None:
        """All steps that are left.

        Raises:
            TrainingStopped: Ctrl-C; the checkpoint holds the steps done.
            TrainingError: a loss or gradient that is no number; the last checkpoint is from before it.
            OutputError: full disk; the last checkpoint is whole.
        """
        config = self.config
        previewed = time.monotonic()
        with (
            interrupts() as interrupted,
            tqdm(total=config.steps, initial=self.done, desc=config.preset, unit="step", disable=self.quiet) as bar,
        ):
            while self.done < config.steps:
                values = self._step()
                bar.update()
                bar.set_postfix_str(f"loss {sum(values[name] for name in values if name.endswith('total')):.3f}")
                if interrupted() if self.count == 1 else any_of(interrupted()):
                    self.save()
                    raise TrainingStopped(
                        f"stopped after step {self.done} of {config.steps}; {self.checkpoint_path} is written: the "
                        "same command with --resume goes on from there"
                    )
                if self.done % config.checkpoint_every == 0 or self.done == config.steps:
                    self.save()
                if time.monotonic() - previewed > 60 * config.preview_minutes or self.done == config.steps:
                    self.preview()
                    previewed = time.monotonic()

    def save(self) -> None:
        """Checkpoint and plot, by the first process."""
        if self.log is None:
            return
        config = self.config
        Checkpoint(
            self.done, config.fingerprint(), config.recorded(), self.network.state_dict(), self.average,
            self.optimizer.state_dict(), self.seconds,
        ).write(self.checkpoint_path)  # fmt: skip
        self.log.draw()

    def averaged(self) -> FtimCompletion | PaintingCompletion:
        """The completion with the averaged weights, for use."""
        network = TextureNetwork(self.config.form.network).to(self.stage.template.device)
        network.load_state_dict(self.average)
        return self._completion(network.eval().requires_grad_(False))

    def preview(self) -> None:
        """A sheet of the first triplet, ``preview-<step>.jpg``, by the first process."""
        if self.rank > 0:
            return
        example = self.stage.sampler.triplets[0].unpack(self.stage.template.device)
        sheet = preview_sheet(example, self.averaged(), self.stage.image_renderer)
        write_sheet(sheet, self.folder / f"preview-{self.done:06d}.jpg")

    def _completion(self, network: TextureNetwork) -> FtimCompletion | PaintingCompletion:
        precision = torch.bfloat16 if self.config.bfloat16 else torch.float32
        stage = self.stage
        return network_completion("ftim", stage.uv_renderer, stage.template, network, self.config.form, precision)

    def _step(self) -> dict[str, float]:
        started = time.perf_counter()
        config, stage = self.config, self.stage
        rate = config.rate(self.done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        parts = [self._learn_from_photographs] + ([self._learn_from_truth] if stage.rendered is not None else [])
        values: dict[str, float] = {}
        for number, part in enumerate(parts):
            if number % self.count == self.rank:
                values |= part()
        if self.count > 1:
            sum_gradients(self.network)
            values = gather_values(values)
        check_finite(values, "loss", self.done + 1, self.checkpoint_path)
        gradient = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip))
        check_finite({"gradient": gradient}, "gradient", self.done + 1, self.checkpoint_path)
        self.optimizer.step()
        self.done += 1
        update_average(self.average, self.network, self.done, config.ema)
        taken = time.perf_counter() - started
        self.seconds += taken
        if self.log is not None:
            self.log.add(self.done, values, gradient, rate, taken)
        return values

    def _learn_from_photographs(self) -> dict[str, float]:
        """The gradient of this step's photographs is added; the losses."""
        config, stage = self.config, self.stage
        batch = stage.sampler(self.done)
        terms = training_losses(
            batch, self.completion, stage.image_renderer, stage.template, config.losses, stage.networks,
            one_sided_symmetry=config.one_sided_symmetry, structure=config.structure, bfloat16=config.bfloat16,
            hair=self.hair,
        )  # fmt: skip
        terms.total.backward()  # type: ignore[no-untyped-call]
        return loss_values(terms)

    def _learn_from_truth(self) -> dict[str, float]:
        """The gradient of this step's rendered heads is added; the losses."""
        assert self.stage.rendered is not None
        terms = self.stage.rendered.losses(self.done, self.completion)
        terms.total.backward()  # type: ignore[no-untyped-call]
        return truth_values(terms)

    def _restore(self, checkpoint: Checkpoint) -> None:
        if checkpoint.fingerprint != self.config.fingerprint():
            ours, theirs = self.config.recorded(), checkpoint.recorded
            changed = [name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)]
            raise TrainingError(
                f"{self.checkpoint_path} is of a run with other settings ({', '.join(sorted(changed))}): resume with "
                "the same ones"
            )
        self.network.load_state_dict(checkpoint.network)
        for name, value in checkpoint.average.items():
            self.average[name].copy_(value)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.done, self.seconds = checkpoint.step, checkpoint.seconds


@torch.no_grad()
def update_average(average: dict[str, Tensor], network: nn.Module, done: int, ema: float) -> None:
    """Move the averaged weights towards the network's, in place, after ``done`` steps; ``ema`` is the decay."""
    # Early on the mean of all weights so far, or the first random ones would linger.
    decay = min(ema, done / (done + 10))
    for name, value in network.state_dict().items():
        average[name].lerp_(value, 1 - decay)


def check_finite(values: dict[str, float], what: str, step: int, checkpoint: Path) -> None:
    """Raises ``TrainingError`` when a value of a step, counted from 1, is no number."""
    wrong = [name for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        raise TrainingError(
            f"step {step}: the {what} is not a number ({', '.join(wrong)}). Nothing of this step was kept; the last "
            f"checkpoint is that of {checkpoint}. Try a lower --learning-rate"
        )


def start_from(network: TextureNetwork, state: Mapping[str, Tensor]) -> None:
    """Take over the weights of another run. Its outputs may be fewer: the further ones begin as they are.

    The last gain of networks without the field at a quarter had another meaning and begins anew with that field.
    Raises ``TrainingError`` when they are of another network.
    """
    own = network.state_dict()
    for name, value in own.items():
        other = state.get(name)
        if other is None and name.startswith("to_quarter."):
            own["to_gains" + name.removeprefix("to_quarter")][-1].zero_()
            continue
        if other is None or other.shape[1:] != value.shape[1:] or len(other) > len(value):
            raise TrainingError(f"the initial weights are of another network: {name} is missing or of another shape")
        value[: len(other)] = other.to(value)


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed in the block: the step at hand is finished first. A second one ends it at once."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    before = signal.getsignal(signal.SIGINT)

    def press(*_: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
