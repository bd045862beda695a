"""The notebooks: stripped, of public names alone, and executed from a folder that is not the repository."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NAMES = ("01_one_photo", "02_compare_methods", "03_ablation", "04_train_your_own")
SMALL: dict[str, dict[str, Any]] = {
    "01_one_photo": {"TEXTURE_SIZE": 256, "YAWS": (-40, 40)},
    "02_compare_methods": {"COUNT": 1, "METHODS": "chen,mirror,ftim"},
    "03_ablation": {"PORTRAITS": (30,)},
    "04_train_your_own": {"PEOPLE": 1, "HELD_OUT": 1, "STEPS": 2, "PRESET": "ftim_no_sym_mrf"},
}
"""Parameters of an execution that takes seconds; the preset of the last needs no VGG19."""
PACKAGES = ("ftim", "benchmark")
SECONDS = 600
"""For one cell, which may fetch files first."""


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code(book: Any) -> list[ast.Module]:
    """The code cells as Python, IPython's own commands translated."""
    transform = TransformerManager().transform_cell
    return [ast.parse(transform(cell.source)) for cell in book.cells if cell.cell_type == "code"]


def parameters_cell(book: Any) -> Any:
    (cell,) = (cell for cell in book.cells if "parameters" in cell.metadata.get("tags", ()))
    return cell


def execute(name: str, folder: Path, parameters: dict[str, Any], **environment: str) -> Any:
    """The executed notebook, which ran in the folder; raises ``CellExecutionError``."""
    book = read(name)
    cell = parameters_cell(book)
    for key, value in parameters.items():
        assert f"\n{key} = " in f"\n{cell.source}", f"{name} has no parameter {key}"
        cell.source += f"\n{key} = {value!r}"
    if "\nOUTPUT = " in cell.source:
        cell.source += f"\nOUTPUT = Path({str(folder / 'output')!r})"
    kernel = os.environ | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / "ipython")} | environment
    client = NotebookClient(book, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env=kernel)
    return book


def figures(book: Any) -> int:
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    return sum("image/png" in output.get("data", {}) for output in outputs)


def written() -> dict[Path, int]:
    """When each file of the repository that a notebook knows of was changed."""
    folders = (FOLDER, ROOT / "results", ROOT / "out", ROOT / "runs")
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_these_are_all_notebooks() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES) == sorted(SMALL)


@pytest.mark.parametrize("name", NAMES)
def test_stripped_and_in_order(name: str) -> None:
    book = read(name)
    nbformat.validate(book)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells)
    assert all(cell.execution_count is None for cell in cells)
    assert all(set(cell.metadata) <= {"tags"} for cell in book.cells)
    assert set(book.metadata) == {"kernelspec", "language_info"}
    ids = [cell.id for cell in book.cells]
    assert len(set(ids)) == len(ids) and all(identifier.replace("-", "").isalpha() for identifier in ids)
    first, second = book.cells[:2]
    assert first.cell_type == "markdown" and "2 cores" in first.source and "Colab" in first.source
    assert "google.colab" in second.source


@pytest.mark.parametrize("name", NAMES)
def test_public_names_alone(name: str) -> None:
    for tree in code(read(name)):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
                words = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                assert not [word for word in words if word.startswith("_")], ast.unparse(node)
            elif isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_") or node.attr == "__file__", ast.unparse(node)


@pytest.mark.parametrize("name", NAMES)
def test_executes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FTIM_DATA", raising=False)
    before = written()
    book = execute(name, tmp_path, SMALL[name])
    assert figures(book) >= 4
    assert written() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"output", "ipython"}
    if name == "01_one_photo":
        assert (tmp_path / "output" / "head.glb").stat().st_size > 100_000
    if name == "04_train_your_own":
        (weights,) = (tmp_path / "output").glob("*/run/*/own.safetensors")
        assert weights.stat().st_size > 1_000_000


@pytest.mark.skipif("FTIM_DATA" not in os.environ, reason="the Face Research Lab London Set is not here")
def test_training_takes_frll_where_it_is(tmp_path: Path) -> None:
    book = execute("04_train_your_own", tmp_path, SMALL["04_train_your_own"] | {"STEPS": 1})
    assert figures(book) >= 4
    (person,) = (tmp_path / "output").glob("*/people/*")
    assert person.name == "001" and len(list(person.iterdir())) == 3
