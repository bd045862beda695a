"""The template albedo that ships: symmetric, complete, and of the stated colour."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ftim.completion.fill import region_atlas
from ftim.data.official_portraits import FIRST_VALIDATION
from ftim.data.photo_set import read_split
from ftim.errors import ModelFileError
from ftim.morphable.model import Region
from ftim.morphable.open_head import load_open_head
from ftim.morphable.template import MEAN_SKIN_ALBEDO, TEMPLATE_PATH, TEMPLATE_SIZE, load_template_albedo
from ftim.render.rasterizer import default_rasterizer
from ftim.uv import UvRenderer


@cache
def regions() -> Tensor:
    model = load_open_head()
    return region_atlas(model, UvRenderer(model, default_rasterizer(), TEMPLATE_SIZE).atlas)


def mean_of(*parts: Region) -> Tensor:
    chosen = torch.isin(regions(), torch.tensor(parts))
    return load_template_albedo()[:, chosen].mean(1)


@pytest.mark.parametrize("size", [512, 256, 128])
def test_template_is_symmetric_and_complete(size: int) -> None:
    albedo = load_template_albedo(size)
    assert albedo.shape == (3, size, size) and albedo.dtype == torch.float32
    assert float((albedo - albedo.flip(-1)).abs().max()) < 1e-6
    assert float(albedo.min()) > 0 and float(albedo.max()) <= 1


def test_mean_facial_skin_is_as_stated() -> None:
    assert torch.allclose(mean_of(Region.FACE), torch.tensor(MEAN_SKIN_ALBEDO), atol=0.01)


@pytest.mark.parametrize("part", [Region.SCALP, Region.EARS, Region.NECK])
def test_head_has_the_colour_of_the_face_all_around(part: Region) -> None:
    skin = torch.tensor(MEAN_SKIN_ALBEDO)
    texels = load_template_albedo()[:, regions() == part]
    assert torch.allclose(texels.mean(1), skin, atol=0.06)
    # Neither a black back nor smears of hair nor a white rim.
    luma = texels.mean(0) / skin.mean()
    assert float(luma.quantile(0.005)) > 0.75 and float(luma.quantile(0.995)) < 1.3


def test_eyes_teeth_and_lips_look_like_themselves() -> None:
    teeth, tongue, face = mean_of(Region.TEETH), mean_of(Region.TONGUE), mean_of(Region.FACE)
    assert float(teeth.mean()) > float(face.mean())
    assert float(tongue[0] - tongue[1]) > float(face[0] - face[1])
    eyes = load_template_albedo()[:, regions() == Region.EYES]
    grey = eyes.amax(0) - eyes.amin(0) < 0.12
    assert float(eyes.mean(0)[grey].amin()) < 0.25  # pupils
    assert float(eyes.mean(0)[grey].median()) > 0.4  # sclera


def test_there_is_no_seam_between_face_and_the_rest() -> None:
    albedo = load_template_albedo()
    face = regions() == Region.FACE
    others = torch.isin(regions(), torch.tensor([Region.SCALP, Region.EARS, Region.NECK]))
    border = (face[:, 1:] & others[:, :-1]) | (others[:, 1:] & face[:, :-1])
    step = (albedo[:, :, 1:] - albedo[:, :, :-1]).abs().amax(0)
    assert int(border.sum()) > 100
    assert float(step[border].max()) < 0.03


def test_record_names_training_people_only() -> None:
    record = json.loads(TEMPLATE_PATH.with_suffix(".json").read_text(encoding="utf-8"))
    people = {name: set(source["people"]) for name, source in record["sources"].items()}
    assert people.keys() == {"frll-train", "webmorph", "official-portraits-train"} and all(people.values())
    assert people["frll-train"] == set(read_split("frll_train"))
    assert not people["frll-train"] & set(read_split("frll_validation"))
    assert all(name.startswith("canada/") for name in people["webmorph"])
    assert people["official-portraits-train"] <= {f"{number:03d}" for number in range(FIRST_VALIDATION)}
    licences = [source["licence"] for source in record["sources"].values()]
    assert all("CC BY 4.0" in licence or "public domain" in licence for licence in licences)
    assert record["mean_skin_albedo"] == list(MEAN_SKIN_ALBEDO)


def test_missing_or_wrong_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.png"):
        load_template_albedo(path=tmp_path / "none.png")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(ModelFileError, match=r"small\.png"):
        load_template_albedo(path=tmp_path / "small.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ModelFileError, match=r"text\.png"):
        load_template_albedo(path=tmp_path / "text.png")
