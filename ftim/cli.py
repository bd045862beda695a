"""The command line, ``ftim <command>``: each command is one function, its arguments are made from its signature."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import arg
from tyro.extras import SubcommandApp

from ftim import __version__
from ftim.errors import FtimError, TrainingStopped

DESCRIPTION = "A complete facial texture and a textured 3D head from one photograph."

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
    from ftim.asset_listing import list_assets
    from ftim.assets import ASSETS, AssetStore, find_asset

    store = AssetStore.from_environment(folder, offline or None)
    names = [name for name, asset in ASSETS.items() if not asset.optional] if fetch == ("all",) else list(fetch)
    for asset in [find_asset(name) for name in names]:
        store.path(asset)
    print(list_assets(store))


def build_app() -> SubcommandApp:
    """All commands. Made when one is wanted: training brings PyTorch along, which takes its time to load."""
    from ftim.training.command import train

    app = SubcommandApp()
    app.command(assets)
    app.command(train)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status. An error that ftim raises on purpose is printed without a traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments == ["--version"]:
        print(f"ftim {__version__}")
        return 0
    try:
        build_app().cli(prog="ftim", description=DESCRIPTION, args=arguments)
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


if __name__ == "__main__":
    sys.exit(main())
