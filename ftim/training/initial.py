"""What a run may start from: another run's checkpoint, or weights that ship."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ftim.completion.weights import load_weights
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
        earlier = json.loads(about.read_text(encoding="utf-8")).get("steps before", 0) if about.is_file() else 0
        return Initial(checkpoint.average, checkpoint.step + int(earlier))
    loaded = load_weights(path)
    steps = int(loaded.training["steps"]) + int(loaded.training.get("steps before", 0))
    return Initial(dict(loaded.network.state_dict()), steps)
