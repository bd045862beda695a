"""The licensed files of DECA and Deng: which there are, who licenses them, and whether they are there.

They lie side by side, under their official names, in one folder: an argument, or the environment variable
FTIM_OFFICIAL. ftim neither holds nor fetches them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftim.errors import OfficialFilesMissingError

VARIABLE = "FTIM_OFFICIAL"
OfficialMethod = Literal["deca", "deng", "deca-regressor"]


@dataclass(frozen=True)
class OfficialFile:
    """One thing that is needed."""

    names: tuple[str, ...]
    """Official file names, best first; any one of them will do."""
    purpose: str
    licence: str
    home: str
    """The project that licenses it."""

    def __str__(self) -> str:
        return f"{' or '.join(self.names)}: {self.purpose}; licence: {self.licence}; from {self.home}"


_BY_REGISTRATION = "non-commercial research, by registration"
_DECA_HOME = "https://deca.is.tue.mpg.de"
_DECA_CODE = "the folder data of https://github.com/yfeng95/DECA"

DECA_MODEL = OfficialFile(("deca_model.tar",), "DECA's networks", _BY_REGISTRATION, _DECA_HOME)
FLAME_MODEL = OfficialFile(
    ("generic_model.pkl",), "the FLAME head, release 2020", _BY_REGISTRATION, "https://flame.is.tue.mpg.de"
)
FLAME_TEXTURE = OfficialFile(
    ("FLAME_albedo_from_BFM.npz", "FLAME_texture.npz"),
    "FLAME's texture space; DECA's weights were trained with the first one",
    "non-commercial research, by registration (Basel Face Model or FLAME)",
    "https://github.com/TimoBolkart/BFM_to_FLAME or https://flame.is.tue.mpg.de",
)
FLAME_UV = OfficialFile(("head_template.obj", "FLAME_texture.npz"), "FLAME's UV", _BY_REGISTRATION, _DECA_CODE)
UV_MASK = OfficialFile(("uv_face_eye_mask.png",), "where DECA has detail", _BY_REGISTRATION, _DECA_CODE)
FIXED_DISPLACEMENT = OfficialFile(
    ("fixed_displacement_256.npy",), "DECA's constant displacement of the UV seams", _BY_REGISTRATION, _DECA_CODE
)
DENG_MODEL = OfficialFile(
    ("epoch_20.pth",), "Deng's network", "MIT (code)", "https://github.com/sicxu/Deep3DFaceRecon_pytorch"
)
BFM_FRONT = OfficialFile(
    ("BFM_model_front.mat",),
    "the Basel Face Model 2009 with expressions, cut to the face",
    _BY_REGISTRATION,
    "https://faces.dmi.unibas.ch, made from it as https://github.com/sicxu/Deep3DFaceRecon_pytorch says",
)

REQUIRED: dict[OfficialMethod, tuple[OfficialFile, ...]] = {
    "deca": (DECA_MODEL, FLAME_MODEL, FLAME_TEXTURE, FLAME_UV, UV_MASK, FIXED_DISPLACEMENT),
    "deng": (DENG_MODEL, BFM_FRONT),
    "deca-regressor": (DECA_MODEL, FLAME_MODEL),
}
"""What each use needs."""


def missing(method: OfficialMethod, folder: str | os.PathLike[str] | None = None) -> list[OfficialFile]:
    """The files that a method still needs; empty when it can run. ``folder`` defaults to FTIM_OFFICIAL.

    Only presence is looked at: a wrong file is refused when it is loaded.
    """
    place = official_folder(folder)
    return [file for file in REQUIRED[method] if _find(file, place) is None]


def require(method: OfficialMethod, folder: str | os.PathLike[str] | None = None) -> dict[OfficialFile, Path]:
    """Where the files of a method lie. Raises ``OfficialFilesMissingError``, which lists every missing one."""
    place = official_folder(folder)
    found = {file: _find(file, place) for file in REQUIRED[method]}
    absent = [file for file, path in found.items() if path is None]
    if absent:
        where = f"into {place}" if place else f"into one folder and set {VARIABLE} to it"
        lines = "".join(f"\n  {file}" for file in absent)
        raise OfficialFilesMissingError(
            f"{method} needs {len(absent)} file(s) that you must be licensed for. Put them {where}:{lines}"
        )
    return {file: path for file, path in found.items() if path is not None}


def official_folder(folder: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder given, else the one in FTIM_OFFICIAL, else None."""
    chosen = folder or os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else None


def _find(file: OfficialFile, folder: Path | None) -> Path | None:
    paths = [folder / name for name in file.names] if folder else []
    return next((path for path in paths if path.is_file()), None)
