"""The methods of Feng et al. (DECA) and Deng et al. with their official, licensed files; see docs/official.md."""

from __future__ import annotations

from ftim.official.files import OfficialFile, OfficialMethod, missing, official_folder

__all__ = ["OfficialFile", "OfficialMethod", "missing", "official_folder"]
