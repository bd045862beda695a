"""GLB and OBJ of a real photograph, read back by libraries that other people wrote, and drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ftim.data import load_portraits
from ftim.morphable import EXPRESSIONS
from ftim.morphable.model import Region
from ftim.pipeline import Pipeline
from ftim.reconstruction import Reconstruction, to_uint8
from ftim.render.image import ImageRenderer
from ftim.render.interpolate import interpolate
from ftim.render.lookup import sample_texture
from ftim.structures import Camera, Fit
from tests.foreign_readers import ForeignGlb, ForeignObj, read_glb, read_obj

# https://developer.apple.com/documentation/arkit/arfaceanchor/blendshapelocation
# fmt: off
ARKIT = {
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel",
    "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft",
    "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
}
# fmt: on
SIDE = 384
"""Pixels of the pictures that are compared."""
NEARLY = 2 / 255


@dataclass(frozen=True)
class Case:
    """One photograph's result and its files."""

    result: Reconstruction
    renderer: ImageRenderer
    folder: Path
    glb: ForeignGlb
    obj: ForeignObj


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("head")
    pipeline = Pipeline.build(texture_size=512)
    result = pipeline.reconstruct(load_portraits("test").first(1).photos[0].path, completion="mirror")
    result.save(folder, ("glb", "obj"))
    renderer = ImageRenderer(pipeline.model, pipeline.rasterizer, tuple(Region))
    return Case(result, renderer, folder, read_glb(folder / "head.glb"), read_obj(folder / "head.obj"))


def view(fit: Fit, yaw: float, expression: Tensor) -> Fit:
    """The person of a fit before a camera of ours, turned by ``yaw`` degrees."""
    cosine, sine = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    turned = torch.tensor([[[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]])
    camera = Camera(torch.tensor([3.9 * SIDE]), torch.full((1, 2), SIDE / 2), SIDE, SIDE)
    away = torch.tensor([[0.0, 0.0, -1.2]])
    return replace(fit, expression=expression, rotation=turned, translation=away, camera=camera)


def unlit(case: Case, fit: Fit, positions: np.ndarray, uv: np.ndarray, texture: np.ndarray) -> tuple[Tensor, Tensor]:
    """Draw arrays of a file, triangles of three own corners (F, 3, 3) and (F, 3, 2): colours (1, 3, H, W) and mask."""
    corners = torch.from_numpy(positions.reshape(1, -1, 3).astype(np.float32))
    seen = fit.camera.project(corners @ fit.rotation.mT + fit.translation[:, None])
    triangles = torch.arange(corners.shape[1]).view(-1, 3)
    fragments = case.renderer.rasterizer(seen, triangles, SIDE, SIDE)
    places = interpolate(fragments, torch.from_numpy(uv.reshape(1, -1, 2).astype(np.float32)), triangles)
    pixels = torch.from_numpy(texture).permute(2, 0, 1)[None].float() / 255
    return sample_texture(pixels, places), fragments.covered[:, None]


def difference(case: Case, fit: Fit, positions: np.ndarray, uv: np.ndarray, texture: np.ndarray) -> float:
    """Mean difference of a file's unlit head from ours, on the pixels that either covers."""
    ours = case.renderer.draw_lit(case.result.texture.albedo, fit, torch.zeros(1, 3, SIDE, SIDE))
    colours, covered = unlit(case, fit, positions, uv, texture)
    both = covered & (ours.mask > 0)
    assert both.sum() > 0.98 * (covered | (ours.mask > 0)).sum() and both.sum() > 0.15 * SIDE**2
    either = (covered | (ours.mask > 0)).expand(-1, 3, -1, -1)
    return float((ours.image - colours * covered).abs()[either].mean())


def test_counts_units_and_axes(case: Case) -> None:
    glb, model = case.glb, case.result.model
    assert len(glb.triangles) == len(model.triangles) == len(case.obj.positions)
    assert len(glb.positions) == len(glb.normals) == len(glb.uv) == glb.triangles.max() + 1
    for positions in (glb.positions, case.obj.positions.reshape(-1, 3)):
        width, height, depth = (positions.max(0) - positions.min(0)).tolist()
        assert 0.2 < height < 0.35 and 0.12 < width < 0.25 and 0.15 < depth < 0.3, "metres, y up"
    moved = {name: np.abs(glb.morphs[EXPRESSIONS.index(name)]).max(1) for name in ("eyeBlinkLeft", "jawOpen")}
    eye, mouth = (np.average(glb.positions, axis=0, weights=weight) for weight in moved.values())
    assert eye[1] > mouth[1] and eye[0] > 0 and min(eye[2], mouth[2]) > 0, "upright, facing +z, its left at +x"


def test_texture_places_and_normals(case: Case) -> None:
    for uv, normals in ((case.glb.uv, case.glb.normals), (case.obj.uv, case.obj.normals)):
        assert uv.min() >= 0 and uv.max() <= 1 and np.ptp(uv) > 0.9
        assert np.allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-4)
    assert np.allclose(case.glb.uv[case.glb.triangles] * [1, -1] + [0, 1], case.obj.uv, atol=1e-6), "v up in OBJ alone"


