"""Shared libraries of the operating system that MediaPipe and OpenCV load, and which Debian package has each.

The wheels of both bring all but these few. A container or a server without a desktop lacks them, and the
import error then names a file, not what to install. This module needs only the standard library: ``make``
runs it with the system's Python, before any package is there, as ``python3 -m ftim.system``.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ftim.errors import SystemLibraryError


@dataclass(frozen=True)
class SystemLibrary:
    """A shared library, the Debian package that has it, and the Python package that loads it."""

    soname: str
    """File name as the dynamic linker knows it."""
    package: str
    """Debian and Ubuntu package."""
    needed_by: str
    """Python package whose import or first use fails without it."""


LIBRARIES: tuple[SystemLibrary, ...] = (
    SystemLibrary("libEGL.so.1", "libegl1", "mediapipe"),
    SystemLibrary("libGLESv2.so.2", "libgles2", "mediapipe"),
    SystemLibrary("libGL.so.1", "libgl1", "opencv-contrib-python"),
    SystemLibrary("libgthread-2.0.so.0", "libglib2.0-0", "opencv-contrib-python"),
    SystemLibrary("libxcb.so.1", "libxcb1", "opencv-contrib-python"),
    SystemLibrary("libstdc++.so.6", "libstdc++6", "torch"),
)
"""What the Linux wheels of requirements.txt load and do not bring, as ``readelf -d`` lists it, less the C library."""


def missing_libraries(libraries: Sequence[SystemLibrary] = LIBRARIES) -> tuple[SystemLibrary, ...]:
    """Those of ``libraries`` that the dynamic linker cannot load; none anywhere but on Linux."""
    if not sys.platform.startswith("linux"):
        return ()
    return tuple(library for library in libraries if not _loads(library.soname))


def require_libraries(libraries: Sequence[SystemLibrary] = LIBRARIES) -> None:
    """Raise ``SystemLibraryError`` with the Debian command when one of ``libraries`` is missing."""
    missing = missing_libraries(libraries)
    if missing:
        raise SystemLibraryError(_message(missing))


def debian_packages(libraries: Sequence[SystemLibrary]) -> list[str]:
    """The Debian packages that have these libraries, each once, in order."""
    return list(dict.fromkeys(library.package for library in libraries))


def install_libraries(libraries: Sequence[SystemLibrary]) -> None:
    """Install the Debian packages of ``libraries`` with apt-get; needs root.

    Raises ``SystemLibraryError`` when apt-get fails or the libraries still do not load afterwards.
    """
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        [*apt, "update"],
        [*apt, "install", "--yes", "--no-install-recommends", *debian_packages(libraries)],
    ):
        try:
            subprocess.run(command, env=environment, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemLibraryError(f"{_message(libraries)}\nTried as root, and it failed: {error}") from error
    require_libraries(libraries)


@contextlib.contextmanager
def native_stderr_hidden() -> Iterator[None]:
    """Drop what C and C++ code writes to the error stream: MediaPipe and Warp print there what no setting turns off."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # the process has no error stream
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check; with ``--install`` also install what is missing, if root on Debian. 0 when nothing is missing."""
    parser = argparse.ArgumentParser(prog="python3 -m ftim.system", description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="install what is missing, if root and apt-get exists")
    options = parser.parse_args(arguments)
    missing = missing_libraries()
    if not missing:
        return 0
    try:
        if not (options.install and _may_install()):
            raise SystemLibraryError(_message(missing))
        print(
            f"{_summary(missing)}\nInstalling the Debian packages {' '.join(debian_packages(missing))} ...", flush=True
        )
        install_libraries(missing)
    except SystemLibraryError as error:
        print(error, file=sys.stderr)
        return 1
    print("System libraries are complete.")
    return 0


def _loads(soname: str) -> bool:
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _summary(missing: Sequence[SystemLibrary]) -> str:
    names = ", ".join(f"{library.soname} (for {library.needed_by})" for library in missing)
    return f"Missing libraries of the operating system: {names}."


def _message(missing: Sequence[SystemLibrary]) -> str:
    packages = " ".join(debian_packages(missing))
    prefix = "" if os.geteuid() == 0 else "sudo "
    return (
        f"{_summary(missing)}\n"
        f"On Debian or Ubuntu: {prefix}apt-get update && {prefix}apt-get install --yes {packages}\n"
        "On another Linux: install the packages that have these files, then run the same command again."
    )


if __name__ == "__main__":
    sys.exit(main())
