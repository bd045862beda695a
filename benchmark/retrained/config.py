"""Settings of a baseline's training."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ftim.assets import sha256_of
from ftim.errors import SettingsError
from ftim.training.cases import Source

BaselineName = Literal["deca", "deng", "chen", "tran"]
WARM_UP = "warm-up"


@dataclass(frozen=True)
class BaselineConfig:
    """What is learnt, from what, and for how long. Everything but the last group decides the result."""

    name: BaselineName
    """The method."""
    steps: int = 1200
    """Optimiser steps of three pictures in the first stage; as many as FTIM's."""
    detail_steps: int = 600
    """The same in a second stage, where a method has one."""
    warm_steps: int = 600
    """Steps before that, without drawing: the albedo is drawn to that of FTIM's completed training textures."""
    warm_batch: int = 12
    """Pictures of such a step."""
    seed: int = 0
    """Of initial weights, order and augmentation."""
    learning_rate: float = 4e-4
    """Adam's, at its highest; in each stage it grows from 0 and falls as a cosine to a twentieth."""
    rising: int = 50
    """Steps over which it grows."""
    ema: float = 0.99
    """Decay of the moving average of the weights; the average is what ships."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    sources: tuple[Source, ...] = ("frll", "webmorph", "official")
    """Photographs; those of FTIM."""

    initial: Path | None = field(default=None, metadata={"recorded": False})
    """Weights that ship, of the same method, that this run starts from; recorded by their sha256."""
    data: Path | None = field(default=None, metadata={"recorded": False})
    """Folder with frll, webmorph and official_portraits; by default FTIM_DATA."""
    output: Path = field(default=Path("runs/baselines"), metadata={"recorded": False})
    """Where the run's folder goes; it is named after the method."""
    cache: Path = field(default=Path("runs/cache"), metadata={"recorded": False})
    """Where fits and partial textures are kept."""
    resume: bool = field(default=False, metadata={"recorded": False})
    """Go on from the run's last checkpoint."""
    checkpoint_every: int = field(default=200, metadata={"recorded": False})
    """Steps."""

    def __post_init__(self) -> None:
        if self.warm_batch < 1 or min(self.steps, self.detail_steps, self.warm_steps, self.rising) < 0:
            raise SettingsError("warm_batch must be at least 1; steps, detail_steps, warm_steps, rising at least 0")
        if not self.steps and self.initial is None:
            raise SettingsError("without --initial there must be steps")
        if not 0 <= self.ema <= 1:
            raise SettingsError(f"ema must lie in [0, 1], got {self.ema}")

    @property
    def folder(self) -> Path:
        """Of this run."""
        return self.output / self.name

    def recorded(self) -> dict[str, Any]:
        """What decides the result, as JSON values; no path."""
        own = {
            item.name: getattr(self, item.name)
            for item in dataclasses.fields(self)
            if item.metadata.get("recorded", True)
        }
        if self.initial is not None:
            own["initial"] = sha256_of(self.initial)
        return json.loads(json.dumps(own))

    def fingerprint(self) -> str:
        """sha256 of ``recorded``: a checkpoint belongs to one."""
        return hashlib.sha256(json.dumps(self.recorded(), sort_keys=True).encode()).hexdigest()

    def plan(self, stages: tuple[str, ...]) -> list[tuple[str, int]]:
        """Stages with their steps, in order; the warm-up is the first."""
        later = [(stage, self.detail_steps) for stage in stages[1:]]
        return [(WARM_UP, self.warm_steps), (stages[0], self.steps), *later]

    def stage_at(self, step: int, stages: tuple[str, ...]) -> tuple[str, int, int]:
        """The stage of a step counted from 0 over the whole run, the step within it, and how many it has."""
        for stage, steps in self.plan(stages):
            if step < steps:
                return stage, step, steps
            step -= steps
        raise IndexError("the run has no such step")

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of a step within its stage."""
        if step < self.rising:
            return self.learning_rate * (step + 1) / self.rising
        done = (step - self.rising) / max(1, steps - self.rising)
        return self.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))
