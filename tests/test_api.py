"""The package from outside: what importing it costs, what it offers, its types, and its errors."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

import ftim
from ftim.errors import MissingPackageError
from ftim.extras import import_extra
from ftim.small_faces import SmallFaces

PROGRAM = """
from pathlib import Path

import numpy as np

import ftim


def heads(photos: list[Path], folder: Path) -> dict[str, float]:
    pipeline = ftim.Pipeline.build(texture_size=256)
    confidences: dict[str, float] = {}
    for path, result in zip(photos, pipeline.reconstruct_many(photos), strict=True):
        if isinstance(result, ftim.FtimError):
            print(path, result)
            continue
        result.save(folder / path.stem, ("glb", "json"))
        confidences[path.stem] = result.confidence
    return confidences


def one(photo: bytes) -> np.ndarray:
    faces: list[ftim.FoundFace] = ftim.detect(photo)
    result: ftim.Reconstruction = ftim.reconstruct(photo, completion=ftim.COMPLETIONS[0], face=len(faces) - 1)
    head: ftim.Head = result
    try:
        return head.render(yaw=30.0, light=(60.0, 20.0), expression={"jawOpen": 0.5}, background=(1.0, 1.0, 1.0))
    except ftim.SettingsError as error:
        raise SystemExit(str(error)) from error
"""


def test_importing_brings_nothing_along() -> None:
    code = "import sys, ftim; print(sorted({'torch', 'numpy', 'PIL', 'cv2', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_brings_no_package_of_the_extras_along() -> None:
    """Each takes a second or more, and may not be there."""
    code = (
        "import sys, ftim.cli, ftim.cli.files, ftim.metrics, ftim.training.run; "
        "print(sorted({'torchvision', 'facenet_pytorch', 'piq', 'lpips', 'pandas', 'matplotlib', 'seaborn', 'gradio'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_names_are_there() -> None:
    for name in ftim.__all__:
        assert getattr(ftim, name) is not None and name in dir(ftim)
    with pytest.raises(AttributeError, match="no attribute 'reconstrcut'"):
        _ = ftim.reconstrcut  # type: ignore[attr-defined]
    assert "ftim" in ftim.COMPLETIONS


def test_strict_types_of_the_public_api(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    root = Path(ftim.__path__[0]).parents[0]
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stdout
    assert (Path(ftim.__path__[0]) / "py.typed").is_file()


def test_a_package_that_is_not_there_is_named_with_its_extra() -> None:
    with pytest.raises(MissingPackageError, match=r'package nosuch is not installed.*pip install "ftim\[train\]"'):
        import_extra("nosuch.part", "train")


def test_without_facenet_small_faces_are_not_found_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import numpy as np

    monkeypatch.setattr("ftim.small_faces.importlib.util.find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        finder = SmallFaces()
        photo = np.zeros((64, 64, 3), np.uint8)
        assert finder(photo) == [] == finder(photo) and not finder.available
    assert len(caplog.records) == 1 and 'pip install "ftim[faces]"' in caplog.text
