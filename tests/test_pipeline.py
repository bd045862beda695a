"""The whole path on real portraits: what comes out, and what bad photographs say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ftim.build import COMPLETIONS
from ftim.data import load_portraits
from ftim.errors import FaceIndexError, NoFaceError, PhotoError
from ftim.metrics.image import psnr
from ftim.morphable import Region
from ftim.morphable.model import INSIDE_MOUTH
from ftim.overlay import skin_cover
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.reconstruction import Reconstruction
from scripts.measure.detail import detail_kept


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.build()


@pytest.fixture(scope="module")
def portraits() -> list[Path]:
    return [photo.path for photo in load_portraits("test").first(3).photos]


@pytest.fixture(scope="module")
def result(pipeline: Pipeline, portraits: list[Path]) -> Reconstruction:
    return pipeline.reconstruct(portraits[0], completion="mirror")


def test_texture_is_complete_and_in_range(pipeline: Pipeline, result: Reconstruction) -> None:
    texture, albedo = result.texture.texture, result.texture.albedo
    assert texture.shape == albedo.shape == (1, 3, 512, 512)
    assert torch.isfinite(texture).all() and torch.isfinite(albedo).all()
    black = (albedo.amax(1, keepdim=True) <= 0.01) & (result.partial.visibility == 0)
    atlas = pipeline.uv.atlas
    assert not black.flatten()[atlas.texel[pipeline.model.regions[atlas.face] == int(Region.FACE)]].any()
    assert black.sum() < 10, "only a pupil or the inside of a mouth may be black"


def test_overlay_is_the_photo_outside_and_close_to_it_inside(result: Reconstruction) -> None:
    outside = result.rendering.mask == 0
    difference = (result.rendering.overlay - result.face.image).abs()
    assert difference.masked_select(outside).max() == 0
    seen = result.rendering.mask * result.skin
    assert psnr(result.rendering.overlay, result.face.image, seen).item() > 28


def test_no_hole_inside_the_face(pipeline: Pipeline, result: Reconstruction) -> None:
    """Skin alone, without hair and glasses, and an open mouth, which are the photograph's."""
    drawn = pipeline.draw(result.texture, result.view, result.skin)
    mask = (drawn.mask[0, 0] > 0).numpy().astype(np.uint8)
    outside = np.pad(1 - mask, 1, constant_values=1)
    labels = connected(outside)
    assert len(np.unique(labels[outside > 0])) == 1, "everything not drawn is connected to the border"


def connected(mask: np.ndarray) -> np.ndarray:
    """Labels of the connected parts of a mask (H, W)."""
    import cv2

    return cv2.connectedComponents(mask)[1]


def test_the_same_photo_gives_the_same_result(
    pipeline: Pipeline, portraits: list[Path], result: Reconstruction
) -> None:
    again = pipeline.reconstruct(portraits[0], completion="mirror")
    assert torch.equal(again.texture.albedo, result.texture.albedo)
    assert torch.equal(again.rendering.overlay, result.rendering.overlay)


def test_every_completion_by_name(pipeline: Pipeline, result: Reconstruction) -> None:
    for name in COMPLETIONS:
        texture = pipeline.completion(name)(result.partial, result.fit)
        assert texture.albedo.shape == (1, 3, 512, 512)
    with pytest.raises(ValueError, match="telea"):
        pipeline.completion("magic")


def test_save_writes_pictures_and_no_temporary_files(result: Reconstruction, tmp_path: Path) -> None:
    result.save(tmp_path / "new" / "out")
    names = sorted(path.name for path in (tmp_path / "new" / "out").iterdir())
    pictures = ["albedo.png", "overlay.png", "partial.png", "texture.png", "visibility.png"]
    assert names == sorted([*pictures, "head.glb", "head.obj", "head.mtl", "params.json"])
    assert "map_Kd albedo.png" in (tmp_path / "new" / "out" / "head.mtl").read_text()
    parameters = json.loads((tmp_path / "new" / "out" / "params.json").read_text())
    assert len(parameters["expression"]) == 52 and len(parameters["identity"]) == result.fit.identity.shape[1]
    overlay = np.asarray(Image.open(tmp_path / "new" / "out" / "overlay.png"))
    assert overlay.shape == result.photo.shape


