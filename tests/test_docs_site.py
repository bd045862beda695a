"""Pages from docstrings: of what users call, complete, without a link to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pdoc")

from scripts.docs import Config, broken, build, module_names


def test_pages_of_what_users_call(tmp_path: Path) -> None:
    modules = ("ftim", "ftim.pipeline", "ftim.head", "ftim.reconstruction", "ftim.structures", "ftim.errors")
    pages = build(Config(tmp_path, modules))
    assert {page.name for page in pages} >= {"index.html", "ftim.html", "pipeline.html", "head.html"}
    text = (tmp_path / "ftim.html").read_text(encoding="utf-8")
    assert all(name in text for name in ("reconstruct", "detect", "Pipeline", "Reconstruction", "PhotoError"))
    assert "reconstruct_many" in (tmp_path / "ftim" / "pipeline.html").read_text(encoding="utf-8")


def test_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text('<a href="b.html#c">b</a> <a href="https://example.org">c</a> <a href="#d">d</a>')
    assert broken(page) == ["b.html"]
    (tmp_path / "b.html").touch()
    assert broken(page) == []


def test_every_module_is_known() -> None:
    assert {"ftim", "ftim.pipeline", "ftim.render.image", "ftim.training.trainer"} <= set(module_names())
