"""``ftim data``: what training learns from besides photographs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg
from tyro.extras import SubcommandApp

from ftim.errors import SettingsError


def albedos(
    output: Annotated[Path, Positional, arg(metavar="BANK")],
    data: Path | None = None,
    skins: Path | None = None,
) -> None:
    """Make the bank of albedos that rendered heads wear: merged photographs of training people, and skins of your own.

    Args:
        output: The file to write, a safetensors.
        data: Folder with frll and webmorph (default: the variable FTIM_DATA).
        skins: Folder of PNGs in ftim's atlas, such as MakeHuman's skins: scripts/bake/makehuman_skins.py.
    """
    from ftim.data.rendered.albedos import build_bank

    build_bank(output, data, skins)
    print(f"{output} is written")


def render(
    output: Annotated[Path, Positional, arg(metavar="FOLDER")],
    bank: Path,
    count: int = 2000,
    first: int = 0,
    environments: Path | None = None,
    workers: int = 0,
) -> None:
    """Render heads of nobody with all that is known of them, for ftim train --rendered FOLDER.

    May be stopped and repeated: finished heads stay. The same seed gives the same head.

    Args:
        output: Folder for the heads, half a megabyte each.
        bank: Of ftim data albedos.
        count: How many seeds.
        first: The first seed.
        environments: Folder of OpenEXR environment maps (default: hdri in the folder FTIM_DATA).
        workers: Processes; 0 takes one for each core.
    """
    from ftim.data.rendered.render import render_heads

    if count < 1 or first < 0:
        raise SettingsError(f"count is 1 or more and first 0 or more, got {count} and {first}")
    held = render_heads(output, bank, count, first, environments, workers)
    print(f"{output} holds {held} heads of {count} seeds; in the others no face was found")


def run_data(arguments: Sequence[str]) -> None:
    """``ftim data`` with these arguments."""
    app = SubcommandApp()
    app.command(albedos)
    app.command(render)
    app.cli(prog="ftim data", description="Make what training learns from.", args=list(arguments))
