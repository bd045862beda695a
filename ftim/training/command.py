"""The command ``ftim train``."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import arg

from ftim.training.config import TrainingConfig


def train(config: Annotated[TrainingConfig, arg(name="")]) -> None:
    """Train FTIM on triplets: the networks that ship, the ablations of Table 2, or the paper's own form.

    Ctrl-C finishes the step and writes the checkpoint; --resume goes on from it, to the same losses.
    """
    from ftim.training.run import train as run_training

    trainer = run_training(config)
    print(f"{trainer.done} steps in {trainer.seconds / 60:.1f} minutes; see {trainer.folder}")
