"""Rendered heads: the same by seed, and true to what is said of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ftim.data.rendered.albedos import SIDE, Skins
from ftim.data.rendered.camera import Development, develop, to_linear, to_srgb, toned
from ftim.data.rendered.draw import Drawing, Skin, draw_head
from ftim.data.rendered.dress import OCCLUDERS, Bust, before_the_face
from ftim.data.rendered.examples import lesson
from ftim.data.rendered.light import Lights, lights_of, turned, with_lamp
from ftim.data.rendered.scene import HeadStudio
from ftim.data.rendered.things import Lens, Thing, ball, joined
from ftim.errors import DatasetError
from ftim.morphable import MorphableModel, load_open_head
from ftim.morphable.template import load_template_albedo
from ftim.pipeline import Pipeline
from ftim.render.rasterizer import default_rasterizer
from ftim.structures import Camera, Fit
from ftim.training.rendered import pack_lesson, read_lesson
from ftim.uv import UvRenderer

PICTURE = 96


@cache
def model() -> MorphableModel:
    return load_open_head()


@pytest.fixture(scope="module")
def skins(tmp_path_factory: pytest.TempPathFactory) -> Skins:
    path = tmp_path_factory.mktemp("bank") / "bank.safetensors"
    template = (load_template_albedo(SIDE) * 255).round().to(torch.uint8).contiguous()
    save_file({"template": template, "mirrored": template.flip(-1).contiguous()}, str(path))
    return Skins.load(path, UvRenderer(model(), default_rasterizer(), SIDE))


def sky() -> np.ndarray:
    """Bright above, darker below."""
    rows = np.linspace(2.0, 0.2, 64, dtype=np.float32)[:, None, None]
    return np.ascontiguousarray(np.broadcast_to(rows, (64, 128, 3)))


def frontal() -> Fit:
    focal, distance = 2.5 * PICTURE, 0.85
    camera = Camera(torch.tensor([focal]), torch.full((1, 2), PICTURE / 2), PICTURE, PICTURE)
    return Fit(
        torch.zeros(1, len(model().identity_basis)), torch.zeros(1, len(model().expression_basis)),
        torch.eye(3)[None], torch.tensor([[0.0, 0.0, -distance]]), torch.zeros(1, 9, 3), camera,
    )  # fmt: skip


def bust() -> Bust:
    vertices = model().template[None]
    return Bust(
        vertices[0].numpy(), model().normals(vertices)[0].numpy(), model().triangles.numpy(), model().regions.numpy(),
        model().place.numpy(), model().landmarks(vertices)[0].numpy(),
    )  # fmt: skip


def lamp(x: float) -> Lights:
    """One distant white light."""
    direction = np.array([[x, 0.0, 1.0]], np.float32)
    direction /= np.linalg.norm(direction)
    ones = np.ones((1, 3), np.float32)
    return Lights(direction, ones, np.full(1, 0.004, np.float32), np.zeros((4, 8, 3), np.float32))


def drawn(lights: Lights, things: list[Thing] | None = None, lenses: list[Lens] | None = None) -> Drawing:
    flat = torch.ones(1, 64, 64)
    skin = Skin(0.5 * flat.expand(3, -1, -1), 0.5 * flat, 0.0 * flat, torch.zeros(3, 64, 64))
    background = np.zeros((PICTURE, PICTURE, 3), np.float32)
    return draw_head(model(), default_rasterizer(), frontal(), skin, things or [], lenses or [], lights, background)


def test_the_same_seed_is_the_same_head_and_another_is_not(skins: Skins) -> None:
    studio = HeadStudio(model(), default_rasterizer(), skins, [sky()])
    one, same, other = studio(3), studio(3), studio(4)
    assert np.array_equal(one.photo, same.photo) and np.array_equal(one.albedo_map, same.albedo_map)
    assert torch.equal(one.fit.identity, same.fit.identity)
    assert not np.array_equal(one.albedo_map, other.albedo_map)
    assert one.photo.dtype == np.uint8 and one.photo.shape == (*one.skin.shape, 3)
    assert one.fit.camera.height == len(one.photo)
    assert bool((one.skin <= np.maximum(one.head, one.skin)).all()) and one.head.max() == 255


def test_light_from_one_side_shines_there_and_the_nose_casts_a_shadow() -> None:
    left, right = (drawn(lamp(x)).radiance.mean(-1) for x in (-1.2, 1.2))
    half = PICTURE // 2
    assert left[:, :half].sum() > 1.5 * left[:, half:].sum()
    assert right[:, half:].sum() == pytest.approx(left[:, :half].sum(), rel=0.05), "the head is symmetric"
    front = drawn(lamp(0.0)).radiance.mean(-1)
    assert left[:, half:].min() < front[:, half:].max()


def test_what_hangs_before_the_face_hides_skin_and_not_the_truth_below_it() -> None:
    nose = bust().landmarks[1]
    thing = ball(nose + np.array([0.0, 0.0, 0.04]), np.full(3, 0.02), np.array([0.0, 0.8, 0.0]))
    bare, hidden = drawn(lamp(0.0)), drawn(lamp(0.0), [thing])
    gone = (bare.skin > 0.5) & (hidden.skin < 0.5)
    assert 30 < gone.sum() < 0.3 * (bare.skin > 0.5).sum()
    assert (hidden.radiance[gone][:, 1] > 2 * hidden.radiance[gone][:, 0]).mean() > 0.9, "it is green"
    assert np.array_equal(bare.albedo, hidden.albedo) and np.array_equal(bare.head, hidden.head)
    shadowed = (bare.skin > 0.5) & ~gone & (hidden.radiance.mean(-1) < 0.6 * bare.radiance.mean(-1))
    assert shadowed.sum() > 0, "and casts a shadow"


@pytest.mark.parametrize("kind", OCCLUDERS)
def test_each_thing_is_a_mesh_that_hides_some_skin(kind: str) -> None:
    hidden = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        things, lenses = before_the_face(kind, bust(), rng, np.full(3, 0.05), np.full(3, 0.3))
        if things:
            vertices, triangles, colour, _ = joined(things)
            assert np.isfinite(vertices).all() and triangles.max() < len(vertices) == len(colour)
        hidden.append(float((drawn(lamp(0.0)).skin - drawn(lamp(0.0), things, lenses).skin).clip(0).sum()))
    assert max(hidden) > 5


def test_lights_of_a_map_give_what_the_map_gives() -> None:
    """An even sky of radiance 1 shines irradiance pi on every surface: a white one shines 1 back."""
    even = np.ones((64, 128, 3), np.float32)
    lights = lights_of(even, np.random.default_rng(0), 2000)
    assert np.allclose(np.linalg.norm(lights.directions, axis=1), 1, atol=1e-5)
    for normal in ([0, 0, 1], [0, 1, 0], [1, 0, 0]):
        given = (lights.colour * np.clip(lights.directions @ np.array(normal, np.float32), 0, None)[:, None]).sum(0)
        assert given == pytest.approx(np.ones(3), abs=0.1)
    turned_once = turned(even * np.arange(128, dtype=np.float32)[None, :, None], 0.25)
    assert turned_once[0, 32, 0] == 0
    more = with_lamp(lights, np.array([0.0, 0.0, 1.0]), np.full(3, 2.0), 0.3, np.random.default_rng(1))
    assert more.colour.sum() - lights.colour.sum() == pytest.approx(6, rel=1e-4)


def test_development_of_a_plain_one_is_the_srgb_curve() -> None:
    plain = Development(np.ones(3), 1.0, 1.0, 0.0, 0.0, 95)
    linear = np.linspace(0, 0.8, 50)[:, None].repeat(3, 1)
    assert toned(linear, plain) == pytest.approx(to_srgb(linear), abs=1e-6)
    assert to_linear(to_srgb(linear)) == pytest.approx(linear, abs=1e-6)
    grey = np.full((16, 16, 3), 0.2, np.float32)
    pixels = develop(grey, replace(plain, gain=np.full(3, 2.0)), np.random.default_rng(0))
    assert abs(int(pixels.mean()) - round(255 * float(to_srgb(np.array(0.4))))) <= 1


def test_a_lesson_is_read_as_it_was_packed(skins: Skins, tmp_path: Path) -> None:
    pipeline = Pipeline.build(texture_size=256)
    studio = HeadStudio(model(), pipeline.rasterizer, skins, [sky()])
    view, truth = lesson(pipeline, studio(0))
    path = tmp_path / "000000.safetensors"
    save_file(pack_lesson(view, truth), str(path))
    read, known = read_lesson(path)
    assert torch.allclose(known.albedo, truth.albedo, atol=1 / 255) and known.bare.shape == (1, 1, 256, 256)
    assert torch.allclose(read.photo, view.photo, atol=1 / 255)
    seen = (view.partial.confidence > 0.9) & (truth.bare > 0.9)
    assert seen.sum() > 1000 and bool((truth.bare[view.partial.visibility == 0] == 1).all())
    path.write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="Delete it"):
        read_lesson(path)
