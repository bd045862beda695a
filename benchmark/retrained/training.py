"""The loop: warm-up, then each stage of a baseline; stopped and resumed without a difference."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from benchmark.retrained.appearance import HeadPainter, Inputs
from benchmark.retrained.basis import BASIS_PATH, AlbedoBasis
from benchmark.retrained.build import build_baseline
from benchmark.retrained.config import WARM_UP, BaselineConfig
from benchmark.retrained.lessons import WarmPictures
from benchmark.retrained.model import Lesson
from benchmark.retrained.weights import load_baseline
from ftim.errors import TrainingError, TrainingStopped
from ftim.losses import LossNetworks
from ftim.metrics.facenet import face_embedding
from ftim.training.checkpoint import Checkpoint
from ftim.training.log import TrainingLog
from ftim.training.sampling import Sampler
from ftim.training.trainer import check_finite, interrupts, update_average

TERMS = (
    "warm-up", "photometric", "coarse", "proxies", "identity", "id_mrf", "symmetry", "constancy", "flattening",
    "smoothness", "regularisation", "light", "total",
)  # fmt: skip
"""Columns of the log, weighed; a baseline has some of them."""


@dataclass(frozen=True)
class School:
    """What does not change while a baseline learns."""

    basis: AlbedoBasis
    painter: HeadPainter
    networks: LossNetworks
    sampler: Sampler
    warm: WarmPictures | None
    """None where there is no warm-up."""
    basis_path: Path = BASIS_PATH


class BaselineTrainer:
    """One run, from its first step or its last checkpoint."""

    def __init__(self, config: BaselineConfig, school: School, quiet: bool = False) -> None:
        """Raises ``TrainingError`` when there is nothing to resume, or another run's folder in the way."""
        self.config = config
        self.school = school
        self.quiet = quiet
        self.checkpoint_path = config.folder / "checkpoint.pt"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = build_baseline(config.name, school.basis, school.painter)
        if config.initial is not None:
            self._start_from(config.initial)
        self.model.train()
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
        self.steps = sum(steps for _, steps in config.plan(self.model.stages))
        self.done = 0
        self.seconds = 0.0
        if config.resume:
            self._restore(Checkpoint.read(self.checkpoint_path))
        elif self.checkpoint_path.exists():
            raise TrainingError(
                f"{config.folder} holds a run already: add --resume to go on with it, move it away, or choose "
                "another --output"
            )
        self.log = TrainingLog(config.folder, self.done, terms=TERMS)

    def run(self) -> None:
        """All steps that are left. Raises ``TrainingStopped``, ``TrainingError`` and ``OutputError`` as FTIM's run."""
        config = self.config
        with (
            interrupts() as interrupted,
            tqdm(total=self.steps, initial=self.done, desc=config.name, unit="step", disable=self.quiet) as bar,
        ):
            while self.done < self.steps:
                total = self._step()
                bar.update()
                bar.set_postfix_str(f"loss {total:.3f}")
                if interrupted():
                    self.save()
                    raise TrainingStopped(
                        f"stopped after step {self.done} of {self.steps}; {self.checkpoint_path} is written: the same "
                        "command with --resume goes on from there"
                    )
                if self.done % config.checkpoint_every == 0 or self.done == self.steps:
                    self.save()

    def save(self) -> None:
        """Checkpoint and plot."""
        config = self.config
        Checkpoint(
            self.done, config.fingerprint(), config.recorded(), self.model.state_dict(), self.average,
            self.optimizer.state_dict(), self.seconds,
        ).write(self.checkpoint_path)  # fmt: skip
        self.log.draw()

    def _step(self) -> float:
        started = time.perf_counter()
        stage, within, steps = self.config.stage_at(self.done, self.model.stages)
        rate = self.config.rate(within, steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        terms = self._warm_terms() if stage == WARM_UP else self._terms(stage, within)
        learnt = list(self.model.parameters()) if stage == WARM_UP else self.model.learnt_in(stage)
        total = torch.stack(list(terms.values())).sum()
        values = {name: float(value.detach()) for name, value in terms.items()} | {"total": float(total.detach())}
        check_finite(values, "loss", self.done + 1, self.checkpoint_path)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        for parameter in set(self.model.parameters()) - set(learnt):
            parameter.grad = None
        gradient = float(torch.nn.utils.clip_grad_norm_(learnt, self.config.clip))
        check_finite({"gradient": gradient}, "gradient", self.done + 1, self.checkpoint_path)
        self.optimizer.step()
        self.done += 1
        update_average(self.average, self.model, self.done, self.config.ema)
        taken = time.perf_counter() - started
        self.seconds += taken
        self.log.add(self.done, values, gradient, rate, taken)
        return values["total"]

    def _warm_terms(self) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(1_000_003 * self.config.seed + self.done)
        assert self.school.warm is not None
        inputs, target = self.school.warm.draw(self.config.warm_batch, generator)
        return {"warm-up": self.model.warm_up(inputs, target)}

    def _terms(self, stage: str, within: int) -> dict[str, Tensor]:
        school = self.school
        batch = school.sampler(within)
        example = batch.example
        assert school.networks.facenet is not None
        with torch.no_grad():
            embedding = face_embedding(school.networks.facenet, example.photo)
        inputs = Inputs(replace(example, partial=batch.partial), embedding)
        lesson = Lesson(example, inputs, batch.perceptual, school.painter, school.networks)
        return self.model.losses(lesson, stage)

    def _start_from(self, path: Path) -> None:
        initial = load_baseline(path, self.school.painter, self.school.basis_path)
        if initial.model.name != self.config.name:
            raise TrainingError(f"{path} holds weights of {initial.model.name}, not of {self.config.name}")
        self.model.load_state_dict(initial.model.state_dict())

    def _restore(self, checkpoint: Checkpoint) -> None:
        if checkpoint.fingerprint != self.config.fingerprint():
            raise TrainingError(f"{self.checkpoint_path} is of a run with other settings: resume with the same ones")
        self.model.load_state_dict(checkpoint.network)
        for name, value in checkpoint.average.items():
            self.average[name].copy_(value)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.done, self.seconds = checkpoint.step, checkpoint.seconds
