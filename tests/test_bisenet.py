"""The optional skin mask by face parsing: the published layout, strict loading, refusal without the file, the mask.

``bisenet_layout.txt`` lists names and shapes of the published weights, so that all but the last tests need no file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ftim.assets import asset_path, present_asset_path
from ftim.build import SkinMaskName
from ftim.data import load_portraits
from ftim.errors import AssetHashError, AssetUnavailableError, ModelFileError
from ftim.morphable.model import MorphableModel, Region
from ftim.morphable.open_head import load_open_head
from ftim.morphable.template import load_template_albedo
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.regressors.mirror import mirror_face, mirror_fit
from ftim.render.rasterizer import Rasterizer, default_rasterizer
from ftim.render.surface import RasterizedHead
from ftim.skin import skin_mask
from ftim.skin.bisenet import ASSET, INPUT_SIZE, SURFACE, bisenet_skin_mask, load_bisenet, surface_share
from ftim.skin.bisenet_network import CLASSES
from ftim.skin.geometry import head_pixels
from ftim.structures import Face, Fit
from tests.test_skin import FEATURES, HAIR, SIZE, SKIN, WALL, Scene, inner_face, shown

LAYOUT = Path(__file__).with_name("bisenet_layout.txt")
GLASSES = (0.1, 0.3, 0.7)
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
SPREAD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_open_head()


@pytest.fixture(scope="module")
def rasterizer() -> Rasterizer:
    return default_rasterizer()


@pytest.fixture
def empty_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without the file; returns a folder of the user's, empty too."""
    monkeypatch.setenv("FTIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FTIM_ASSETS", str(tmp_path / "own"))
    monkeypatch.delenv("FTIM_OFFLINE", raising=False)
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def random_state() -> dict[str, Tensor]:
    """Numbers of the published layout: convolutions that keep the size of their input, batch norms that do little."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for line in LAYOUT.read_text(encoding="utf-8").splitlines():
        name, *shape = line.split()
        size = [int(length) for length in shape]
        if len(size) == 4:
            state[name] = torch.randn(size, generator=generator) / np.sqrt(np.prod(size[1:]))
        elif name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1)
        else:
            noise = 0.1 * torch.rand(size, generator=generator)
            state[name] = 1 + noise if name.endswith(("weight", "running_var")) else noise
    return state


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return random_state()


def saved(path: Path, content: object, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


class ByColour(nn.Module):
    """In the network's place: it undoes the normalisation and knows each class by its colour."""

    def __init__(self, classes: dict[str, tuple[float, float, float]], shift: int = 0) -> None:
        super().__init__()
        self.classes = classes
        self.shift = shift
        """Pixels by which the answer lies beside the truth."""
        self.seen: list[tuple[int, ...]] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(tuple(image.shape))
        image = (image * SPREAD + MEAN).roll(self.shift, -1)
        logits = torch.full((len(image), len(CLASSES), *image.shape[2:]), -50.0)
        for name, colour in self.classes.items():
            far = (image - torch.tensor(colour)[:, None, None]).square().sum(1)
            index = CLASSES.index(name)
            logits[:, index] = torch.maximum(logits[:, index], -20 * far)
        return logits


