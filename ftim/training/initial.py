"""What a run may start from: another run's checkpoint, or weights that ship."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ftim.completion.bands import BAND_RADII
from ftim.completion.weights import load_weights
from ftim.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class Initial:
    """Averaged weights, and how many steps they have behind them."""

    state: dict[str, Tensor]
    steps: int


def read_initial(path: Path) -> Initial:
    """Of a ``checkpoint.pt`` or of shipped ``.safetensors``, whose softening after training is taken back.

    Raises ``TrainingError`` or ``ModelFileError`` when the file is missing or cannot be read.
    """
    if path.suffix != ".safetensors":
        checkpoint = Checkpoint.read(path)
        about = path.with_name("config.json")
        earlier = json.loads(about.read_text(encoding="utf-8")).get("steps before", 0) if about.is_file() else 0
        return Initial(checkpoint.average, checkpoint.step + int(earlier))
    loaded = load_weights(path)
    training = loaded.training
    state = softened(loaded.network.state_dict(), -training.get("softened", 0.0), -training.get("softened seen", 0.0))
    return Initial(state, int(training["steps"]) + int(training.get("steps before", 0)))


def softened(state: dict[str, Tensor], amount: float, seen: float = 0.0) -> dict[str, Tensor]:
    """The weights with the gains of the bands of detail lowered, by their logits (docs/paper.md, S28 and S30).

    ``amount`` is for the bands behind seen skin, ``seen`` for those of seen skin, where a form has them; the gain
    between them is of no band. Negative amounts take an earlier softening back.
    """
    bias = state.get("to_gains.bias")
    if bias is None or not (amount or seen):
        return state
    less = bias.new_zeros(bias.shape)
    less[: len(BAND_RADII)] = amount
    less[len(BAND_RADII) + 1 :] = seen
    return state | {"to_gains.bias": bias - less}
