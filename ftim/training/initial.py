"""What a run may start from: another run's checkpoint, or weights that ship."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ftim.completion.weights import load_weights
from ftim.errors import TrainingError
from ftim.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class Initial:
    """Averaged weights, and how many steps they have behind them."""

    state: dict[str, Tensor]
    steps: int


def read_initial(path: Path) -> Initial:
    """Of a ``checkpoint.pt`` or of shipped ``.safetensors``.

    Raises ``TrainingError`` or ``ModelFileError`` when the file is missing or cannot be read.
    """
    if path.suffix != ".safetensors":
        checkpoint = Checkpoint.read(path)
        about = path.with_name("config.json")
        return Initial(checkpoint.average, checkpoint.step + _steps_before(about))
    loaded = load_weights(path)
    steps = int(loaded.training["steps"]) + int(loaded.training.get("steps before", 0))
    return Initial(dict(loaded.network.state_dict()), steps)


def _steps_before(about: Path) -> int:
    """Of the runs that a run began from, by its configuration; 0 without one. Raises ``TrainingError``."""
    if not about.is_file():
        return 0
    try:
        steps = json.loads(about.read_text(encoding="utf-8")).get("steps before", 0)
    except (OSError, ValueError, RecursionError, AttributeError) as error:
        raise TrainingError(
            f"{about} is no configuration of a run: {error}. Delete it, or start from weights"
        ) from error
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise TrainingError(f"{about} speaks of {str(steps)[:40]!r} steps before. Delete it")
    return steps
