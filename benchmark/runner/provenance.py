"""Where a number came from: code, packages, machine, files."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ftim.assets import ASSETS, sha256_of
from ftim.metrics.dlib_face import ASSET as DLIB_ASSET

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = (
    "torch", "torchvision", "numpy", "scipy", "pillow", "opencv-contrib-python", "mediapipe", "warp-lang", "lpips",
    "piq", "facenet-pytorch",
)  # fmt: skip
"""Those that a score can depend on."""

USED_ASSETS = ("face_landmarker.task", "graph_final.pb", "alexnet.ckpt")

WITHOUT_SCORES = (
    "config.py", "forms.py", "run.py", "speed.py", "tables", "timing", "retrained/train.py", "runner/pictures.py",
)  # fmt: skip
"""Files and folders of the benchmark that no score depends on."""


def provenance(device: torch.device, dlib: bool = False) -> dict[str, Any]:
    """Everything but the photographs, as JSON values; no path and no name of this machine or its user.

    ``dlib`` says that dlib distances were measured.
    """
    packages = (*PACKAGES, "dlib-bin") if dlib else PACKAGES
    assets = (*USED_ASSETS, DLIB_ASSET) if dlib else USED_ASSETS
    return {
        "commit": commit(),
        "code": code_hash(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "packages": {name: _version(name) for name in packages},
        "assets": {name: ASSETS[name].sha256 for name in assets} | shipped_files(),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _version(package: str) -> str:
    """``unknown`` for one that was installed under another name."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def commit() -> str:
    """The commit of this checkout; with "+" when the code in it was changed; "unknown" outside a repository."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "ftim", "benchmark")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def device_name(device: torch.device) -> str:
    """The kind of processor or GPU."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return f"cpu: {next(names, platform.processor() or platform.machine())}"


def shipped_files() -> dict[str, str]:
    """sha256 of the data files of the project: the head, its template albedo, FTIM's and the baselines' weights."""
    return {path.name: sha256_of(path) for path in shipped_paths()}


def shipped_paths() -> list[Path]:
    """The files of ``shipped_files``."""
    head = [path for path in (ROOT / "ftim" / "morphable" / "data").glob("*.*") if path.is_file()]
    folders = (ROOT / "ftim" / "completion" / "data", ROOT / "benchmark" / "retrained" / "data")
    weights = [path for folder in folders for path in folder.glob("*.safetensors")]
    return sorted([*head, *weights])


IDENTITY_METRIC = "identity_metric.safetensors"
"""Only tells people apart: no score depends on it."""


def weights_of(method: str) -> dict[str, str]:
    """sha256 of the shipped files that a method's numbers depend on: the head with its template, and its weights.

    The retrained baselines draw with the albedo basis besides. A method without weights here needs the head alone.
    """
    head, baselines = ROOT / "ftim" / "morphable" / "data", ROOT / "benchmark" / "retrained" / "data"
    own = [path for path in shipped_paths() if path.name == f"{method}.safetensors"]
    basis = [baselines / "albedo_basis.safetensors"] if any(path.parent == baselines for path in own) else []
    heads = [path for path in shipped_paths() if path.parent == head and path.name != IDENTITY_METRIC]
    chosen = [*own, *basis, *heads]
    return {path.name: sha256_of(path) for path in chosen}


def data_hash(paths: Iterable[Path]) -> str:
    """One sha256 for a set of files: that of their own sha256 in hexadecimal, sorted, one a line."""
    digests = sorted(sha256_of(path) for path in paths)
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def code_hash() -> str:
    """One sha256 for the code that scores depend on, with the shipped data; ``WITHOUT_SCORES`` is left out.

    Raises ``FileNotFoundError`` for a name there that is none: a renamed module must not come in unseen.
    """
    left_out = [ROOT / "benchmark" / name for name in WITHOUT_SCORES]
    for path in left_out:
        if not path.exists():
            raise FileNotFoundError(f"the benchmark has no {path.relative_to(ROOT / 'benchmark')}")
    files = [path for folder in ("ftim", "benchmark") for path in (ROOT / folder).rglob("*.py")]
    chosen = [path for path in files if not any(path.is_relative_to(other) for other in left_out)]
    return data_hash([*chosen, *shipped_paths()])
