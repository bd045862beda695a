"""Start the demo: ``make demo``, ``ftim demo``, or ``python demo/app.py``.

Bound to this computer alone; nothing is shared or sent elsewhere. ``--host 0.0.0.0`` opens it to your network.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

if __name__ == "__main__":  # started as a file, Python looks for modules beside it and not in the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported

import gradio as gr
import tyro

from demo.desk import Desk
from demo.page import build_page
from demo.sessions import LONGEST_STAY, Sessions
from demo.studio import Studio
from demo.theme import STYLE, theme
from ftim.device import use_threads
from ftim.errors import FtimError

MAX_UPLOAD = "64mb"
MOST_WAITING = 32
"""Calls in the queue; further ones are told to come back."""
EXAMPLES = Path(__file__).parent / "examples"
"""Official portraits of members of the United States Congress, public domain, from which nothing was learnt."""


@dataclass(frozen=True)
class Config:
    """Settings of the demo."""

    host: str = "127.0.0.1"
    """Address to listen at."""
    port: int = 7860
    """0 for any that is free."""
    device: str = "auto"
    """Where PyTorch computes: cpu, cuda, or auto, which takes a GPU where there is one."""
    threads: int = 0
    """Of the processor, for one photograph at a time; 0 takes one for each core."""
    open: bool = False
    """Open the page in a browser."""
    examples: bool = True
    """Offer portraits to try."""
    stay: float = LONGEST_STAY
    """Seconds without a sign of life after which a visitor's photographs and results are removed."""


def example_photos() -> list[Path]:
    """The portraits of ``EXAMPLES``, sorted."""
    return sorted(EXAMPLES.glob("*.jpg"))


def launch(
    config: Config, parent: Path, block: bool = True, examples: list[Path] | None = None
) -> tuple[gr.Blocks, str, Sessions]:
    """Serve the page; its blocks, address and sessions. All files are kept below ``parent``; ``examples`` stand in the
    place of the portraits.

    Raises ``AssetError`` for a model that cannot be had, ``OSError`` when the port is taken.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(parent)
    if examples is None:
        examples = example_photos() if config.examples else []
    threads = use_threads(config.threads)
    sessions = Sessions(parent, config.stay)
    sessions.sweep_for_ever()
    studio = Studio.build(config.device)
    studio.pipeline(512)
    page = build_page(Desk(studio, sessions), examples)
    page.queue(max_size=MOST_WAITING, default_concurrency_limit=1)
    _, address, _ = page.launch(
        server_name=config.host, server_port=config.port or None, inbrowser=config.open, share=False,
        prevent_thread_lock=True, quiet=True, show_error=False, allowed_paths=[], max_file_size=MAX_UPLOAD,
        enable_monitoring=False, ssr_mode=False, mcp_server=False, run_history=False, footer_links=["api"],
        theme=theme(), css=STYLE,
    )  # fmt: skip
    print(f"The demo is at {address} ({threads} thread{'s' * (threads > 1)}; Ctrl-C ends it)", flush=True)
    if block:
        page.block_thread()
    return page, address, sessions


def main() -> None:
    """Run until Ctrl-C; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(Config, description=__doc__)
    with TemporaryDirectory(prefix="ftim-demo-") as parent:
        try:
            launch(config, Path(parent))
        except (FtimError, OSError) as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
