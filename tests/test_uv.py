"""UV Render: colours land on their texels, and only where the camera saw them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.morphable.model import MorphableModel, Region
from ftim.morphable.open_head import load_open_head
from ftim.regressors.mirror import mirror_fit
from ftim.render.atlas import GUTTER, build_atlas, rasterize_atlas
from ftim.render.image import ImageRenderer
from ftim.render.pose import pose_head
from ftim.render.rasterizer import default_rasterizer
from ftim.render.visibility import depth_planes, distance_to, grow, in_sight, outlines, shifted_depth
from ftim.structures import Fit
from ftim.uv import UvRenderer
from ftim.uv_settings import UvSettings
from tests.synthetic_head import synthetic_fit, synthetic_head

HEADS: dict[str, Callable[[], MorphableModel]] = {"sphere": synthetic_head, "open-head": load_open_head}


def smooth_photo(batch: int, size: int, seed: int = 0, detail: int = 12) -> Tensor:
    """Random coloured clouds in [0, 1] with detail of ``size / detail`` pixels."""
    noise = torch.rand(batch, 3, detail, detail, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)


def with_screen(model: MorphableModel, left: float, distance: float) -> MorphableModel:
    """The sphere with a square screen 4 cm wide before it, ``distance`` metres before its front."""
    z = 0.1 + distance
    corners = torch.tensor([[left, -0.02, z], [left + 0.04, -0.02, z], [left + 0.04, 0.02, z], [left, 0.02, z]])
    count = len(model.template)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    none = torch.zeros(1, 4, 3)
    return replace(
        model,
        template=torch.cat([model.template, corners]),
        identity_basis=torch.cat([model.identity_basis, none.expand(len(model.identity_basis), -1, -1)], 1),
        expression_basis=torch.cat([model.expression_basis, none.expand(len(model.expression_basis), -1, -1)], 1),
        triangles=torch.cat([model.triangles, faces + count]),
        # The screen has no texels of its own: its UV triangles have no area.
        uv=torch.cat([model.uv, torch.zeros(4, 2)]),
        uv_triangles=torch.cat([model.uv_triangles, faces * 0 + count]),
        regions=torch.cat([model.regions, torch.full((2,), int(Region.SCALP))]),
    )


def texel_points(renderer: UvRenderer, fit: Fit) -> tuple[Tensor, Tensor]:
    """(B, 3, T, T) camera positions and (T, T) bool: texels inside the charts."""
    atlas = renderer.atlas
    points = atlas.image(atlas.spread(pose_head(renderer.model, fit).vertices))
    inside = atlas.image(atlas.inside[None, :, None].float())[0, 0] > 0
    return points, inside


def test_colours_are_those_at_the_projected_texels() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model, size=96, batch=2, turn=0.3)
    # A photograph that holds its own coordinates.
    centre = (torch.arange(96) + 0.5) / 96
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    renderer = UvRenderer(model, default_rasterizer(), 128, UvSettings(refinements=0))
    partial = renderer(torch.stack([x, y, x]).expand(2, -1, -1, -1), fit)
    points, _ = texel_points(renderer, fit)
    projected = fit.camera.project(points.flatten(2).mT).mT.view(2, 3, 128, 128) / 96
    seen = partial.visibility[:, 0] > 0
    assert seen.float().mean() > 0.2
    assert (partial.color[:, 0] - projected[:, 0])[seen].abs().max() < 1e-3
    assert (partial.color[:, 1] - projected[:, 1])[seen].abs().max() < 1e-3


def test_sphere_is_seen_where_it_faces_the_camera() -> None:
    model = synthetic_head(48, 72)
    fit = synthetic_fit(model, size=224, turn=-0.4)
    renderer = UvRenderer(model, default_rasterizer(), 256)
    partial = renderer(torch.rand(1, 3, 224, 224), fit)
    points, inside = texel_points(renderer, fit)
    normal = F.normalize(points - torch.tensor([0.0, 0.0, -1.0]).view(1, 3, 1, 1), dim=1)
    cosine = -(normal * F.normalize(points, dim=1)).sum(1)[0]
    seen = partial.visibility[0, 0] > 0
    # The silhouette is where the cosine is 0; two pixels within it, at 78 pixels radius, it is 0.23.
    assert seen[inside & (cosine > 0.3)].all()
    assert not seen[inside & (cosine < 0.12)].any()
    confidence = partial.confidence[0, 0]
    assert (confidence[inside & (cosine > UvSettings().full_cosine)] > 0.99).all()
    steep = confidence[inside & seen & (cosine < 0.5)]
    assert len(steep) > 300 and (steep < 0.9).all()
    assert (confidence[~seen] == 0).all()
    assert (partial.color[0, :, ~seen] == 0).all()


def test_view_cosine_of_a_sphere() -> None:
    model = synthetic_head(48, 72)
    fit = synthetic_fit(model, size=224, turn=-0.4)
    renderer = UvRenderer(model, default_rasterizer(), 256)
    points, inside = texel_points(renderer, fit)
    normal = F.normalize(points - torch.tensor([0.0, 0.0, -1.0]).view(1, 3, 1, 1), dim=1)
    wanted = -(normal * F.normalize(points, dim=1)).sum(1)[0]
    found = renderer.view_cosine(fit)
    assert found.shape == (1, 1, 256, 256)
    assert torch.allclose(found[0, 0][inside], wanted[inside].clamp(min=0), atol=0.03)


@pytest.mark.parametrize("distance", [0.004, 0.05])
def test_occluded_texels_are_not_seen(distance: float) -> None:
    model = with_screen(synthetic_head(48, 72), left=-0.02, distance=distance)
    fit = synthetic_fit(model, size=224)
    renderer = UvRenderer(model, default_rasterizer(), 256)
    partial = renderer(torch.rand(1, 3, 224, 224), fit)
    points, inside = texel_points(renderer, fit)
    x, y, depth = fit.camera.project(points.flatten(2).mT)[0].mT.view(3, 256, 256)
    half = 0.02 * 3.5 * 224 / (1 - 0.1 - distance)
    away = torch.maximum((x - 112).abs(), (y - 112).abs()) - half
    front = inside & (depth < 0.96)
    seen = partial.visibility[0, 0] > 0
    assert (front & (away < -2)).sum() > 300
    assert not seen[front & (away < -1)].any()
    assert seen[front & (away > 4)].all()
    # Confidence comes back gradually beside a far screen.
    near, far = (partial.confidence[0, 0][front & (away > low) & (away < low + 1)].mean() for low in (4, 9))
    assert far > 0.9
    if distance > 0.01:
        assert near < far - 0.1


def test_a_flat_board_is_no_outline_however_steep() -> None:
    positions = torch.tensor([[[2.0, 2.0, 0.8], [30.0, 2.0, 1.0], [30.0, 30.0, 1.0], [2.0, 30.0, 0.8]]])
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]])
    fragments = default_rasterizer()(positions, triangles, 32, 32)
    planes = depth_planes(fragments, positions, triangles)
    marks = outlines(planes, 0.004)[0, 0]
    assert not marks[4:28, 4:28].any()
    assert marks[2, 10]
    assert marks[1, 10]
    # The plane one pixel on is what that pixel shows.
    ahead = shifted_depth(planes, 1.0, 0.0)[0, 10, 4:20]
    torch.testing.assert_close(ahead, fragments.depth[0, 10, 5:21], rtol=1e-4, atol=0)


def test_points_on_a_surface_are_in_sight_and_points_behind_are_not() -> None:
    model = load_open_head()
    fit = synthetic_fit(model, size=224, turn=0.6)
    head = pose_head(model, fit)
    fragments = default_rasterizer()(head.positions, model.triangles, 224, 224)
    planes = depth_planes(fragments, head.positions, model.triangles)
    row, column = torch.nonzero(fragments.covered[0]).unbind(-1)
    depth = fragments.depth[0, row, column]
    on = torch.stack([column + 0.5, row + 0.5, depth], -1)[None]
    behind = on + torch.tensor([0.0, 0.0, 0.002])
    assert in_sight(planes, on, 0.0015).all()
    assert not in_sight(planes, behind, 0.0015).any()
    outside = torch.tensor([[[-0.1, 5.0, 0.5], [5.0, 224.1, 0.5], [float("nan"), 5.0, 0.5]]])
    assert not in_sight(planes, outside, 0.0015).any()


def test_distances() -> None:
    marked = torch.zeros(1, 1, 15, 15)
    marked[..., 7, 7] = 1
    distance = distance_to(marked, 6)[0, 0]
    assert distance[7, 7:].tolist() == [0, 1, 2, 3, 4, 5, 6, 6]
    row, column = torch.meshgrid(torch.arange(15) - 7, torch.arange(15) - 7, indexing="ij")
    exact = (row**2 + column**2).float().sqrt().clamp(max=6)
    assert (distance - exact).abs().max() < 1.1
    assert grow(marked, 2).sum() == 25


def test_skin_and_gutter() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model, size=96)
    renderer = UvRenderer(model, default_rasterizer(), 128)
    skin = torch.ones(1, 1, 96, 96)
    skin[..., :40] = 0
    skin[..., 70:] = 0.7
    photo = torch.rand(1, 3, 96, 96)
    partial, whole = renderer(photo, fit, skin), renderer(photo, fit)
    points, _ = texel_points(renderer, fit)
    x = fit.camera.project(points.flatten(2).mT)[0].mT[0].view(128, 128)
    seen, could = partial.visibility[0, 0] > 0, whole.visibility[0, 0] > 0
    assert not seen[x < 39].any()
    assert torch.equal(seen[x > 41], could[x > 41])
    beside = (x > 71) & seen
    torch.testing.assert_close(partial.confidence[0, 0][beside], 0.7 * whole.confidence[0, 0][beside])
    assert renderer(photo, fit, skin * 0).visibility.sum() == 0


@pytest.mark.parametrize("name", HEADS)
def test_gutter_is_the_border_of_its_chart(name: str) -> None:
    model = HEADS[name]()
    atlas = build_atlas(model, default_rasterizer(), 256)
    chart = rasterize_atlas(model, default_rasterizer(), 256).face[0] >= 0
    assert torch.equal(atlas.inside, chart.flatten()[atlas.texel])
    assert int(atlas.inside.sum()) == int(chart.sum())
    has = atlas.image(torch.ones(1, len(atlas.texel), 1))[0, 0] > 0
    near = grow(chart.float(), GUTTER - 1) > 0
    corner_to_corner = 0.02
    assert (near & ~has).sum() <= corner_to_corner * near.sum()
    assert (atlas.weights >= 0).all()
    torch.testing.assert_close(atlas.weights.sum(-1), torch.ones(len(atlas.texel)))
    # The point shown lies where the texel is; in the gutter, within its width of it.
    uv = (model.uv[model.uv_triangles[atlas.face]] * atlas.weights[..., None]).sum(1) * 256
    centre = torch.stack([atlas.texel % 256, atlas.texel // 256], -1) + 0.5
    away = (uv - centre).norm(dim=-1)
    assert away[atlas.inside].max() < 1e-2
    assert away[~atlas.inside].quantile(0.99) < GUTTER + 1.5


@pytest.mark.parametrize("name", HEADS)
def test_atlas_is_symmetric(name: str) -> None:
    atlas = build_atlas(HEADS[name](), default_rasterizer(), 256)
    chart = atlas.image(atlas.inside[None, :, None].float())
    assert (chart != chart.flip(-1)).sum() <= 0.001 * chart.sum()


@pytest.mark.parametrize("name", HEADS)
def test_charts_do_not_overlap(name: str) -> None:
    # Each triangle's middle belongs to that triangle, so no texel stands for two places of the head.
    model = HEADS[name]()
    size = 4096
    face = rasterize_atlas(model, default_rasterizer(), size).face[0]
    corners = model.uv[model.uv_triangles]
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = (edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]).abs() / 2 * size**2
    column, row = (corners.mean(1) * size).long().clamp(0, size - 1).unbind(-1)
    wrong = (face[row, column] != torch.arange(len(corners))) & (area > 20)
    assert wrong.sum() <= 0.002 * len(wrong)


@pytest.mark.parametrize("name", HEADS)
def test_mirrored_photo_and_fit_mirror_the_texture(name: str) -> None:
    model = HEADS[name]()
    fit = synthetic_fit(model, size=224, turn=0.35)
    identity = torch.randn(fit.identity.shape, generator=torch.Generator().manual_seed(1)) * 0.5
    expression = torch.rand(fit.expression.shape, generator=torch.Generator().manual_seed(2)) * 0.3
    translation = torch.tensor([[0.012, -0.004, -1.0]])
    camera = replace(fit.camera, principal=torch.tensor([[109.3, 113.1]]))
    fit = replace(fit, identity=identity, expression=expression, translation=translation, camera=camera)
    photo = smooth_photo(1, 224)
    renderer = UvRenderer(model, default_rasterizer(), 512)
    partial, mirrored = renderer(photo, fit), renderer(photo.flip(-1), mirror_fit(fit, model))
    assert partial.visibility.mean() > 0.1
    for ours, theirs in (
        (partial.color, mirrored.color),
        (partial.visibility, mirrored.visibility),
        (partial.confidence, mirrored.confidence),
    ):
        assert (ours - theirs.flip(-1)).abs().mean() < 1 / 255
    shading, other = renderer.shading(fit), renderer.shading(mirror_fit(fit, model))
    assert (shading - other.flip(-1)).abs().mean() < 1 / 255


@pytest.mark.parametrize("name", HEADS)
def test_round_trip(name: str) -> None:
    """Photo -> unwrap at 512 -> render at the same pose, where it was seen: at least 33 dB."""
    model = HEADS[name]()
    fit = synthetic_fit(model, size=224, turn=0.3)
    photo = smooth_photo(1, 224, detail=56)
    partial = UvRenderer(model, default_rasterizer(), 512)(photo, fit)
    renderer = ImageRenderer(model, default_rasterizer())
    again = renderer.draw_lit(partial.color, fit, photo)
    seen = renderer.draw_lit(partial.visibility.expand(-1, 3, -1, -1), fit, photo).image[:, :1] > 0.999
    assert seen.sum() > 0.8 * again.mask.sum()
    error = ((again.image - photo) ** 2).mean(1, keepdim=True)[seen].mean()
    assert -10 * error.log10() > 33


def test_shading_in_uv_is_the_shading_of_the_picture() -> None:
    model = synthetic_head(48, 72)
    fit = synthetic_fit(model, size=96, turn=0.3)
    renderer = UvRenderer(model, default_rasterizer(), 256)
    photo = torch.zeros(1, 3, 96, 96)
    albedo = torch.full((1, 3, 256, 256), 0.5)
    draw = ImageRenderer(model, default_rasterizer())
    lit, baked = draw(albedo, fit, photo), draw.draw_lit(albedo * renderer.shading(fit), fit, photo)
    assert lit.mask.any()
    assert (lit.image - baked.image).abs().max() < 0.01


def test_checker_through_unwrap_and_render() -> None:
    """A texture drawn and unwrapped again is that texture, but for what drawing blurs."""
    model = synthetic_head(48, 72)
    fit = synthetic_fit(model, size=448)
    row, column = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    board = ((row // 16 + column // 16) % 2).float().expand(1, 3, 128, 128).contiguous()
    photo = ImageRenderer(model, default_rasterizer(), tuple(Region)).draw_lit(board, fit, torch.zeros(1, 3, 448, 448))
    partial = UvRenderer(model, default_rasterizer(), 128)(photo.image, fit)
    away_from_edges = ((row % 16 - 7.5).abs() < 5) & ((column % 16 - 7.5).abs() < 5)
    compared = (partial.visibility[0, 0] > 0) & away_from_edges
    assert compared.sum() > 1000
    assert (partial.color - board)[0, :, compared].abs().max() < 0.1


def test_gradients_reach_photo_and_fit() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model, size=96)
    photo = smooth_photo(1, 96).requires_grad_()
    translation = fit.translation.clone().requires_grad_()
    partial = UvRenderer(model, default_rasterizer(), 64)(photo, replace(fit, translation=translation))
    (partial.color * torch.rand(1, 3, 64, 64)).sum().backward()
    for leaf in (photo, translation):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()
        assert leaf.grad.abs().sum() > 0
    assert not partial.visibility.requires_grad


def test_settings_and_wrong_arguments() -> None:
    model = synthetic_head()
    fit = synthetic_fit(model, size=96)
    strict = UvRenderer(model, default_rasterizer(), 64, UvSettings(min_cosine=0.8, full_cosine=0.9))
    loose = UvRenderer(model, default_rasterizer(), 64)
    photo = torch.rand(1, 3, 96, 96)
    assert strict(photo, fit).visibility.sum() < 0.8 * loose(photo, fit).visibility.sum()
    with pytest.raises(ValueError, match=r"image must be \(1, 3, 96, 96\)"):
        loose(torch.rand(1, 3, 95, 96), fit)
    with pytest.raises(ValueError, match=r"skin must be \(1, 1, 96, 96\)"):
        loose(photo, fit, torch.rand(1, 3, 96, 96))
