"""The command line, ``ftim <command>``: each command is one function, its arguments are made from its signature."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg
from tyro.extras import SubcommandApp

from ftim import __version__
from ftim.cli.data import run_data
from ftim.cli.shell_completion import Shell, completion_script
from ftim.errors import FtimError, PhotosFailedError, SettingsError, TrainingStopped
from ftim.repository import PROGRAMS, run_program

DESCRIPTION = "A complete facial texture and a textured 3D head from one photograph."

TRAINING = """Train FTIM on triplets: the networks that ship, the ablations of Table 2, or the paper's own form.

Ctrl-C finishes the step and writes the checkpoint; --resume goes on from it, to the same losses."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def assets(
    fetch: tuple[str, ...] = (),
    folder: Annotated[Path | None, arg(metavar="FOLDER")] = None,
    offline: bool = False,
) -> None:
    """List the files that ftim needs and that are not code: licence, size, whether and where they are present.

    Args:
        fetch: Names of files to fetch first; "all" for every one that is not optional.
        folder: A folder of your own that is looked into before the cache (default: the variable FTIM_ASSETS).
        offline: Do not use the network (default: the variable FTIM_OFFLINE).
    """
    from ftim.assets import ASSETS, AssetStore, find_asset
    from ftim.assets.listing import list_assets

    store = AssetStore.from_environment(folder, offline or None)
    names = [name for name, asset in ASSETS.items() if not asset.optional] if fetch == ("all",) else list(fetch)
    for asset in [find_asset(name) for name in names]:
        store.path(asset)
    print(list_assets(store))


def reconstruct(
    inputs: Annotated[tuple[str, ...], Positional, arg(metavar="IN [IN ...]")],
    output: Annotated[Path, arg(aliases=("-o",), metavar="OUT")],
    texture_size: Literal[256, 512, 1024] = 512,
    face: str = "largest",
    format: tuple[Literal["png", "glb", "obj", "json"], ...] = ("png", "glb", "obj", "json"),
    completion: str = "ftim",
    cover: Literal["skin", "full"] = "skin",
    scores: bool = False,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    threads: int = 0,
) -> None:
    """Reconstruct the heads of photographs: a folder each, with overlay, textures, meshes, parameters and a report.

    The report says how much of the face was seen, how well the head fits, and what to be careful with. A photograph
    that cannot be used is reported at the end and does not stop the others; the exit status is then 1.

    Args:
        inputs: Photographs, folders of photographs, or patterns in quotes.
        output: Folder for the results.
        texture_size: Side of the texture; seen skin comes at the photograph's own resolution.
        face: largest, all, or the number of a face, the largest being 0.
        format: Which files: pictures, GLB, OBJ, parameters.
        completion: ftim, another network that ships, or mean, mirror, telea.
        cover: skin leaves hair, glasses and hands of the photograph as they are; full draws the whole face.
        scores: Compare each result with its photograph, by networks of 150 MB that are fetched once.
        device: auto takes a GPU where there is one.
        resume: Leave photographs alone that were finished with the same settings, code and weights.
        overwrite: Replace also files of an earlier result that were changed since.
        threads: Of the processor; 0 takes one for each core.
    """
    from ftim.build import COMPLETIONS
    from ftim.cli.files import Batch
    from ftim.cli.folders import shown
    from ftim.cli.photo_search import find_photos
    from ftim.cli.settings import Settings
    from ftim.device import use_threads

    if completion not in COMPLETIONS:
        raise SettingsError(f"there is no completion {completion!r}; there are {', '.join(COMPLETIONS)}")
    settings = Settings(texture_size, face, format, completion, cover, scores)
    used = use_threads(threads)
    search = find_photos(inputs)
    outcome = Batch.build(output, settings, device, resume, overwrite).run(search)
    print(
        f"{outcome.done} reconstructed, {outcome.kept} kept from before, {len(outcome.failures)} failed; "
        f"see {shown(output)} "
        f"({used} thread{'s' * (used > 1)})"
    )
    for remark in search.remarks():
        print(f"  {remark}")
    for photo, texts in outcome.warned.items():
        print(f"  {photo}: {' '.join(texts)}")
    if outcome.failures:
        lines = [f"  {photo}: {reason}" for photo, reason in outcome.failures.items()]
        raise PhotosFailedError(
            "\n".join([f"{len(lines)} of {len(search.photos) + len(search.unreadable)} failed:", *lines])
        )


def data() -> None:
    """Make what training learns from besides photographs: albedos, rendered heads. See ftim data --help."""
    run_data(())


def benchmark() -> None:
    """Score methods on photographs and write the tables, with the repository's benchmark/run.py."""
    run_program("benchmark", ())


def demo() -> None:
    """Open the demo in a browser, with the repository's demo/app.py."""
    run_program("demo", ())


def completion(shell: Annotated[Shell, Positional]) -> None:
    """Print a script that completes commands, options and files; write it to where your shell looks for such.

    ~/.local/share/bash-completion/completions/ftim, ~/.config/fish/completions/ftim.fish, or _ftim in zsh's $fpath.

    Args:
        shell: Which.
    """
    print(completion_script(build_app(training=True), shell))


def build_app(training: bool) -> SubcommandApp:
    """All commands; without ``training`` that one lacks its options, which bring PyTorch along and take seconds."""
    app = SubcommandApp()
    app.command(reconstruct)
    app.command(assets)
    if training:
        from ftim.training.command import train

        app.command(help=TRAINING)(train)
    else:
        app.command(name="train", help=TRAINING)(lambda: None)
    app.command(data)
    app.command(benchmark)
    app.command(demo)
    app.command(completion)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status. An error that ftim raises on purpose is printed without a traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no name that a console cannot print ends a run
    if arguments == ["--version"]:
        print(f"ftim {__version__}")
        return 0
    try:
        first = arguments[0] if arguments else ""
        if first in PROGRAMS:
            run_program(first, arguments[1:])
        elif first == "data":
            run_data(arguments[1:])
        else:
            build_app(training=first == "train").cli(prog="ftim", description=DESCRIPTION, args=arguments)
    except TrainingStopped as error:
        print(f"ftim: {error}", file=sys.stderr)
        return INTERRUPTED
    except KeyboardInterrupt:
        print("ftim: interrupted", file=sys.stderr)
        return INTERRUPTED
    except FtimError as error:
        print(f"ftim: {error}", file=sys.stderr)
        return 1
    return 0
