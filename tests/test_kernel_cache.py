"""A home or cache that is missing, or where nothing can be written: kernels are compiled all the same."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ftim.assets import cache_folder
from ftim.errors import AssetStorageError, KernelCacheError
from ftim.render import warp_runtime
from ftim.repository import repository

DRAW = """
import sys, torch, warp
from ftim.render.rasterizer import default_rasterizer
corners = torch.tensor([[[0.0, 0.0, 1.0], [8.0, 0.0, 1.0], [0.0, 8.0, 1.0]]])
assert bool((default_rasterizer()(corners, torch.tensor([[0, 1, 2]]), 8, 8).face == 0).any())
print(warp.config.kernel_cache_dir)
"""


def draw(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DRAW], env=environment, cwd=repository(), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("home", ["file", "file/below"])
def test_a_home_that_cannot_be_written_costs_a_compilation_and_nothing_else(home: str, tmp_path: Path) -> None:
    """The temporary folder of the process takes the kernels and goes with it."""
    (tmp_path / "file").write_text("")
    (tmp_path / "temporary").mkdir()
    done = draw({"HOME": str(tmp_path / home), "TMPDIR": str(tmp_path / "temporary"), "PATH": ""})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "temporary" / "ftim-warp-"))
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "temporary").glob("ftim-warp-*")), "nothing is left behind"


def test_a_cache_that_can_be_written_is_used(tmp_path: Path) -> None:
    done = draw({"HOME": str(tmp_path / "home"), "PATH": ""})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "home" / ".cache" / "warp"))


def test_without_any_folder_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(module: str, device: str) -> None:
        raise OSError(28, "No space left on device")

    def nowhere(prefix: str) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(warp_runtime, "_compile", full)
    monkeypatch.setattr(tempfile, "mkdtemp", nowhere)
    with pytest.raises(KernelCacheError, match=r"No space left on device\. Make room, or set WARP_CACHE_PATH"):
        warp_runtime._load("ftim.render.warp_rasterizer", "cpu")


def test_a_user_without_a_home_is_told_which_variable_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("FTIM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(AssetStorageError, match="set FTIM_CACHE"):
        cache_folder()
