"""Image Render: colours, masks, overlay, gradients, pasting back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ftim.morphable.model import MorphableModel, Region
from ftim.morphable.open_head import load_open_head
from ftim.render.image import FACE_REGIONS, ImageRenderer, paste_back, soften
from ftim.render.pose import pose_head
from ftim.render.rasterizer import default_rasterizer
from ftim.render.shading import shade
from ftim.structures import Face, Fit, Rendering
from tests.golden_pictures import assert_golden
from tests.synthetic_head import RADIUS, synthetic_fit, synthetic_head


def checker(size: int = 256, squares: int = 16) -> Tensor:
    """(1, 3, size, size): a checker board in two colours, brighter to the right."""
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    odd = ((row * squares // size + column * squares // size) % 2).float()
    board = torch.stack([0.3 + 0.5 * odd, 0.6 - 0.3 * odd, 0.2 + 0.6 * column / size])
    return board[None]


def every_region(model: MorphableModel) -> ImageRenderer:
    return ImageRenderer(model, default_rasterizer(), regions=tuple(Region))


def front_normals(size: int) -> tuple[Tensor, Tensor]:
    """The sphere's unit normals (1, H, W, 3) and (H, W) where it is seen, in closed form."""
    centre = torch.arange(size) + 0.5
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    ray = torch.stack([(x - size / 2) / (3.5 * size), (size / 2 - y) / (3.5 * size), -torch.ones(size, size)], -1)
    square = (ray**2).sum(-1)
    root = 1 - square * (1 - RADIUS**2)
    depth = (1 - root.clamp(min=0).sqrt()) / square
    normals = (ray * depth[..., None] + torch.tensor([0.0, 0.0, 1.0])) / RADIUS
    return normals[None], root > 0.0005


def test_lit_sphere_against_closed_form() -> None:
    model = synthetic_head(64, 96)
    fit = synthetic_fit(model, size=96, turn=0.7)
    rendering = every_region(model)(torch.full((1, 3, 64, 64), 0.5), fit, torch.zeros(1, 3, 96, 96))
    normals, inside = front_normals(96)
    expected = 0.5 * shade(normals, fit.light).permute(0, 3, 1, 2)
    assert rendering.mask[0, 0][inside].all()
    assert (rendering.image - expected)[..., inside].abs().max() < 0.01
    assert expected[..., inside].std() > 0.05


def test_texture_lookup_is_where_the_uv_says() -> None:
    model = synthetic_head(64, 96)
    fit = synthetic_fit(model, size=96)
    # A texture that holds its own coordinates.
    centre = (torch.arange(128) + 0.5) / 128
    v, u = torch.meshgrid(centre, centre, indexing="ij")
    image = every_region(model).draw_lit(torch.stack([u, v, u])[None], fit, torch.zeros(1, 3, 96, 96)).image
    normals, inside = front_normals(96)
    x, y, z = normals[0].unbind(-1)
    expected_u = 0.05 + 0.9 * (0.5 + torch.atan2(x, z) / (2 * torch.pi))
    expected_v = 0.05 + 0.9 * torch.acos(y.clamp(-1, 1)) / torch.pi
    inner = inside & (z > 0.3) & (y.abs() < 0.9)
    assert (image[0, 0] - expected_u)[inner].abs().max() < 0.01
    assert (image[0, 1] - expected_v)[inner].abs().max() < 0.01


def test_overlay_is_the_photo_outside_and_the_rendering_inside() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model)
    photo = torch.rand(1, 3, 96, 96)
    rendering = every_region(model)(checker(), fit, photo)
    outside = (rendering.mask == 0).expand(-1, 3, -1, -1)
    deep = (soften(rendering.mask) == 1).expand(-1, 3, -1, -1)
    assert deep.any()
    assert outside.any()
    assert torch.equal(rendering.overlay[outside], photo[outside])
    torch.testing.assert_close(rendering.overlay[deep], rendering.image[deep])
    assert (rendering.image[outside] == 0).all()
    assert rendering.overlay.min() >= 0
    assert rendering.overlay.max() <= 1


def test_regions_hide_but_are_not_drawn() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model, turn=torch.pi)
    photo = torch.rand(1, 3, 96, 96)
    # From behind, the scalp covers the face.
    rendering = ImageRenderer(model, default_rasterizer())(checker(), fit, photo)
    everything = every_region(model)(checker(), fit, photo)
    assert rendering.mask.sum() < 0.1 * everything.mask.sum()
    assert Region.SCALP not in FACE_REGIONS


