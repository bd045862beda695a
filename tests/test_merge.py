"""Views of one person merged into one partial texture."""

from __future__ import annotations

import torch

from ftim.merge import merge_views
from ftim.structures import PartialTexture
from tests.tiny_training import SIDE, albedo_of, example_of, renderer, triplet_fit


def views(*parts: tuple[float, float, float]) -> PartialTexture:
    """One texel a picture: colour, visibility, confidence."""
    columns = [torch.tensor([part[i] for part in parts]).view(-1, 1, 1, 1) for i in range(3)]
    return PartialTexture(columns[0].expand(-1, 3, -1, -1), columns[1], columns[2])


def test_one_view_stays_as_it_is() -> None:
    partial = views((0.4, 1.0, 0.7))
    merged = merge_views(partial, torch.full((1, 3, 1, 1), 0.8), 0)
    for name in ("color", "visibility", "confidence"):
        assert torch.allclose(getattr(merged, name), getattr(partial, name), atol=1e-6)


def test_the_surer_view_counts_most_and_light_is_taken_out() -> None:
    """Albedo 0.5 under light 0.4 and albedo 0.8 under light 1.0, in the first one's light."""
    partial = views((0.2, 1.0, 0.5), (0.8, 1.0, 1.0))
    shading = torch.tensor([0.4, 1.0]).view(2, 1, 1, 1).expand(-1, 3, -1, -1)
    merged = merge_views(partial, shading, 0)
    share = 1 / (1 + 0.5**4)
    expected = 0.4 * (0.5 * (1 - share) + 0.8 * share)
    assert torch.allclose(merged.color, torch.full((1, 3, 1, 1), expected), atol=1e-6)
    assert float(merged.confidence) == 1


def test_what_nobody_saw_stays_unseen() -> None:
    merged = merge_views(views((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), torch.ones(2, 3, 1, 1), 1)
    assert not merged.color.any() and not merged.visibility.any()


def test_three_views_see_more_of_the_same_skin() -> None:
    """On a sphere whose light is known, the merged albedo is the sphere's own."""
    fit = triplet_fit()
    example = example_of(fit, albedo_of(1))
    shading = renderer().shading(fit)
    merged = merge_views(example.partial, shading, 1)
    seen = merged.visibility[0, 0] > 0
    assert seen.float().mean() > 1.15 * (example.partial.visibility[1] > 0).float().mean()
    albedo = merged.color[0] / shading[1].clamp_min(0.05)
    sure = seen & (merged.confidence[0, 0] > 0.5)
    assert float((albedo - albedo_of(1)[0]).abs().mean(0)[sure].mean()) < 0.02
    assert merged.color.shape == (1, 3, SIDE, SIDE)
