"""Pictures of the demo's page with a head of FRLL (CC BY 4.0), in three widths, light and dark.

    FTIM_DATA=... python -m scripts.figures.demo_screenshots            # writes results/demo/*.jpg and README.md

Needs Debian's ``chromium``. The page stands in its whole length in a window as tall as itself: a picture of more than
the window would leave the 3D canvas blank.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro
from playwright.sync_api import Browser, expect, sync_playwright
from tqdm import tqdm

from demo.app import Config as DemoConfig
from demo.app import launch
from ftim.data import load_frll
from ftim.data.frll import LICENCE
from ftim.errors import FtimError
from ftim.outputs import whole_file

WIDTHS = (1440, 768, 390)
THEMES = ("light", "dark")
PHOTO = "136_neutral_left_3quarter"
EXAMPLES = ("018_smiling_front", "061_neutral_front", "034_smiling_right_3quarter", "129_neutral_front")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The program, or None where there is none."""
SOFTWARE_GL = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
TALL = 1200
"""Pixels of the window until the length of the page is known."""
PATIENCE = 180_000
"""Milliseconds."""
SETTLE = 12_000
"""Milliseconds until the 3D head is drawn by software."""
BELOW = 90
"""Pixels below the page's own text, for Gradio's line."""
QUALITY = 88


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.figures.demo_screenshots``."""

    data: Path | None = None
    """Folder of the Face Research Lab London Set; by default under FTIM_DATA."""
    output: Path = Path("results/demo")
    """Where the pictures go."""


def picture(browser: Browser, address: str, photo: Path, width: int, theme: str) -> bytes:
    """The page after a photograph was chosen, in its whole length."""
    page = browser.new_page(viewport={"width": width, "height": TALL})
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}?__theme={theme}")
    page.set_input_files("#photo input[type=file]", photo)
    expect(page.locator("#download-0")).to_be_enabled(timeout=PATIENCE)
    expect(page.locator("#head canvas")).to_be_visible(timeout=PATIENCE)
    end = page.locator(".ftim-footer").bounding_box()
    assert end is not None
    page.set_viewport_size({"width": width, "height": round(end["y"] + end["height"]) + BELOW})
    page.wait_for_timeout(SETTLE)
    taken = page.screenshot(type="jpeg", quality=QUALITY)
    page.close()
    return taken


def run(config: Config) -> None:
    """Start the demo, take all pictures. Raises ``FtimError``."""
    if CHROMIUM is None:
        raise FtimError("There is no Chromium. On Debian: sudo apt-get install chromium")
    photos = {photo.name: photo.path for photo in load_frll(config.data).photos("validation").photos}
    config.output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="ftim-demo-") as parent, sync_playwright() as playwright:
        blocks, address, sessions = launch(
            DemoConfig(port=0), Path(parent), block=False, examples=[photos[name] for name in EXAMPLES]
        )
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SOFTWARE_GL))
        kinds = [(width, theme) for width in WIDTHS for theme in THEMES]
        for width, theme in tqdm(kinds, desc="screenshots"):
            taken = picture(browser, address, photos[PHOTO], width, theme)
            with whole_file(config.output / f"{width}-{theme}.jpg") as temporary:
                temporary.write_bytes(taken)
        browser.close()
        blocks.close()
        sessions.close_all()
    lines = [
        "# The demo's page",
        "",
        f"By `scripts/figures/demo_screenshots.py`, in headless Chromium. Photographs: {LICENCE}.",
        "[demo_load.json](../demo_load.json): twenty callers at once, by `scripts/measure/demo_load.py`.",
        "",
        *(f"![{width} pixels wide, {theme}]({width}-{theme}.jpg)\n" for width in WIDTHS for theme in THEMES),
    ]
    with whole_file(config.output / "README.md") as temporary:
        temporary.write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    try:
        run(tyro.cli(Config, description=__doc__))
    except (FtimError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
