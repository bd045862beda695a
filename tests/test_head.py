"""What can be made of a reconstruction: views of it, a mesh, files that give the head back."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from ftim.errors import ResultFileError, SettingsError
from ftim.head import Head
from ftim.reconstruction import Reconstruction
from tests.fake_studio import a_result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("result")
    a_result().save(path, ("png", "json"))
    return path


def test_a_view_has_an_alpha_channel_or_a_background() -> None:
    result = a_result()
    clear, blue = result.render(size=96), result.render(size=96, background=(0.0, 0.0, 1.0))
    assert clear.shape == (96, 96, 4) and blue.shape == (96, 96, 3)
    empty = clear[..., 3] == 0
    assert 0.2 < empty.mean() < 0.9 and (blue[empty] == [0, 0, 255]).all()
    solid = clear[..., 3] == 255
    assert np.abs(clear[solid][:, :3].astype(int) - blue[solid]).max() <= 1


def test_turning_light_and_expression_change_the_picture() -> None:
    result = a_result()
    plain = result.render(size=96).astype(int)
    for changed in (
        result.render(yaw=30, size=96),
        result.render(pitch=20, size=96),
        result.render(light=(80, 20), size=96),
        result.render(expression={"jawOpen": 1.0}, size=96),
    ):
        assert np.abs(changed.astype(int) - plain).mean() > 1
    left, right = (result.render(light=(angle, 0), size=96).astype(float) for angle in (-80, 80))
    assert left[:, :48, :3].mean() > right[:, :48, :3].mean() and left[:, 48:, :3].mean() < right[:, 48:, :3].mean()


def test_wrong_wishes_are_named() -> None:
    with pytest.raises(SettingsError, match="there is no expression grin"):
        a_result().render(expression={"grin": 1.0})
    for size in (0, 100000):
        with pytest.raises(SettingsError, match="size is 1 to"):
            a_result().render(size=size)


def test_mesh_and_maps() -> None:
    mesh = a_result().to_trimesh()
    assert isinstance(mesh, trimesh.Trimesh) and 0.2 < mesh.extents[1] < 0.5
    still = a_result().to_trimesh(expression=False)
    assert still.vertices.shape == mesh.vertices.shape and not np.allclose(still.vertices, mesh.vertices)
    assert a_result().texture_image.size == a_result().albedo_image.size == (256, 256)


def test_a_notebook_shows_the_overlay() -> None:
    image = Image.open(io.BytesIO(a_result()._repr_png_()))
    assert max(image.size) <= 640 and image.mode == "RGB"


def test_what_was_saved_is_loaded(folder: Path) -> None:
    result, head = a_result(), Reconstruction.load(folder)
    assert type(head) is Head
    for name in ("texture", "albedo"):
        before, after = (getattr(item.texture, name).clamp(0, 1) for item in (result, head))
        assert float((before - after).abs().max()) <= 0.5 / 255 + 1e-6
    assert np.abs(head.render(yaw=20, size=96).astype(int) - result.render(yaw=20, size=96)).max() <= 3
    np.testing.assert_allclose(head.mesh().positions, result.mesh().positions, atol=1e-5)
    assert head.parameters() == {
        name: v for name, v in result.parameters().items() if name not in ("crop", "skin tone")
    }


@pytest.mark.parametrize("name", ["params.json", "texture.png", "albedo.png"])
def test_a_file_that_is_missing_or_broken_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ResultFileError, match=r"copy cannot be read as a result"):
        Head.load(copy)
    (copy / name).unlink()
    with pytest.raises(ResultFileError, match=name):
        Head.load(copy)


def _without_light(values: dict) -> None:
    del values["light"]


def _other_shape(values: dict) -> None:
    values["rotation"] = [[1.0]]


def _too_few(values: dict) -> None:
    values["identity"] = values["identity"][:3]


@pytest.mark.parametrize("spoil", [_without_light, _other_shape, _too_few, lambda values: values.update(camera=3)])
def test_parameters_that_make_no_head(folder: Path, tmp_path: Path, spoil) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    values = json.loads((copy / "params.json").read_text())
    spoil(values)
    (copy / "params.json").write_text(json.dumps(values))
    with pytest.raises(ResultFileError, match="cannot be read as a result"):
        Head.load(copy)


def test_a_head_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    values = json.loads((copy / "params.json").read_text())
    values["model"]["version"] = 99
    (copy / "params.json").write_text(json.dumps(values))
    with pytest.raises(ResultFileError, match="not of open-head"):
        Head.load(copy)
