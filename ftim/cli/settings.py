"""What decides a result of ``ftim reconstruct``, and the key that tells whether it is finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ftim.assets import sha256_of
from ftim.completion.weights import SHIPPED, weights_path
from ftim.errors import SettingsError
from ftim.morphable.open_head import OPEN_HEAD_PATH
from ftim.morphable.template import TEMPLATE_PATH
from ftim.overlay import Cover
from ftim.provenance import code_sha256
from ftim.reconstruction import FORMATS, Format
from ftim.tone_network import TONE_PATH


@dataclass(frozen=True)
class Settings:
    """What decides a result, besides the photograph."""

    texture_size: Literal[256, 512, 1024] = 512
    face: str = "largest"
    formats: tuple[Format, ...] = FORMATS
    completion: str = "ftim"
    cover: Cover = "skin"
    scores: bool = False

    def __post_init__(self) -> None:
        if self.face not in ("largest", "all") and not self.face.isdecimal():
            raise SettingsError(f"face must be largest, all, or a number from 0, got {self.face!r}")
        if unknown := [name for name in self.formats if name not in FORMATS]:
            raise SettingsError(f"there is no format {', '.join(unknown)}; there are {', '.join(FORMATS)}")

    def key(self, photo: Path, made_with: Mapping[str, str]) -> str:
        """sha256 of settings, photograph and ``made_with``: a finished folder belongs to one."""
        text = json.dumps([asdict(self), dict(made_with), sha256_of(photo)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def made_with(completion: str) -> dict[str, str]:
    """sha256 of all that makes a result, besides photograph and settings: code, head, template, and the weights of a
    completion that has such."""
    files = {"head": OPEN_HEAD_PATH, "template": TEMPLATE_PATH, "tone": TONE_PATH}
    if completion in SHIPPED:
        files["weights"] = weights_path(completion)
    return {"code": code_sha256()} | {name: sha256_of(path) for name, path in files.items()}
