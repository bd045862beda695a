"""DECA with its official weights on FLAME: needs licensed files, see docs/official.md."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.methods.base import Method, Source
from ftim.official import missing as missing_files
from ftim.official.deca import Deca
from ftim.pipeline import Pipeline
from ftim.structures import Face, Fit, PartialTexture, Rendering


@dataclass(frozen=True)
class DecaOfficial:
    """DECA's own head, fit and light, with detail."""

    deca: Deca
    name: str = "deca_official"
    source: Source = "official"

    def reconstruct(self, face: Face, fit: Fit, partial: PartialTexture) -> Rendering:
        """From the photograph alone: the fit and the partial texture are not used."""
        return self.deca.reconstruct(face)


def missing() -> list[str]:
    """The files without which ``build`` raises ``OfficialFilesMissingError``, each with its licence and home."""
    return [str(file) for file in missing_files("deca")]


def build(pipeline: Pipeline) -> Method:
    """From the files in FTIM_OFFICIAL. Raises ``OfficialFilesMissingError`` or ``OfficialLayoutError``."""
    return DecaOfficial(Deca.load(pipeline.rasterizer, device=pipeline.device))
