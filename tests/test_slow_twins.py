"""What is quick without gradients on a CPU against its slow twin, on real photographs and on made maps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ftim.data import load_portraits
from ftim.device import convolution_precision
from ftim.errors import AssetUnavailableError
from ftim.filters import box_blur, box_blur_by_product, enlarge, halve, resized, shrink
from ftim.morphable import Region
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.render.image import ImageRenderer
from ftim.render.surface import rasterize_head, sample_at
from ftim.render.visibility import depth_planes, distance_to, grow, grow_step_by_step, outlines, plane_slopes
from ftim.render.warp_outlines import both_outlines
from ftim.structures import PartialTexture, View, learns

STEP = 1 / 255


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.build(texture_size=256)


@pytest.fixture(scope="module")
def views(pipeline: Pipeline) -> list[View]:
    """A face seen from the front, and two that look to a side."""
    try:
        photos = load_portraits("test").photos
    except AssetUnavailableError as error:
        pytest.skip(str(error))
    return [pipeline.view(photos[number].path) for number in (0, 3, 8)]


def differing(quick: torch.Tensor, slow: torch.Tensor) -> float:
    """The share of values that differ by more than a step of 8 bits."""
    return float(((quick - slow).abs() > STEP).float().mean())


def test_unwrapping(pipeline: Pipeline, views: list[View]) -> None:
    """A texel may be seen by one and not by the other where a test of depth or skin is decided by the last bit."""
    for view in views:
        slow = pipeline.uv.unwrap_whole(view.photo, view.fit, view.skin)
        for name in ("color", "visibility", "confidence"):
            assert differing(getattr(view.partial, name), getattr(slow, name)) < 1e-4, name
        assert float(view.partial.visibility.mean()) > 0.1
        without_skin = pipeline.uv(view.photo, view.fit)
        assert differing(without_skin.color, pipeline.uv.unwrap_whole(view.photo, view.fit, None).color) < 1e-4


def test_a_batch_is_its_pictures_and_a_head_may_be_given(pipeline: Pipeline, views: list[View]) -> None:
    faces = [pipeline.face(read_photo(photo.path)) for photo in load_portraits("test").photos[:2]]
    both = pipeline.views(type(faces[0]).concatenate(faces))
    for number in range(2):
        head = rasterize_head(pipeline.model, pipeline.rasterizer, both.fit[number])
        alone = pipeline.uv(both.photo[number : number + 1], both.fit[number], both.skin[number : number + 1], head)
        assert isinstance(alone, PartialTexture) and torch.equal(alone.color[0], both.partial.color[number])


def test_nothing_to_see(pipeline: Pipeline, views: list[View]) -> None:
    """Lists without an entry: no skin, and a head beside the picture."""
    view = views[0]
    covered, texture = torch.zeros_like(view.skin), torch.full((1, 3, 64, 64), 0.5)
    away = replace(view.fit, translation=view.fit.translation + torch.tensor([9.0, 0, 0]))
    for unseen in (pipeline.uv(view.photo, view.fit, covered), pipeline.uv(view.photo, away, view.skin)):
        assert float(unseen.visibility.max()) == float(unseen.color.max()) == 0
    for drawn in (
        pipeline.image(texture, view.fit, view.photo, covered),
        pipeline.image.draw_lit(texture, away, view.photo),
    ):
        assert torch.equal(drawn.overlay, view.photo) and float(drawn.mask.max()) == 0


@pytest.mark.parametrize("lit", [True, False])
def test_drawing(pipeline: Pipeline, views: list[View], lit: bool) -> None:
    for regions in (pipeline.image, ImageRenderer(pipeline.model, pipeline.rasterizer, tuple(Region))):
        for view in views:
            texture = pipeline.complete(view, "mirror").albedo
            draw = regions if lit else regions.draw_lit
            for skin in (None, view.skin):
                quick = draw(texture, view.fit, view.photo, skin, head=view.head)
                slow = regions.draw_whole(texture, view.fit, view.photo, skin, None, lit)
                for name in ("image", "mask", "overlay"):
                    torch.testing.assert_close(getattr(quick, name), getattr(slow, name), atol=1e-4, rtol=0)


def test_gradients_take_the_slow_way(pipeline: Pipeline, views: list[View]) -> None:
    view = views[0]
    texture = pipeline.complete(view, "mirror").albedo.requires_grad_()
    assert learns(texture) and not learns(view, None)
    pipeline.image(texture, view.fit, view.photo).image.sum().backward()
    assert texture.grad is not None and float(texture.grad.abs().sum()) > 0
    with torch.no_grad():
        assert not learns(texture)


def test_outlines_of_both_kinds(pipeline: Pipeline, views: list[View]) -> None:
    for view in views:
        head = rasterize_head(pipeline.model, pipeline.rasterizer, view.fit)
        triangles, fragments = pipeline.model.triangles, head.fragments
        planes = depth_planes(fragments, head.posed.positions, triangles)
        opening = pipeline.model.openings[fragments.face.clamp(min=0)] & fragments.covered
        slopes = plane_slopes(head.posed.positions, triangles)
        outer, inner = both_outlines(fragments, slopes, pipeline.model.openings, 0.015, 0.004)
        for quick, slow in ((outer, outlines(planes, 0.015, opening)), (inner, outlines(planes, 0.004))):
            assert float((quick.float() - slow[:, 0]).abs().mean()) < 1e-5
            assert 0 < float(slow.mean()) < 0.2


def map_of(channels: int, side: int = 64) -> torch.Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(side))


def with_gradient(image: torch.Tensor) -> torch.Tensor:
    return image.clone().requires_grad_()


@pytest.mark.parametrize("radius", [0, 1, 5, 40])
def test_blurs(radius: int) -> None:
    image = map_of(3)
    torch.testing.assert_close(box_blur(image, radius), box_blur_by_product(image, radius))
    assert box_blur(with_gradient(image), radius).requires_grad


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_sizes(scale: int) -> None:
    image, learnt = map_of(3), with_gradient(map_of(3))
    for function in (enlarge, shrink):
        torch.testing.assert_close(function(image, scale), function(learnt, scale).detach())
    torch.testing.assert_close(halve(image), halve(learnt).detach())
    torch.testing.assert_close(resized(image, 50, 90), resized(learnt, 50, 90).detach())
    assert shrink(map_of(1, 63), 2).shape[-1] == 31, "what does not divide is cut as PyTorch cuts it"


def test_growing_and_distances() -> None:
    marks = (map_of(1, 80) > 0.995).float()
    assert torch.equal(grow(marks, 3), grow_step_by_step(marks, 3))
    for reach in (1, 2, 7):
        distance = distance_to(marks, reach)
        assert torch.equal(distance == 0, marks > 0) and float(distance.max()) == reach
        for step in range(1, reach):
            near = distance_to(marks, step + 1) <= step
            assert torch.equal(near, distance <= step), "a longer reach changes nothing near by"
    with pytest.raises(ValueError, match="reach is 1 to 255"):
        distance_to(marks, 300)


def test_samples_are_the_same_on_any_number_of_threads() -> None:
    image, grid = map_of(3)[0], torch.rand(40001, 2) * 2 - 1
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = sample_at(image, grid)
        torch.set_num_threads(3)
        assert torch.equal(sample_at(image, grid), alone)
    finally:
        torch.set_num_threads(before)


def test_half_precision_is_within_a_step(views: list[View], monkeypatch: pytest.MonkeyPatch) -> None:
    if convolution_precision("cpu") != torch.bfloat16:
        pytest.skip("this processor does not multiply bfloat16")
    quick = Pipeline.build(texture_size=256)
    quick.completion("ftim")
    monkeypatch.setenv("FTIM_PRECISION", "float32")
    exact = Pipeline.build(texture_size=256)
    for view in views:
        one, other = quick.complete(view), exact.complete(view)
        assert not torch.equal(one.albedo, other.albedo)
        assert differing(one.texture, other.texture) < 1e-4 and differing(one.albedo, other.albedo) < 1e-3
        assert float((one.albedo - other.albedo).abs().mean()) < STEP / 20


def test_many_are_what_each_is(pipeline: Pipeline, tmp_path: Path) -> None:
    portraits = [photo.path for photo in load_portraits("test").photos[:4]]
    text = tmp_path / "letter.jpg"
    text.write_text("Dear reader")
    first, letter, *rest = pipeline.reconstruct_many([portraits[0], text, *portraits[1:]], "mirror", workers=2)
    assert "letter.jpg" in str(letter) and isinstance(letter, Exception) and len(rest) == 3
    assert not isinstance(first, Exception)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = pipeline.reconstruct(portraits[0], "mirror")
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(first.texture.albedo, alone.texture.albedo, atol=1e-4, rtol=0)
    assert torch.get_num_threads() == before, "the caller keeps its threads"
