"""What Khronos' own validator says of our GLB. It comes from npm; nothing is fetched here."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from ftim.io import head_mesh, save_glb
from ftim.morphable import EXPRESSIONS, load_open_head
from ftim.morphable.template import load_template_albedo
from ftim.structures import Camera, Fit

PROGRAM = """
const validator = require("gltf-validator");
validator.validateBytes(new Uint8Array(require("fs").readFileSync(process.argv[1])))
  .then((report) => console.log(JSON.stringify(report)));
"""
REMEDY = (
    "Install Node.js, then: npm install --prefix DIR gltf-validator, and set NODE_PATH=DIR/node_modules for the tests"
)


def run_node(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Looks for packages where NODE_PATH says, and in node_modules of the current folder and those above."""
    return subprocess.run(["node", *arguments], capture_output=True, text=True, timeout=60)


def validate(path: Path) -> dict[str, Any]:
    """The validator's report."""
    finished = run_node("-e", PROGRAM, str(path))
    assert finished.returncode == 0, finished.stderr
    return dict(json.loads(finished.stdout))


@pytest.fixture(scope="module", autouse=True)
def validator() -> None:
    if shutil.which("node") is None:
        pytest.skip(f"there is no node. {REMEDY}")
    if run_node("-e", 'require.resolve("gltf-validator")').returncode != 0:
        pytest.skip(f"there is no gltf-validator. {REMEDY}")


@pytest.fixture
def glb(tmp_path: Path) -> Path:
    model = load_open_head()
    generator = torch.Generator().manual_seed(0)
    fit = Fit(
        identity=torch.randn(1, len(model.identity_basis), generator=generator),
        expression=torch.rand(1, len(EXPRESSIONS), generator=generator),
        rotation=torch.eye(3)[None],
        translation=torch.zeros(1, 3),
        light=torch.zeros(1, 9, 3),
        camera=Camera(torch.ones(1), torch.ones(1, 2), 2, 2),
    )
    save_glb(head_mesh(model, fit, load_template_albedo(256)[None]), tmp_path / "head.glb")
    return tmp_path / "head.glb"


def test_the_validator_finds_nothing(glb: Path) -> None:
    report = validate(glb)
    assert report["issues"]["messages"] == []
    assert report["info"]["hasMorphTargets"] and report["info"]["hasTextures"]


def test_the_validator_would_find_something(glb: Path) -> None:
    content = glb.read_bytes().replace(b'"target":34963', b'"target":34962')  # corners of triangles as if of vertices
    glb.write_bytes(content)
    assert validate(glb)["issues"]["numErrors"] > 0
