"""DECA with its official weights on FLAME: needs licensed files, see docs/official.md."""

from __future__ import annotations

from benchmark.methods.base import Method, OwnHeadMethod
from ftim.official import missing as missing_files
from ftim.official.deca import Deca
from ftim.pipeline import Pipeline


def missing() -> list[str]:
    """The files without which ``build`` raises ``OfficialFilesMissingError``, each with its licence and home."""
    return [str(file) for file in missing_files("deca")]


def build(pipeline: Pipeline) -> Method:
    """From the files in FTIM_OFFICIAL. Raises ``OfficialFilesMissingError`` or ``OfficialLayoutError``."""
    return OwnHeadMethod("deca_official", Deca.load(pipeline.rasterizer, device=pipeline.device))
