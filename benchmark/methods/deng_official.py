"""Deng et al. with their official weights on the Basel Face Model: needs licensed files, see docs/official.md."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.methods.base import Method, Source
from ftim.official import missing as missing_files
from ftim.official.deng import Deng
from ftim.pipeline import Pipeline
from ftim.structures import Face, Fit, PartialTexture, Rendering


@dataclass(frozen=True)
class DengOfficial:
    """Deng's own face model, fit and light."""

    deng: Deng
    name: str = "deng_official"
    source: Source = "official"

    def reconstruct(self, face: Face, fit: Fit, partial: PartialTexture) -> Rendering:
        """From the photograph alone: the fit and the partial texture are not used."""
        return self.deng.reconstruct(face)


def missing() -> list[str]:
    """The files without which ``build`` raises ``OfficialFilesMissingError``, each with its licence and home."""
    return [str(file) for file in missing_files("deng")]


def build(pipeline: Pipeline) -> Method:
    """From the files in FTIM_OFFICIAL. Raises ``OfficialFilesMissingError`` or ``OfficialLayoutError``."""
    return DengOfficial(Deng.load(pipeline.rasterizer, device=pipeline.device))
