"""The command ``ftim train``."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import arg

from ftim.training.config import TrainingConfig


def train(config: Annotated[TrainingConfig, arg(name="")]) -> None:
    """Train with these settings; ``ftim.cli.TRAINING`` says what a user reads of it."""
    from ftim.training.run import train as run_training

    trainer = run_training(config)
    print(f"{trainer.done} steps in {trainer.seconds / 60:.1f} minutes; see {trainer.folder}")
