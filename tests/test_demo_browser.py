"""The page in headless Chromium: a real portrait in, overlay, 3D head, a slider, the zip out; and a photograph without
a face. Needs Debian's ``chromium``."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from demo.app import Config, launch
from demo.studio import FILES
from ftim.data import load_portraits
from scripts.figures.demo_screenshots import CHROMIUM, SOFTWARE_GL

PATIENCE = 90_000
"""Milliseconds: a busy machine of one core."""
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    page, at, sessions = launch(Config(port=0), tmp_path_factory.mktemp("server"), block=False)
    yield at
    page.close()
    sessions.close_all()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SOFTWARE_GL))
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 1400})
    opened.set_default_timeout(PATIENCE)
    elsewhere: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            elsewhere.append(request.url)

    opened.on("request", note)
    opened.goto(address)
    yield opened
    opened.close()
    assert not elsewhere, "the page fetches nothing from elsewhere"


def test_a_portrait_becomes_a_head_and_files(page: Page, tmp_path: Path) -> None:
    page.set_input_files("#photo input[type=file]", load_portraits("test").photos[3].path)
    expect(page.locator("#overlay img").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#status")).to_contain_text("Done", timeout=PATIENCE)
    expect(page.locator("#findings")).to_contain_text("of the facial skin")
    expect(page.locator("#head canvas")).to_be_visible(timeout=PATIENCE)
    for name in ("#photo img", "#view img", "#map-complete img"):
        assert page.locator(name).first.get_attribute("alt"), f"{name} says what it shows"

    before = page.locator("#view img").get_attribute("src")
    slider = page.locator("#yaw input[type=range]")
    slider.focus()
    for _ in range(4):
        slider.press("ArrowRight")  # by keyboard, as a visitor without a mouse
    page.wait_for_function("before => document.querySelector('#view img').src !== before", arg=before)

    expect(page.locator("#download-0")).to_be_enabled(timeout=PATIENCE)
    with page.expect_download() as waiting:
        page.locator("#download-0").click()
    path = tmp_path / "all.zip"
    waiting.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None and sorted(archive.namelist()) == sorted(FILES)
        assert archive.read("head.glb")[:4] == b"glTF"
        assert 0.5 < json.loads(archive.read("report.json"))["quality"]["seen"] < 1
        with archive.open("overlay.png") as file:
            assert Image.open(file).size == Image.open(load_portraits("test").photos[3].path).size


def test_a_photograph_without_a_face_is_answered_with_a_sentence(page: Page, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(90, 130, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "wall.png")
    page.set_input_files("#photo input[type=file]", tmp_path / "wall.png")
    alert = page.get_by_role("alert").filter(has_text="face")
    expect(alert).to_be_visible(timeout=PATIENCE)
    sentence = alert.inner_text()
    assert "no face" in sentence.lower() and sentence.endswith(".") and "/" not in sentence, sentence
    expect(page.locator("#download-0")).to_be_disabled()


def test_one_of_several_faces_is_chosen(page: Page, tmp_path: Path) -> None:
    pair = [Image.open(load_portraits("test").photos[number].path).convert("RGB") for number in (3, 8)]
    both = Image.new("RGB", (sum(photo.width for photo in pair), max(photo.height for photo in pair)))
    both.paste(pair[0], (0, 0))
    both.paste(pair[1], (pair[0].width, 0))
    both.save(tmp_path / "both.png")
    page.set_input_files("#photo input[type=file]", tmp_path / "both.png")
    faces = page.locator("#faces .gallery-item button")
    expect(faces).to_have_count(2, timeout=PATIENCE)
    expect(page.locator("#download-0")).to_be_enabled(timeout=PATIENCE)

    before = page.locator("#map-complete img").get_attribute("src")
    faces.nth(1).click()
    page.wait_for_function("before => document.querySelector('#map-complete img').src !== before", arg=before)
    expect(page.locator("#download-0")).to_be_enabled(timeout=PATIENCE)
    expect(page.locator("#status")).to_contain_text("Done", timeout=PATIENCE)
    expect(faces).to_have_count(2)
