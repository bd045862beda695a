"""The rasterisers against closed forms, against each other, and their conventions."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from ftim.render.pose import pose_head
from ftim.render.pytorch3d_rasterizer import PyTorch3DRasterizer, pixels_to_ndc, pytorch3d_available
from ftim.render.rasterizer import NEAR, Fragments, Rasterizer, default_rasterizer
from ftim.render.torch_rasterizer import TorchRasterizer
from tests.synthetic_head import RADIUS, synthetic_fit, synthetic_head

needs_pytorch3d = pytest.mark.skipif(
    not pytorch3d_available(), reason="PyTorch3D is not installed; it has no wheel on PyPI, see CONTRIBUTING.md"
)
BACKENDS = [
    pytest.param(default_rasterizer, id="warp"),
    pytest.param(TorchRasterizer, id="torch"),
    pytest.param(PyTorch3DRasterizer, id="pytorch3d", marks=[needs_pytorch3d, pytest.mark.pytorch3d]),
]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def random_mesh(seed: int, vertices: int = 60, triangles: int = 80, batch: int = 2) -> tuple[Tensor, Tensor]:
    """Triangles of all sizes and both windings, some beyond the 40 x 56 picture, some behind the camera."""
    generator = torch.Generator().manual_seed(seed)
    positions = torch.rand(batch, vertices, 3, generator=generator)
    positions = positions * torch.tensor([80.0, 60.0, 1.0]) - torch.tensor([12.0, 10.0, 0.05])
    positions[0, 0] = math.nan
    positions[1, 1, 0] = math.inf
    positions[1, 2, 0] = 1e30
    return positions, torch.randint(vertices, (triangles, 3), generator=generator)


def assert_equal_up_to_ties(ours: Fragments, theirs: Fragments, positions: Tensor, triangles: Tensor) -> None:
    """The same triangle at nearly all pixels, and the same depth wherever both see something."""
    same = ours.face == theirs.face
    assert same.float().mean() > 0.999
    both = ours.covered & theirs.covered
    torch.testing.assert_close(ours.depth[both], theirs.depth[both], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.barycentric[same], theirs.barycentric[same], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_triangle_by_hand(backend: type) -> None:
    positions = torch.tensor([[[0.0, 0.0, 1.0], [4.0, 0.0, 2.0], [0.0, 4.0, 4.0]]])
    fragments = backend()(positions, torch.tensor([[0, 1, 2]]), 3, 5)
    # Centres lie at +0.5: pixel (row 1, column 1) is at (1.5, 1.5), inside; (2, 2) at (2.5, 2.5) is outside.
    assert fragments.face.shape == (1, 3, 5)
    assert fragments.face.dtype == torch.int64
    assert fragments.face[0, 1, 1] == 0
    assert fragments.face[0, 2, 2] == -1
    assert fragments.depth[0, 2, 2] == math.inf
    assert (fragments.barycentric[0, 2, 2] == 0).all()
    # On the screen the weights at (0.5, 0.5) are 6/8, 1/8, 1/8; in space each is divided by its corner's depth.
    weights = torch.tensor([6 / 8 / 1, 1 / 8 / 2, 1 / 8 / 4])
    torch.testing.assert_close(fragments.barycentric[0, 0, 0], weights / weights.sum())
    torch.testing.assert_close(fragments.depth[0, 0, 0], 1 / weights.sum())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(4))
def test_warp_equals_the_oracle(seed: int, device: str) -> None:
    positions, triangles = random_mesh(seed)
    ours = default_rasterizer()(positions.to(device), triangles.to(device), 40, 56).to("cpu")
    theirs = TorchRasterizer()(positions, triangles, 40, 56)
    assert theirs.covered.float().mean() > 0.3
    assert torch.equal(ours.face, theirs.face)
    torch.testing.assert_close(ours.depth, theirs.depth, rtol=1e-6, atol=0)
    torch.testing.assert_close(ours.barycentric, theirs.barycentric, rtol=0, atol=1e-6)


@needs_pytorch3d
@pytest.mark.pytorch3d
@pytest.mark.parametrize("size", [(40, 56), (56, 40), (48, 48)])
def test_pytorch3d_equals_warp(size: tuple[int, int]) -> None:
    positions, triangles = random_mesh(1)
    positions = positions.where(positions.abs() < 1e6, 100.0)  # its edge functions are in single precision
    positions[0, 0] = math.nan
    ours = default_rasterizer()(positions, triangles, *size)
    assert_equal_up_to_ties(ours, PyTorch3DRasterizer()(positions, triangles, *size), positions, triangles)


def test_pytorch3d_coordinates() -> None:
    corners = torch.tensor([[[0.0, 0.0, 3.0], [64.0, 32.0, 3.0], [32.0, 16.0, 3.0]]])
    ndc = pixels_to_ndc(corners, height=32, width=64)
    # x to the left, y up, the shorter side in [-1, 1].
    assert ndc.tolist() == [[[2.0, 1.0, 3.0], [-2.0, -1.0, 3.0], [0.0, 0.0, 3.0]]]


@pytest.mark.skipif(pytorch3d_available(), reason="PyTorch3D is installed")
def test_missing_pytorch3d_says_what_to_do() -> None:
    with pytest.raises(ImportError, match="CONTRIBUTING"):
        PyTorch3DRasterizer()


@pytest.mark.parametrize("backend", BACKENDS[:2])
def test_ties_go_to_the_lower_triangle(backend: type) -> None:
    positions = torch.tensor([[[0.0, 0.0, 1.0], [8.0, 0.0, 1.0], [0.0, 8.0, 1.0]]])
    fragments = backend()(positions, torch.tensor([[0, 1, 1], [1, 2, 0], [0, 1, 2]]), 4, 4)
    assert (fragments.face[0, 0] == 1).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_windings_are_drawn(backend: type) -> None:
    positions = torch.tensor([[[0.0, 0.0, 1.0], [8.3, 0.0, 1.0], [0.0, 8.3, 1.0]]])
    one = backend()(positions, torch.tensor([[0, 1, 2]]), 6, 6)
    other = backend()(positions, torch.tensor([[0, 2, 1]]), 6, 6)
    assert one.covered.any()
    assert torch.equal(one.covered, other.covered)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("depth", [-1.0, 0.0, NEAR / 2, math.nan, math.inf])
def test_triangles_at_or_behind_the_camera_are_dropped(backend: type, depth: float) -> None:
    positions = torch.tensor([[[0.0, 0.0, 1.0], [9.0, 0.0, 1.0], [0.0, 9.0, depth]]])
    assert not backend()(positions, torch.tensor([[0, 1, 2]]), 4, 4).covered.any()


@pytest.mark.parametrize("backend", BACKENDS[:2])
def test_no_cracks_between_triangles(backend: type) -> None:
    # A fan around a point, its edges crossing pixel centres: each covered pixel belongs to some triangle.
    angle = torch.arange(12) * (2 * math.pi / 12)
    rim = torch.stack([16.5 + 40 * angle.cos(), 16.5 + 40 * angle.sin(), torch.ones(12)], -1)
    positions = torch.cat([torch.tensor([[16.5, 16.5, 1.0]]), rim])[None]
    triangles = torch.tensor([[0, 1 + i, 1 + (i + 1) % 12] for i in range(12)])
    assert backend()(positions, triangles, 33, 33).covered.all()


def test_sphere_depth() -> None:
    model = synthetic_head(96, 144)
    fit = synthetic_fit(model, size=64)
    head = pose_head(model, fit)
    fragments = default_rasterizer()(head.positions, model.triangles, 64, 64)
    y, x = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    ray = torch.stack([(x - 32) / (3.5 * 64), (y - 32) / (3.5 * 64), torch.ones(64, 64)], -1)
    # |t ray - c| = r with c at depth 1: the nearer root.
    square = (ray**2).sum(-1)
    root = 1 - square * (1 - RADIUS**2)
    inside = root > 0.002
    depth = (1 - root.clamp(min=0).sqrt()) / square
    assert fragments.covered[0][inside].all()
    assert (fragments.depth[0] - depth)[inside].abs().max() < 2e-3 * RADIUS * 2
    assert not fragments.covered[0][root < 0].any()


def test_empty_batch_and_no_triangles() -> None:
    rasterizer = default_rasterizer()
    assert rasterizer(torch.zeros(0, 3, 3), torch.tensor([[0, 1, 2]]), 4, 4).face.shape == (0, 4, 4)
    assert not rasterizer(torch.ones(2, 3, 3), torch.zeros(0, 3, dtype=torch.int64), 4, 4).covered.any()


@pytest.mark.parametrize("backend", BACKENDS[:2])
@pytest.mark.parametrize(
    ("positions", "triangles", "size", "message"),
    [
        (torch.zeros(3, 3), torch.zeros(1, 3, dtype=torch.int64), (4, 4), r"\(B, V, 3\), got \(3, 3\)"),
        (torch.zeros(1, 3, 3), torch.zeros(1, 4, dtype=torch.int64), (4, 4), r"\(F, 3\), got \(1, 4\)"),
        (torch.zeros(1, 3, 3), torch.tensor([[0, 1, 3]]), (4, 4), "outside 0..2"),
        (torch.zeros(1, 3, 3), torch.tensor([[0, 1, 2]]), (0, 4), "0 x 4"),
    ],
)
def test_wrong_arguments(
    backend: type, positions: Tensor, triangles: Tensor, size: tuple[int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        backend()(positions, triangles, *size)


def test_same_result_in_any_batch() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model, batch=3)
    positions = pose_head(model, fit).positions * torch.tensor([1.0, 0.9, 1.0])
    rasterizer: Rasterizer = default_rasterizer()
    together = rasterizer(positions, model.triangles, 96, 96)
    alone = rasterizer(positions[1:2], model.triangles, 96, 96)
    assert torch.equal(together.face[1:2], alone.face)
    assert torch.equal(together.barycentric[1:2], alone.barycentric)


def test_starting_warp_prints_nothing() -> None:
    code = (
        "import torch; from ftim.render import default_rasterizer;"
        "default_rasterizer()(torch.rand(1, 3, 3) + 1, torch.tensor([[0, 1, 2]]), 4, 4)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == ""
