"""Settings of a training run, and the runs that made the weights that ship."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ftim.assets import sha256_of
from ftim.build import RegressorName
from ftim.completion.settings import FULL, IMAGE_TO_IMAGE, PAPER, Settings, settings_to_json
from ftim.errors import SettingsError
from ftim.losses.weights import LossWeights
from ftim.training.cases import Source

Preset = Literal["ftim", "ftim_no_sym_mrf", "image_to_image", "ftim_paper", "ftim_divide", "ftim_keep_seen"]


@dataclass(frozen=True)
class TrainingConfig:
    """What a run learns, from what, and for how long. Everything but the last group decides the result."""

    preset: Preset = "ftim"
    """Form and losses: ftim, the rows of Table 2 (ftim_no_sym_mrf, image_to_image), or ftim as in the paper
    (ftim_paper) and steps from there to ours (ftim_divide, ftim_keep_seen)."""
    steps: int = 3600
    """Optimiser steps of three pictures each: one triplet, or three portraits."""
    seed: int = 0
    """Of initial weights, order and augmentation."""
    learning_rate: float = 5e-4
    """Adam's, at its highest; the paper's 1e-5 learns nothing visible in so few steps (docs/decisions.md, S15)."""
    warmup: int = 50
    """Steps over which the rate grows from 0; after that it falls as a cosine to a twentieth."""
    ema: float = 0.995
    """Decay of the moving average of the weights; the average is what ships."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    triplet_share: float = 0.65
    """Of steps that learn from a triplet; the others learn from portraits under the visibility of other poses."""
    hidden_front_share: float = 0.5
    """Of triplets whose front view too is completed from what another pose would show."""
    mirror_share: float = 0.5
    """Of steps whose photographs are mirrored."""
    perceptual_views: int = 1
    """Of each step's three pictures, drawn at random, that the identity and ID-MRF losses look at; their expected value
    is that of all three (eq. 2), at a third of the time."""
    one_sided_symmetry: bool = True
    """Eq. 3 only where the mirror image was not seen (docs/decisions.md, S10)."""
    structure: float = 0.8
    """Share of structural dissimilarity in the photometric loss; 0 leaves the mean absolute difference alone (S8)."""
    without_hair: bool = True
    """What looks like hair around the face counts in no loss, or dark hairlines are learnt (docs/decisions.md, S28)."""
    sources: tuple[Source, ...] = ("frll", "webmorph", "official")
    """Photographs; frll has triplets, folder has those of --triplets; official are portraits of the US Congress."""
    regressor: RegressorName = "landmarks"
    """What fits the head: landmarks, or deca (the paper's), for which you need DECA's files: docs/official.md."""
    bfloat16: bool = True
    """Convolutions in bfloat16 (autocast); everything else in float32."""
    rendered_pictures: int = 0
    """Of each step, rendered heads that teach with the truth beside the step's photographs (--rendered); 0 is none."""

    initial: Path | None = field(default=None, metadata={"recorded": False})
    """Checkpoint of another run, or weights that ship, that this one starts from; recorded by its sha256."""
    data: Path | None = field(default=None, metadata={"recorded": False})
    """Folder with frll, webmorph and official_portraits; by default FTIM_DATA."""
    triplets: Path | None = field(default=None, metadata={"recorded": False})
    """Folder of triplets of your own, for the source folder: a folder for each person and moment, and in it left.jpg,
    front.jpg and right.jpg. In left the face turns to the picture's left."""
    rendered: Path | None = field(default=None, metadata={"recorded": False})
    """Folder of rendered heads: ftim data render."""
    output: Path = field(default=Path("runs/train"), metadata={"recorded": False})
    """Where the run's folder goes; it is named after the preset."""
    cache: Path = field(default=Path("runs/cache"), metadata={"recorded": False})
    """Where fits and partial textures are kept."""
    device: str = field(default="auto", metadata={"recorded": False})
    """auto takes a GPU where there is one."""
    resume: bool = field(default=False, metadata={"recorded": False})
    """Go on from the run's last checkpoint."""
    checkpoint_every: int = field(default=100, metadata={"recorded": False})
    """Steps."""
    preview_minutes: float = field(default=5.0, metadata={"recorded": False})
    """Between preview sheets."""
    tensorboard: bool = field(default=False, metadata={"recorded": False})
    """Write events for TensorBoard too, where it is installed."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.warmup < 0 or not 1 <= self.perceptual_views <= 3 or self.rendered_pictures < 0:
            raise SettingsError(
                "steps must be at least 1, warmup and rendered_pictures at least 0, perceptual_views 1 to 3"
            )
        for name in ("triplet_share", "hidden_front_share", "mirror_share", "ema", "structure"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} must lie in [0, 1], got {getattr(self, name)}")

    @property
    def form(self) -> Settings:
        """Of the module."""
        forms: dict[str, Settings] = {
            "image_to_image": IMAGE_TO_IMAGE,
            "ftim_paper": PAPER,
            "ftim_divide": dataclasses.replace(PAPER, lighting="divide"),
            "ftim_keep_seen": dataclasses.replace(PAPER, lighting="divide", keep_seen=True),
        }
        return forms.get(self.preset, FULL)

    @property
    def losses(self) -> LossWeights:
        """The paper's, but for the ablation without L_sym and L_mrf."""
        return LossWeights(symmetry=0, id_mrf=0) if self.preset == "ftim_no_sym_mrf" else LossWeights()

    @property
    def folder(self) -> Path:
        """Of this run."""
        return self.output / self.preset

    def recorded(self) -> dict[str, Any]:
        """What decides the result, as JSON values: settings, form and losses; no path."""
        own = {
            item.name: getattr(self, item.name)
            for item in dataclasses.fields(self)
            if item.metadata.get("recorded", True)
        }
        if self.initial is not None:
            own["initial"] = sha256_of(self.initial)
        full = own | {"form": settings_to_json(self.form), "losses": dataclasses.asdict(self.losses)}
        return json.loads(json.dumps(full))

    def fingerprint(self) -> str:
        """sha256 of ``recorded``: a checkpoint belongs to one."""
        return hashlib.sha256(json.dumps(self.recorded(), sort_keys=True).encode()).hexdigest()

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))
