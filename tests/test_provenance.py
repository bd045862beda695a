from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from ftim import provenance
from ftim.provenance import PACKAGE, code_sha256
from ftim.training.cache import EXAMPLE_CODE


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for place in ("photo.py", "skin/mask.py", "skin/deep/colour.py", "tone.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f"{place} = 1\n")
    (tmp_path / "skin" / "table.json").write_text("{}")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("place", "changes"),
    [("photo.py", True), ("skin/mask.py", True), ("skin/deep/colour.py", True), ("tone.py", False)],
)
def test_a_changed_module_changes_the_hash_of_its_part_and_of_the_package(
    package: Path, place: str, changes: bool
) -> None:
    part, whole = code_sha256(("photo.py", "skin")), code_sha256()
    (package / place).write_text("other = 2\n")
    assert (code_sha256(("photo.py", "skin")) != part) == changes
    assert code_sha256() != whole


def test_a_renamed_or_further_module_changes_it_and_another_file_does_not(package: Path) -> None:
    hashes = [code_sha256()]
    (package / "tone.py").rename(package / "colour.py")
    hashes.append(code_sha256())
    (package / "skin" / "__init__.py").touch()
    hashes.append(code_sha256())
    assert len(set(hashes)) == 3
    (package / "skin" / "table.json").write_text("[]")
    assert code_sha256() == hashes[-1]


def test_neither_place_order_nor_repetition_matter(
    package: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = code_sha256(("photo.py", "skin"))
    assert code_sha256(("skin", "photo.py", "skin/mask.py")) == expected
    moved = tmp_path_factory.mktemp("elsewhere") / "package"
    shutil.copytree(package, moved)
    monkeypatch.setattr(provenance, "PACKAGE", moved)
    assert code_sha256(("photo.py", "skin")) == expected


def test_a_part_that_is_not_there_is_named(package: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"skins\.py"):
        code_sha256(("photo.py", "skins.py"))


WITHOUT_ARITHMETIC = {
    "archives", "assets", "errors", "extras", "metrics.numpy_pickle", "outputs", "structures", "system",
}  # fmt: skip
"""Modules of the package that read, write or name: no fit and no texture is another for a change of theirs."""


def test_what_an_example_depends_on_imports_nothing_that_its_key_leaves_out() -> None:
    kept = tuple(part.removesuffix(".py") for part in EXAMPLE_CODE)
    imported = set()
    for part in EXAMPLE_CODE:
        path = PACKAGE / part
        for module in path.rglob("*.py") if path.is_dir() else [path]:
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ftim."):
                    imported.add((node.module or "").removeprefix("ftim."))
    assert "render.surface" in imported
    assert {name for name in imported if name.split(".")[0] not in kept} <= WITHOUT_ARITHMETIC