def test_a_part_of_the_files_can_be_asked_for(result: Reconstruction, tmp_path: Path) -> None:
    result.save(tmp_path, ("glb", "json"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head.glb", "params.json"]


def test_the_result_has_the_resolution_of_the_photograph(pipeline: Pipeline, result: Reconstruction) -> None:
    small = pipeline.face(result.photo)
    side = result.face.image.shape[-1]
    assert side == round(float(small.crop_to_photo[0, 0]) * 224) > 224
    assert result.fit.camera.height == result.rendering.image.shape[-1] == result.skin.shape[-1] == side
    assert float(result.face.crop_to_photo[0, 0]) == pytest.approx(1, abs=0.005)


def test_a_second_view_adds_the_skin_that_it_shows(pipeline: Pipeline, result: Reconstruction) -> None:
    mirrored = result.photo[:, ::-1].copy()
    both = pipeline.reconstruct_together([result.photo, mirrored], completion="mirror")
    assert (both.partial.visibility >= result.partial.visibility - 1e-6).float().mean() > 0.95
    assert both.partial.visibility.sum() > result.partial.visibility.sum()
    with pytest.raises(ValueError, match="1 to 3"):
        pipeline.reconstruct_together([])


def test_one_person_in_two_photos_keeps_one_identity(pipeline: Pipeline, portraits: list[Path]) -> None:
    photo = read_photo(portraits[1])
    faces = type(pipeline.face(photo)).concatenate([pipeline.face(photo), pipeline.face(photo[:, ::-1].copy())])
    views = pipeline.views(faces, together=True)
    assert torch.equal(views.fit.identity[0], views.fit.identity[1])
    assert views.skin.shape == (2, 1, 224, 224)


def test_bad_photographs(pipeline: Pipeline, portraits: list[Path], tmp_path: Path) -> None:
    text = tmp_path / "letter.jpg"
    text.write_text("Dear reader")
    with pytest.raises(PhotoError, match=r"letter\.jpg"):
        pipeline.reconstruct(text)
    with pytest.raises(NoFaceError):
        pipeline.reconstruct(np.full((200, 200, 3), 127, np.uint8))
    with pytest.raises(FaceIndexError, match="1"):
        pipeline.reconstruct(portraits[0], index=1)


def test_visible_skin_keeps_the_photographs_detail(portraits: list[Path]) -> None:
    """Gradient energy inside the visible skin, overlay against photograph, with a texture of 1024."""
    large = Pipeline.build(texture_size=1024)
    assert 0.9 < detail_kept(large, large.reconstruct(portraits[1])) < 1.15


def test_hair_and_glasses_stay_uncovered_unless_the_whole_face_is_asked_for(
    pipeline: Pipeline, portraits: list[Path], result: Reconstruction
) -> None:
    full = pipeline.reconstruct(portraits[0], completion="mirror", cover="full")
    assert torch.equal(full.texture.albedo, result.texture.albedo)
    covered, whole = result.rendering.mask, full.rendering.mask
    hidden = (whole > 0) & (result.skin == 0)
    assert hidden.any() and covered[hidden].max() == 0 and (covered <= whole).all()
    assert torch.equal(result.rendering.overlay[:, :, hidden[0, 0]], result.face.image[:, :, hidden[0, 0]])
    assert not torch.equal(full.rendering.overlay[:, :, hidden[0, 0]], result.face.image[:, :, hidden[0, 0]])


def test_the_overlay_is_drawn_from_the_texture_that_is_given(pipeline: Pipeline, result: Reconstruction) -> None:
    cover = skin_cover(pipeline.image, result.view)
    drawn = pipeline.draw(result.texture, result.view, cover)
    assert torch.equal(drawn.overlay, result.rendering.overlay)


def test_an_open_mouth_is_left_to_the_photograph(pipeline: Pipeline, result: Reconstruction) -> None:
    mouth = pipeline.image.shows(result.fit, INSIDE_MOUTH)
    assert float((skin_cover(pipeline.image, result.view) * mouth).max()) == 0
    nothing = replace(result.view, skin=torch.zeros_like(result.skin))
    assert torch.equal(skin_cover(pipeline.image, nothing), nothing.skin)


def test_a_completion_is_loaded_once(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pipeline.completion("ftim")

    def build(*_: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr("ftim.pipeline.build_completion", build)
    assert pipeline.completion("ftim") is first