def test_parts_of_the_head_that_a_picture_shows() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model, turn=torch.pi / 2)
    renderer = ImageRenderer(model, default_rasterizer())
    face, scalp, both, none = (
        renderer.shows(fit, regions)
        for regions in ((Region.FACE,), (Region.SCALP,), (Region.FACE, Region.SCALP), (Region.TEETH,))
    )
    _, inside = front_normals(96)
    assert both.shape == (1, 1, 96, 96) and both[0, 0][inside].all() and not none.any()
    assert torch.equal(face + scalp, both)
    # Turned by a right angle, the face is on one side: 7 / 10 of the half sphere's width.
    columns = face[0, 0, 48].nonzero()[:, 0]
    edges = both[0, 0, 48].nonzero()[:, 0]
    assert int(columns.max()) == int(edges.max())
    assert len(columns) / len(edges) == pytest.approx(0.6, abs=0.04)


def test_skin_restricts_the_mask() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model)
    photo = torch.rand(1, 3, 96, 96)
    skin = torch.ones(1, 1, 96, 96)
    skin[..., :48] = 0
    rendering = every_region(model)(checker(), fit, photo, skin)
    assert (rendering.mask[..., :48] == 0).all()
    assert torch.equal(rendering.overlay[..., :48], photo[..., :48])
    assert rendering.mask[..., 48:].any()


def test_lit_texture_needs_no_light() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model)
    photo = torch.rand(1, 3, 96, 96)
    dark = replace(fit, light=fit.light * 0)
    first, second = (every_region(model).draw_lit(checker(), f, photo) for f in (fit, dark))
    assert torch.equal(first.image, second.image)
    colour = torch.tensor([0.3, 0.6, 0.2]).view(1, 3, 1, 1)
    plain = every_region(model).draw_lit(colour.expand(1, 3, 64, 64), fit, photo)
    assert plain.mask.any()
    torch.testing.assert_close(plain.image, colour * plain.mask)


def test_gradients_reach_texture_light_and_geometry() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model, batch=2)
    leaves = {
        "identity": fit.identity.clone(),
        "expression": fit.expression.clone(),
        "rotation": fit.rotation.clone(),
        "translation": fit.translation.clone(),
        "light": fit.light.clone(),
    }
    for leaf in leaves.values():
        leaf.requires_grad_()
    albedo = checker().repeat(2, 1, 1, 1).requires_grad_()
    rendering = every_region(model)(albedo, Fit(camera=fit.camera, **leaves), torch.rand(2, 3, 96, 96))
    (rendering.overlay * torch.rand(2, 3, 96, 96)).sum().backward()
    for name, leaf in {**leaves, "albedo": albedo}.items():
        assert leaf.grad is not None, name
        assert torch.isfinite(leaf.grad).all(), name
        assert leaf.grad.abs().sum() > 0, name


def test_geometry_gradient_is_the_slope() -> None:
    # Moving the head sideways changes a smooth texture's picture as a finite difference says.
    model = synthetic_head()
    fit = synthetic_fit(model)
    centre = (torch.arange(64) + 0.5) / 64
    texture = (0.5 + 0.4 * torch.sin(centre * 6)).expand(1, 3, 64, 64).contiguous()
    renderer = every_region(model)
    weights = torch.zeros(96, 96)
    weights[30:66, 30:66] = torch.rand(36, 36, generator=torch.Generator().manual_seed(0))

    def score(shift: Tensor) -> Tensor:
        translation = fit.translation + shift * torch.tensor([1.0, 0.0, 0.0])
        picture = renderer.draw_lit(texture, replace(fit, translation=translation), torch.zeros(1, 3, 96, 96)).image
        return (picture.mean(1)[0] * weights).sum()

    shift = torch.zeros(1, requires_grad=True)
    (slope,) = torch.autograd.grad(score(shift), shift)
    step = 5e-4
    difference = (score(torch.tensor([step])) - score(torch.tensor([-step]))) / (2 * step)
    assert abs(slope.item() - difference.item()) < 0.02 * abs(difference.item())


def test_other_sizes() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model)
    larger = replace(fit, camera=fit.camera.resized(192, 192))
    small = every_region(model)(checker(), fit, torch.zeros(1, 3, 96, 96)).image
    large = every_region(model)(checker(), larger, torch.zeros(1, 3, 192, 192)).image
    halved = torch.nn.functional.avg_pool2d(large, 2)
    assert (halved - small).abs().mean() < 0.02
    with pytest.raises(ValueError, match=r"photo must be \(1, 3, 192, 192\)"):
        every_region(model)(checker(), larger, torch.zeros(1, 3, 96, 96))
    with pytest.raises(ValueError, match=r"texture must be \(1, 3, T, T\), got \(3, 8, 8\)"):
        every_region(model)(torch.zeros(3, 8, 8), fit, torch.zeros(1, 3, 96, 96))


