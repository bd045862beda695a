"""Every example in the package's docstrings runs: ``photo`` is a portrait's path, ``result`` what it gave."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import ftim
from ftim.data import load_portraits
from tests.fake_studio import a_result

MODULES = sorted(
    {"ftim", *(found.name for found in pkgutil.walk_packages(ftim.__path__, "ftim.") if ".data." not in found.name)}
)
FINDER = doctest.DocTestFinder(exclude_empty=True)
NEED_EXAMPLES = ("ftim", "ftim.reconstruct", "ftim.detect", "ftim.pipeline.Pipeline")
METHODS = {
    "ftim.pipeline.Pipeline": ("reconstruct", "reconstruct_many"),
    "ftim.head.Head": ("render", "to_trimesh", "load"),
    "ftim.reconstruction.Reconstruction": ("save",),
}


def examples() -> list[doctest.DocTest]:
    found = []
    for name in MODULES:
        source = Path(ftim.__path__[0]).parent / (name.replace(".", "/") + ".py")
        if name != "ftim" and source.is_file() and ">>>" not in source.read_text(encoding="utf-8"):
            continue
        module = importlib.import_module(name)
        found += [test for test in FINDER.find(module, name) if test.examples]
    return found


@pytest.mark.parametrize("test", examples(), ids=lambda test: test.name)
def test_examples_run(test: doctest.DocTest, tmp_path: Path) -> None:
    test.globs |= {"photo": load_portraits("test").photos[3].path, "result": a_result(), "folder": tmp_path}
    output: list[str] = []
    outcome = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=output.append)
    assert outcome.attempted > 0 and outcome.failed == 0, "".join(output)


def test_what_most_call_has_an_example() -> None:
    names = {test.name for test in examples()}
    wanted = {*NEED_EXAMPLES, *(f"{kind}.{method}" for kind, methods in METHODS.items() for method in methods)}
    assert wanted <= names, wanted - names