def test_normals_belong_to_the_positions_beside_them(case: Case) -> None:
    """Each corner's normal is that of the triangles around it, within the curvature of the skin."""
    glb = case.glb
    for positions, normals in (
        (glb.positions[glb.triangles], glb.normals[glb.triangles]),
        (case.obj.positions, case.obj.normals),
    ):
        flat = np.cross(positions[:, 1] - positions[:, 0], positions[:, 2] - positions[:, 0])
        flat /= np.linalg.norm(flat, axis=-1, keepdims=True).clip(1e-12)
        cosine = (flat[:, None] * normals).sum(-1)
        assert np.quantile(cosine, 0.01) > 0 and np.median(cosine) > 0.95, "outwards: triangles are counter-clockwise"


def test_expressions_are_arkits_and_the_models(case: Case) -> None:
    glb, model = case.glb, case.result.model
    assert tuple(glb.morph_names) == EXPRESSIONS and set(glb.morph_names) == ARKIT and len(ARKIT) == 52
    basis = model.expression_basis[:, model.triangles].numpy()
    assert np.allclose(glb.morphs[:, glb.triangles], basis, atol=1.1e-6)
    assert np.allclose(glb.weights, case.result.fit.expression[0].numpy(), atol=1e-6)


def test_skin_is_the_albedo(case: Case) -> None:
    """Base colour textures are sRGB by glTF's specification, as our albedo is: the same bytes."""
    surface = case.glb.material.pbrMetallicRoughness
    assert surface.metallicFactor == 0 and surface.baseColorFactor == [1, 1, 1, 1] and surface.roughnessFactor > 0.3
    albedo = to_uint8(case.result.texture.albedo)
    assert (case.glb.texture == albedo).all()
    assert case.obj.texture.parent == case.folder and case.obj.texture.suffix == ".png"
    with Image.open(case.obj.texture) as image:
        assert (np.array(image.convert("RGB")) == albedo).all()
    assert case.obj.diffuse == [1, 1, 1, 1], "white and opaque: the texture's own colours"
    assert case.glb.name == "head"


@pytest.mark.parametrize("yaw", [0.0, 35.0, -70.0])
def test_colours_are_those_of_our_rendering(case: Case, yaw: float) -> None:
    fit, glb, obj = case.result.fit, case.glb, case.obj
    neutral = view(fit, yaw, torch.zeros_like(fit.expression))
    own = view(fit, yaw, fit.expression)
    corners = (glb.positions[glb.triangles], glb.uv[glb.triangles])
    found = difference(case, neutral, *corners, glb.texture)
    print(f"GLB unlit at {yaw:g} degrees: {found * 255:.3f} / 255")
    assert found < NEARLY
    assert difference(case, own, obj.positions, obj.uv * [1, -1] + [0, 1], glb.texture) < NEARLY
    assert difference(case, neutral, *corners, glb.texture[::-1].copy()) > 4 * NEARLY, "an upside-down texture is seen"


def test_a_morph_target_moves_the_file_as_it_moves_the_model(case: Case) -> None:
    jaw, glb, fit = EXPRESSIONS.index("jawOpen"), case.glb, case.result.fit
    expression = torch.nn.functional.one_hot(torch.tensor([jaw]), len(EXPRESSIONS)).float()
    opened = (glb.positions + glb.morphs[jaw])[glb.triangles]
    assert difference(case, view(fit, 20, expression), opened, glb.uv[glb.triangles], glb.texture) < NEARLY
