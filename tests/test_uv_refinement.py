"""UV Render: what the map is given so that a lookup in it gives the photograph back."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.morphable.model import MorphableModel
from ftim.render.image import ImageRenderer
from ftim.render.rasterizer import default_rasterizer
from ftim.render.visibility import grow
from ftim.uv import UvRenderer
from ftim.uv_settings import UvSettings
from tests.synthetic_head import synthetic_fit, synthetic_head
from tests.test_uv import HEADS, smooth_photo, texel_points


def textured_photo(size: int) -> Tensor:
    """Noise with the spectrum of photographs: amplitude over frequency. (1, 3, size, size)."""
    noise = torch.fft.rfft2(torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0)))
    down, right = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)
    clouds = torch.fft.irfft2(noise / (down**2 + right**2).sqrt().clamp_min(1 / size), s=(size, size))
    return (0.5 + 0.14 * (clouds - clouds.mean()) / clouds.std()).clamp(0, 1)


def drawn_back(model: MorphableModel, refinements: int, side: int) -> tuple[float, float]:
    """Photo -> map -> picture: PSNR, and gradient energy over the photograph's, where the picture's skin was seen."""
    fit, photo = synthetic_fit(model, size=224, turn=0.3), textured_photo(224)
    partial = UvRenderer(model, default_rasterizer(), side, UvSettings(refinements=refinements))(photo, fit)
    renderer = ImageRenderer(model, default_rasterizer())
    again = renderer.draw_lit(partial.color, fit, photo).image
    whole = renderer.draw_lit(partial.visibility.expand(-1, 3, -1, -1), fit, photo).image[:, :1] > 0.999
    seen = grow((~whole).float(), 2) == 0  # no lookup reaches a texel that was not seen
    error = (again - photo).square().mean(1, keepdim=True)[seen].mean()
    return float(-10 * error.log10()), float(gradient_energy(again, seen) / gradient_energy(photo, seen))


def gradient_energy(picture: Tensor, where: Tensor) -> Tensor:
    """Sum of squared steps to the right and down between pixels (B, 1, H, W) that both count."""
    total = picture.new_zeros(())
    for axis in (-2, -1):
        count = picture.shape[axis] - 1
        both = where.narrow(axis, 0, count) & where.narrow(axis, 1, count)
        total = total + (picture.diff(dim=axis).square() * both).sum()
    return total


@pytest.mark.parametrize("side", [512, 1024])
@pytest.mark.parametrize("name", HEADS)
def test_refinement_gives_the_photograph_back(name: str, side: int) -> None:
    """Also where Image Render halves the map first (the larger map of the sphere): it serves the lookup that draws."""
    plain, refined = (drawn_back(HEADS[name](), refinements, side) for refinements in (0, 3))
    assert refined[0] > plain[0] + 2.5
    assert refined[1] > 0.95
    assert abs(1 - refined[1]) < 0.5 * abs(1 - plain[1])


@pytest.mark.parametrize("name", HEADS)
def test_refinement_stays_away_from_what_was_not_seen(name: str) -> None:
    """A photograph of one colour is a map of one colour, up to the end of what was seen."""
    model = HEADS[name]()
    fit = synthetic_fit(model, size=224, turn=0.5)
    partial = UvRenderer(model, default_rasterizer(), 256, UvSettings(refinements=3))(
        torch.full((1, 3, 224, 224), 0.6), fit
    )
    seen = partial.visibility[0, 0] > 0
    assert seen.any() and not seen.all()
    assert float((partial.color[0, :, seen] - 0.6).abs().max()) < 0.01


def test_refinement_changes_colours_alone_and_none_is_plain_sampling() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model, size=96, turn=0.3)
    photo = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    plain, refined = (
        UvRenderer(model, default_rasterizer(), 64, UvSettings(refinements=count))(photo, fit) for count in (0, 3)
    )
    points, _ = texel_points(UvRenderer(model, default_rasterizer(), 64), fit)
    places = fit.camera.project(points.flatten(2).mT)[..., :2].view(1, 64, 64, 2) / 48 - 1
    sampled = F.grid_sample(photo, places, mode="bicubic", padding_mode="border", align_corners=False)
    seen = (plain.visibility > 0).expand_as(sampled)
    assert torch.allclose(plain.color[seen], sampled.clamp(0, 1)[seen], atol=1e-5) and not plain.color[~seen].any()
    assert torch.equal(plain.visibility, refined.visibility) and torch.equal(plain.confidence, refined.confidence)
    assert float((plain.color - refined.color).abs().max()) > 0.01
    assert float(refined.color.min()) >= 0 and float(refined.color.max()) <= 1


def test_gradient_to_the_photo_is_that_of_plain_sampling() -> None:
    """The refinement is a constant to it."""
    model = synthetic_head()
    fit = synthetic_fit(model, size=96)
    weights = torch.rand(1, 3, 64, 64)
    gradients = []
    for refinements in (0, 3):
        photo = (0.3 + 0.4 * smooth_photo(1, 96)).requires_grad_()  # nothing is clipped
        renderer = UvRenderer(model, default_rasterizer(), 64, UvSettings(refinements=refinements))
        (gradient,) = torch.autograd.grad((renderer(photo, fit).color * weights).sum(), photo)
        gradients.append(gradient)
    assert gradients[0].any()
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)