def face_at(scale: float, left: float, top: float, side: int = 96) -> Face:
    return Face(
        image=torch.zeros(1, 3, side, side),
        valid=torch.ones(1, 1, side, side),
        landmarks=torch.zeros(1, 478, 2),
        blendshapes=torch.zeros(1, 52),
        crop_to_photo=torch.tensor([[scale, left, top]]),
    )


def test_paste_back_puts_the_crop_where_it_came_from() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (150, 130, 3), dtype=np.uint8)
    image = torch.from_numpy(photo[20:116, 10:106].copy()).permute(2, 0, 1)[None] / 255
    inverted = Rendering(image=1 - image, mask=torch.ones(1, 1, 96, 96), overlay=image)
    pasted = paste_back(photo, face_at(1.0, 10.0, 20.0), inverted)
    expected = photo.copy()
    expected[20:116, 10:106] = 255 - expected[20:116, 10:106]
    assert np.array_equal(pasted, expected)


@pytest.mark.parametrize("scale", [0.4, 1.7])
def test_paste_back_at_other_scales(scale: float) -> None:
    # A picture that is a function of the position in the photograph, cut at a scale, comes back as that function.
    side = 96
    left, top = -7.3, 12.6
    position = (torch.arange(side) + 0.5) * scale
    x, y = torch.meshgrid(position + left, position + top, indexing="xy")
    image = torch.stack([0.5 + 0.3 * torch.sin(x / 9), 0.5 + 0.3 * torch.cos(y / 7), x * 0 + 0.2])[None]
    mask = torch.zeros(1, 1, side, side)
    mask[..., 10:-10, 10:-10] = 1
    photo = np.full((220, 200, 3), 90, dtype=np.uint8)
    pasted = paste_back(photo, face_at(scale, left, top), Rendering(image * mask, mask, image))
    x, y = torch.meshgrid(torch.arange(200) + 0.5, torch.arange(220) + 0.5, indexing="xy")
    truth = torch.stack([0.5 + 0.3 * torch.sin(x / 9), 0.5 + 0.3 * torch.cos(y / 7), x * 0 + 0.2], -1) * 255
    crop_x, crop_y = (x - left) / scale, (y - top) / scale
    deep = ((crop_x - 48).abs() < 32) & ((crop_y - 48).abs() < 32)
    reach = 38 + 2 * max(1, 1 / scale)
    away = ((crop_x - 48).abs() > reach) | ((crop_y - 48).abs() > reach)
    assert (torch.from_numpy(pasted).float() - truth)[deep].abs().max() < 3
    assert (pasted[away.numpy()] == 90).all()
    # The dark outside of the mask does not bleed in: no pixel is darker than both layers.
    assert pasted[..., 0].min() >= 0.19 * 255


def test_paste_back_leaves_its_arguments_alone() -> None:
    photo = np.zeros((50, 50, 3), dtype=np.uint8)
    rendering = Rendering(torch.ones(1, 3, 96, 96), torch.ones(1, 1, 96, 96), torch.ones(1, 3, 96, 96))
    assert paste_back(photo, face_at(0.3, 4.0, 4.0), rendering).any()
    assert not photo.any()
    assert not paste_back(photo, face_at(0.3, 400.0, 4.0), rendering).any()
    with pytest.raises(ValueError, match="uint8"):
        paste_back(photo.astype(np.float32), face_at(0.3, 4.0, 4.0), rendering)


def test_golden_sphere() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model, turn=0.5)
    photo = torch.linspace(0.1, 0.4, 96).expand(1, 3, 96, 96)
    assert_golden("sphere_checker", ImageRenderer(model, default_rasterizer())(checker(), fit, photo).overlay[0])


def test_golden_open_head() -> None:
    model = load_open_head()
    fit = synthetic_fit(model, size=128, turn=0.5)
    expression = fit.expression.clone()
    expression[:, [24, 43]] = 0.6
    fit = replace(fit, expression=expression)
    assert pose_head(model, fit).positions.isfinite().all()
    image = every_region(model)(torch.full((1, 3, 8, 8), 0.7), fit, torch.zeros(1, 3, 128, 128)).overlay
    assert_golden("open_head", image[0])
