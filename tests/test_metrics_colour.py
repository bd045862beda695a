"""Lab, CIEDE2000, ITA and brightness symmetry against known numbers."""

from __future__ import annotations

import pytest
import torch

from ftim.metrics.colour import (
    brightness_symmetry,
    ciede2000,
    degrees_of,
    linear_to_srgb,
    mean_skin,
    srgb_to_lab,
    srgb_to_linear,
    typology_angle,
    typology_group,
)

SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]
"""Test pairs of Sharma, Wu and Dalal 2005, table 1."""


@pytest.mark.parametrize(("one", "other", "expected"), SHARMA)
def test_ciede2000_of_published_pairs(
    one: tuple[float, float, float], other: tuple[float, float, float], expected: float
) -> None:
    first, second = torch.tensor(one, dtype=torch.float64), torch.tensor(other, dtype=torch.float64)
    assert float(ciede2000(first, second)) == pytest.approx(expected, abs=1e-4)
    assert float(ciede2000(second, first)) == pytest.approx(expected, abs=1e-4)
    assert float(ciede2000(first, first)) == 0


def test_lab_of_known_colours() -> None:
    colours = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    expected = torch.tensor(
        [[100.0, 0.0, 0.0], [0.0, 0.0, 0.0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]], dtype=torch.float64
    )
    torch.testing.assert_close(srgb_to_lab(colours), expected, atol=0.02, rtol=0)
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(colours)), colours)


def test_typology_of_skin() -> None:
    lab = torch.tensor([[70.0, 10.0, 10.0], [50.0, 10.0, 15.0], [30.0, 8.0, 10.0]])
    assert typology_angle(lab).tolist() == pytest.approx([63.435, 0.0, -63.435], abs=1e-3)
    assert [typology_group(angle) for angle in (60.0, 50.0, 30.0, 20.0, 0.0, -40.0)] == [0, 1, 2, 3, 4, 5]
    grey = torch.full((1, 3, 4, 4), 0.5)
    assert degrees_of(grey, torch.ones(1, 1, 4, 4))[0] == pytest.approx(90, abs=1), "grey has no b*"


def test_mean_is_of_linear_light() -> None:
    halves = torch.zeros(1, 3, 2, 2)
    halves[..., 0] = 1
    torch.testing.assert_close(mean_skin(halves, torch.ones(1, 1, 2, 2)), linear_to_srgb(torch.full((1, 3), 0.5)))


def test_brightness_symmetry_is_the_difference_of_the_halves() -> None:
    halves = torch.full((1, 3, 64, 64), 0.4)
    halves[..., 32:] = 0.6
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :20] = mask[..., -20:] = 1
    assert float(brightness_symmetry(halves, mask)) == pytest.approx(0.2 * 255, rel=1e-3)
    assert float(brightness_symmetry(torch.full((1, 3, 64, 64), 0.4), mask)) == pytest.approx(0, abs=1e-3)