class Always(nn.Module):
    """In the network's place: the same class everywhere."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.index = CLASSES.index(name)

    def forward(self, image: Tensor) -> Tensor:
        logits = image.new_zeros(len(image), len(CLASSES), *image.shape[2:])
        logits[:, self.index] = 5
        return logits


PAINTED = {"skin": SKIN, "hair": HAIR, "background": WALL, "glasses": GLASSES, "upper lip": (0.6, 0.3, 0.3)}


def test_weights_of_the_published_layout_load_and_are_used(state: dict[str, Tensor], tmp_path: Path) -> None:
    network = load_bisenet(saved(tmp_path / "weights.pth", state, legacy=True))
    own = network.state_dict()
    assert list(own) == list(state) and all(torch.equal(own[name], state[name]) for name in state)
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())
    assert {tensor.dtype for name, tensor in own.items() if "num_batches" not in name} == {torch.float32}
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    logits = network(image)
    assert logits.shape == (1, 19, 64, 96) and torch.isfinite(logits).all() and float(logits.std()) > 0


def test_every_number_but_those_for_training_changes_the_answer(state: dict[str, Tensor], tmp_path: Path) -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    network = load_bisenet(saved(tmp_path / "weights.pth", state)).requires_grad_(True)
    network(image).square().sum().backward()
    silent = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert silent == {name for name, _ in network.named_parameters() if name.startswith(("conv_out16", "conv_out32"))}
    assert all(parameter.grad.any() for parameter in network.parameters() if parameter.grad is not None)


def without(state: dict[str, Tensor]) -> object:
    return {name: value for name, value in state.items() if name != "ffm.conv1.weight"}


def with_more(state: dict[str, Tensor]) -> object:
    return state | {"ffm.conv3.weight": torch.zeros(1)}


def of_other_shape(state: dict[str, Tensor]) -> object:
    return state | {"conv_out.conv_out.weight": torch.zeros(11, 256, 1, 1)}


def nested(state: dict[str, Tensor]) -> object:
    return {"state_dict": state}


def as_list(state: dict[str, Tensor]) -> object:
    return list(state.values())[:2]


@pytest.mark.parametrize("change", [without, with_more, of_other_shape, nested, as_list])
def test_weights_of_another_layout_are_refused(
    state: dict[str, Tensor], tmp_path: Path, change: Callable[[dict[str, Tensor]], object]
) -> None:
    path = saved(tmp_path / "other.pth", change(state))
    with pytest.raises(ModelFileError, match=r"other\.pth .*ftim assets --fetch 79999_iter\.pth") as error:
        load_bisenet(path)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.0002, 0.5, 0.999])
def test_truncated_weights_are_refused(state: dict[str, Tensor], tmp_path: Path, share: float, legacy: bool) -> None:
    path = saved(tmp_path / "weights.pth", state, legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelFileError, match=r"weights\.pth"):
        load_bisenet(path)


def test_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.pth"
    path.write_text("<html>not found</html>")
    with pytest.raises(ModelFileError, match=r"page\.pth"):
        load_bisenet(path)


def test_absent_weights_are_refused_and_not_fetched(empty_places: Path) -> None:
    for attempt in (load_bisenet, lambda: Pipeline.build(skin="bisenet")):
        with pytest.raises(AssetUnavailableError) as error:
            attempt()
        text = str(error.value)
        assert ASSET in text and "NON-COMMERCIAL" in text and f"`ftim assets --fetch {ASSET}`" in text
        assert str(empty_places) in text and str(empty_places.parent / "cache") in text
    assert not (empty_places.parent / "cache").exists()


def test_another_file_of_that_name_is_refused(empty_places: Path) -> None:
    (empty_places / ASSET).write_bytes(b"something else")
    with pytest.raises(AssetHashError, match=ASSET):
        load_bisenet()


def test_unknown_skin_mask_is_refused_and_the_default_needs_no_file(empty_places: Path) -> None:
    assert get_args(SkinMaskName) == ("embedded", "bisenet")
    with pytest.raises(ValueError, match=r"grabcut.*embedded or bisenet"):
        Pipeline.build(skin="grabcut")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CLASSES)
def test_classes_of_the_surface_fill_the_head_and_no_other_does(model, rasterizer, name: str) -> None:
    scene = Scene(model, rasterizer, turn=0.4)
    mask = bisenet_skin_mask(Always(name), scene.face(), scene.fit, model, rasterizer)
    assert mask.shape == (1, 1, SIZE, SIZE) and mask.dtype == torch.float32
    assert shown(mask, ~scene.head) < 0.01
    within = cv2.erode(scene.head.astype(np.uint8), np.ones((9, 9))) > 0
    expected = 0.0 if name in ("background", "glasses", "earring", "necklace", "cloth", "hair", "hat") else 1.0
    assert shown(mask, within) == pytest.approx(expected, abs=0.15)
    assert (name in SURFACE) == (expected == 1)


def test_mask_lies_where_the_colours_are(model, rasterizer) -> None:
    scene = Scene(model, rasterizer)
    u = scene.unit
    lock = np.array([[-1.2, -1.5], [1.2, -1.5], [1.2, 0.0], [0.0, -0.25], [-1.2, 0.0]])
    away = scene.paint(scene.landmarks[9] + u * lock, HAIR)
    away |= scene.paint(scene.landmarks[1] + u * np.array([[0.3, -0.2], [0.9, -0.2], [0.9, 0.1], [0.3, 0.1]]), GLASSES)
    network = ByColour(PAINTED)
    mask = bisenet_skin_mask(network, scene.face(), scene.fit, model, rasterizer)
    assert network.seen == [(2, 3, INPUT_SIZE, INPUT_SIZE)]
    features = np.zeros((SIZE, SIZE), np.uint8)  # brows and eyes have hair's and the wall's colour here
    for outline in FEATURES:
        cv2.fillPoly(features, [scene.landmarks[list(outline)].astype(np.int32)], 1)
    assert shown(mask, away) < 0.02 and shown(mask, ~scene.head) < 0.002
    near = cv2.dilate(away.astype(np.uint8) | features, np.ones((11, 11))) > 0
    assert shown(mask, inner_face(scene) & ~near) > 0.97


def test_mirrored_photo_gives_the_mirrored_mask(model, rasterizer) -> None:
    scene = Scene(model, rasterizer, turn=0.5)
    face = scene.face()
    for network in (ByColour(PAINTED), ByColour(PAINTED, shift=9)):
        mask = bisenet_skin_mask(network, face, scene.fit, model, rasterizer)
        mirrored = bisenet_skin_mask(network, mirror_face(face), mirror_fit(scene.fit, model), model, rasterizer)
        assert float((mask - mirrored.flip(-1)).abs().mean()) < 1e-3
    assert float(mask.mean()) > 0.1


def test_half_a_chance_stays_between(model, rasterizer) -> None:
    image = torch.full((1, 3, 64, 64), 0.4)
    even = ByColour({"skin": (0.4, 0.4, 0.4), "hair": (0.4, 0.4, 0.4)})
    assert torch.allclose(surface_share(even, image), torch.tensor(0.5), atol=1e-4)
    # The network's own probability is 0.6 here, and it hardly says more than 0.76 where it is sure.
    rather = ByColour({"skin": (0.4, 0.4, 0.4), "hair": (0.4, 0.4, 0.54)})
    assert 0.8 < float(surface_share(rather, image).mean()) < 0.99


def test_batch_gives_what_single_photos_give_and_padding_is_left_out(model, rasterizer) -> None:
    scenes = [Scene(model, rasterizer, turn) for turn in (0.0, 0.4, 0.0, -0.3, 0.2)]
    face, fit = Face.concatenate([s.face() for s in scenes]), Fit.concatenate([s.fit for s in scenes])
    valid = face.valid.clone()
    valid[2, ..., : SIZE // 2] = 0
    face = dataclasses.replace(face, valid=valid)
    network = ByColour(PAINTED)
    masks = bisenet_skin_mask(network, face, fit, model, rasterizer)
    for index in range(len(scenes)):
        one = bisenet_skin_mask(network, face[index], fit[index], model, rasterizer)
        assert torch.allclose(masks[index : index + 1], one, atol=1e-5)
    assert float(masks[2, ..., : SIZE // 2].max()) == 0 and float(masks[2, ..., SIZE // 2 :].mean()) > 0.1


def test_pipeline_uses_the_mask_it_was_given(model, rasterizer) -> None:
    def left_half(
        face: Face, fit: Fit, model: MorphableModel, rasterizer: Rasterizer, *, head: RasterizedHead | None = None
    ) -> Tensor:
        mask = torch.zeros_like(face.valid)
        mask[..., : SIZE // 2] = 1
        return mask

    template = load_template_albedo(64)
    face = Scene(model, rasterizer).face()
    view = Pipeline(model, template, rasterizer, SIZE, 64, left_half).views(face)
    assert torch.equal(view.skin, left_half(face, view.fit, model, rasterizer))
    view = Pipeline(model, template, rasterizer, SIZE, 64).views(face)
    assert torch.equal(view.skin, skin_mask(face, view.fit, model, rasterizer))


@pytest.fixture(scope="module")
def published() -> nn.Module:
    try:
        return load_bisenet(present_asset_path(ASSET))
    except AssetUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.licensed
def test_published_weights_agree_with_the_embedded_mask_on_portraits(published: nn.Module) -> None:
    try:
        photos = load_portraits("test").first(3).photos
        asset_path("face_landmarker.task")
    except AssetUnavailableError as error:
        pytest.skip(str(error))
    pipeline = Pipeline.build(skin="bisenet")
    face = Face.concatenate([pipeline.face(read_photo(photo.path)) for photo in photos])
    view = pipeline.views(face)
    fit, skin = view.fit, view.skin
    embedded = skin_mask(face, fit, pipeline.model, pipeline.rasterizer) > 0.5
    heads = head_pixels(face, fit, pipeline.model, pipeline.rasterizer)
    surface = torch.from_numpy(np.stack([head.region == Region.FACE for head in heads]))[:, None]
    both = (skin > 0.5) & embedded & surface
    either = ((skin > 0.5) | embedded) & surface
    assert (both.sum((1, 2, 3)) / either.sum((1, 2, 3)) > 0.75).all(), "on 48 photographs it was 0.79 to 0.99"
    # The network alone, before the fit cuts: at the corners of an official portrait there is no skin.
    share = surface_share(published, face.image)
    assert float(share[..., :20, :20].max()) < 0.1
    nose = face.landmarks[:, 1].round().long()
    assert all(float(share[i, 0, y, x]) > 0.95 for i, (x, y) in enumerate(nose.tolist()))
