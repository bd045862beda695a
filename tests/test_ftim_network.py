"""The network inside FTIM, its settings, and the bands of detail."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ftim.completion.bands import BAND_RADII, finest_detail, shrink_seen, split_bands
from ftim.completion.network import PARAMETERS, Decoded, NetworkSettings, ResidualBlock, TextureNetwork
from ftim.completion.settings import (
    FORMS,
    FULL,
    IMAGE_TO_IMAGE,
    PAPER,
    FtimSettings,
    PaintingSettings,
    Settings,
    settings_from_json,
    settings_to_json,
)
from ftim.filters import enlarge, shrink
from tests.tiny_training import WIDTHS, awaken

SIDE = 64
SETTINGS = NetworkSettings(5, gains=4, smooth=3, quarter=2, widths=WIDTHS)


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    torch.manual_seed(0)


def maps(batch: int = 2, inputs: int = 5) -> tuple[Tensor, Tensor]:
    return torch.rand(batch, inputs, SIDE, SIDE), torch.randn(batch, PARAMETERS)


def pictures(decoded: Decoded) -> list[Tensor]:
    return [decoded.free, decoded.gains, decoded.smooth, decoded.quarter]


def awake(settings: NetworkSettings = SETTINGS) -> TextureNetwork:
    network = TextureNetwork(settings)
    awaken(network, 0.1)
    return network


@pytest.mark.parametrize(
    ("gains", "smooth", "gated", "parameters"), list(itertools.product((0, 4), (0, 3), (0, 1), (0, 1)))
)
def test_shapes_and_an_untrained_network_says_nothing(gains: int, smooth: int, gated: int, parameters: int) -> None:
    network = TextureNetwork(NetworkSettings(5, gains, smooth, smooth, WIDTHS, bool(gated), bool(parameters)))
    decoded = network(*maps())
    assert [tuple(picture.shape) for picture in pictures(decoded)] == [
        (2, channels, SIDE, SIDE) for channels in (3, gains, smooth, smooth)
    ]
    assert all(not picture.any() for picture in pictures(decoded))


def test_an_untrained_network_can_begin_to_learn() -> None:
    network = TextureNetwork(SETTINGS)
    decoded = network(*maps())
    torch.stack([picture.sum() for picture in pictures(decoded)]).sum().backward()
    for head in (network.to_free, network.to_gains, network.to_smooth, network.to_quarter):
        assert head is not None and head.weight.grad is not None and head.bias is not None
        assert head.weight.grad.any() and head.bias.grad is not None and head.bias.grad.any()


@pytest.mark.parametrize("gated", [True, False])
def test_gradient_reaches_every_parameter(gated: bool) -> None:
    network = awake(replace(SETTINGS, gated=gated))
    decoded = network(*maps())
    torch.stack([picture.square().mean() for picture in pictures(decoded)]).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_wrong_shapes_are_refused() -> None:
    network = TextureNetwork(SETTINGS)
    good_maps, good_parameters = maps()
    for wrong in (good_maps[:, :4], good_maps[..., :60, :60]):
        with pytest.raises(ValueError, match=r"expected \(B, 5, T, T\) with T a multiple of 8"):
            network(wrong, good_parameters)
    for wrong in (good_parameters[:1], good_parameters[:, :52]):
        with pytest.raises(ValueError, match=r"expected parameters \(2, 58\)"):
            network(good_maps, wrong)
    with pytest.raises(ValueError, match="three levels"):
        TextureNetwork(replace(SETTINGS, widths=(8, 8)))


@torch.no_grad()
def test_parameters_count_once_their_layer_has_learnt() -> None:
    network = awake()
    layer = network.parameters_to_latent
    assert layer is not None
    pictures_in, parameters = maps()
    others = torch.randn_like(parameters)
    changed = [(a - b).abs().amax() for a, b in both(network, pictures_in, parameters, others)]
    assert all(difference > 1e-4 for difference in changed)
    nn.init.zeros_(layer.weight)
    assert all(torch.equal(a, b) for a, b in both(network, pictures_in, parameters, others))


def both(network: TextureNetwork, given: Tensor, first: Tensor, second: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What comes out under two sets of parameters."""
    return list(zip(pictures(network(given, first)), pictures(network(given, second)), strict=True))


@torch.no_grad()
def test_each_picture_is_completed_by_itself() -> None:
    network = awake()
    pictures_in, parameters = maps(3)
    together = pictures(network(pictures_in, parameters))
    alone = [pictures(network(pictures_in[i : i + 1], parameters[i : i + 1])) for i in range(3)]
    for kind, picture in enumerate(together):
        assert torch.allclose(picture, torch.cat([one[kind] for one in alone]), atol=1e-5)


@torch.no_grad()
def test_smooth_field_is_linear_between_samples_an_eighth_apart() -> None:
    """Second differences along a row are 0 except around the centres of coarse texels."""
    field = awake()(*maps()).smooth.double()
    second = (field[..., 2:] - 2 * field[..., 1:-1] + field[..., :-2]).abs().amax((0, 1, 2))
    centre = torch.isin(torch.arange(1, SIDE - 1) % 8, torch.tensor([3, 4]))
    assert float(second[centre].max()) > 1e-3
    assert float(second[~centre].max()) < 1e-6


@torch.no_grad()
def test_gains_are_linear_between_samples_of_half_the_side() -> None:
    """The sample in the middle of two texels is the same, continued from the left and from the right."""
    gains = awake()(*maps()).gains
    even, odd = gains[..., 2:-2:2], gains[..., 3:-1:2]
    from_left, from_right = 1.5 * even - 0.5 * gains[..., 1:-3:2], 1.5 * odd - 0.5 * gains[..., 4::2]
    assert torch.allclose(from_left, from_right, atol=1e-5)
    assert float((even - odd).abs().max()) > 1e-3


def test_gate_open_is_no_gate_and_gate_closed_is_no_change() -> None:
    block, plain = ResidualBlock(8, gated=True), ResidualBlock(8, gated=False)
    plain.load_state_dict({name: value for name, value in block.state_dict().items() if "gate" not in name})
    assert block.gate is not None and block.gate.bias is not None
    nn.init.zeros_(block.gate.weight)
    x = torch.randn(2, 8, 16, 16)
    nn.init.constant_(block.gate.bias, 100)
    assert torch.allclose(block(x), plain(x), atol=1e-6)
    assert not torch.allclose(plain(x), x, atol=1e-3)
    nn.init.constant_(block.gate.bias, -200)
    assert torch.equal(block(x), x)


@torch.no_grad()
def test_half_precision_gives_float32_close_to_it() -> None:
    network, given = awake(), maps()
    exact = pictures(network(*given))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = pictures(network(*given))
    for a, b in zip(exact, rounded, strict=True):
        assert b.dtype == torch.float32 and not torch.equal(a, b)
        assert float((a - b).abs().mean()) < 0.05 * float(a.abs().mean())


def test_inputs_of_each_form() -> None:
    assert (FULL.network.inputs, FULL.network.gains, FULL.network.smooth) == (14, len(BAND_RADII), 6)
    assert (PAPER.network.inputs, PAPER.network.gains, PAPER.network.smooth) == (7, 0, 0)
    assert (IMAGE_TO_IMAGE.network.inputs, IMAGE_TO_IMAGE.network.parameters) == (4, False)
    assert PAPER.network.parameters and not PAPER.network.gated and FULL.network.gated


@pytest.mark.parametrize("form", FORMS.values())
@pytest.mark.parametrize("size", [0, 16, 96])
def test_sides_that_cannot_be_halved_are_refused(form: type[FtimSettings] | type[PaintingSettings], size: int) -> None:
    form(size=32)
    with pytest.raises(ValueError, match=f"power of two and hold 5 levels, got {size}"):
        form(size=size)


def test_unknown_lighting_is_refused() -> None:
    with pytest.raises(ValueError, match="divide, subtract, got 'multiply'"):
        PaintingSettings(lighting="multiply")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [FULL, PAPER, IMAGE_TO_IMAGE, FtimSettings(64, (8, 8, 16)), PaintingSettings(64, False, True, True, "divide")],
)
def test_settings_come_back_from_json(settings: Settings) -> None:
    values = settings_to_json(settings)
    assert FORMS[values["form"]] is type(settings)
    assert settings_from_json(json.loads(json.dumps(values))) == settings


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"form": "correcting"}, KeyError),
        ({"gains": 4}, TypeError),
        ({"form": "painting", "gains": 4}, TypeError),
        ({"keep_seen": True}, TypeError),
        ({"size": 96}, ValueError),
    ],
)
def test_wrong_json_is_an_error(changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        settings_from_json(settings_to_json(FULL) | changes)


@pytest.mark.parametrize("name", ["form", "widths"])
def test_json_without_form_or_widths_is_an_error(name: str) -> None:
    values = settings_to_json(FULL)
    del values[name]
    with pytest.raises(KeyError, match=name):
        settings_from_json(values)


def test_bands_add_up_to_the_image() -> None:
    image = torch.rand(2, 3, SIDE, SIDE)
    bands, smooth = split_bands(image)
    assert len(bands) == len(BAND_RADII)
    assert torch.allclose(torch.stack(bands).sum(0) + smooth, image, atol=1e-6)


def test_each_band_holds_its_own_scale() -> None:
    """Stripes of two texels are all in the finest band, stripes of 24 hardly; a plain colour in none."""
    column = torch.arange(96)
    amounts = []
    for period in (2, 8, 24):
        stripes = torch.cos(2 * torch.pi * column / period).expand(1, 1, 96, 96)
        bands, smooth = split_bands(stripes)
        amounts.append([float(part[..., 24:72].square().mean()) for part in [*bands, smooth]])
    assert [amount.index(max(amount)) for amount in amounts] == [0, 1, 2]
    assert amounts[0][0] == pytest.approx((1 - 1 / 9) ** 2)  # each of two means over three texels leaves -1 / 3
    assert amounts[2][0] < 2e-3
    plain, rest = split_bands(torch.full((1, 1, 32, 32), 0.3))
    assert all(float(band.abs().max()) < 1e-6 for band in plain) and torch.allclose(rest, torch.tensor(0.3))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_finest_detail_is_what_shrinking_loses(scale: int) -> None:
    ramp = torch.linspace(0, 1, SIDE).expand(1, 1, SIDE, SIDE)
    inside = slice(scale, SIDE - scale)
    assert float(finest_detail(ramp, scale)[..., inside].abs().max()) < 1e-6
    assert float(finest_detail(torch.full_like(ramp, 0.4), scale).abs().max()) < 1e-6
    checker = ((torch.arange(SIDE)[:, None] + torch.arange(SIDE)) % 2).float()[None, None]
    expected = torch.zeros_like(checker) if scale == 1 else checker - 0.5
    assert torch.allclose(finest_detail(checker, scale), expected, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_enlarge_undoes_shrink_of_smooth_things(scale: int) -> None:
    image = torch.rand(2, 3, 16, 16)
    assert enlarge(image, scale).shape == (2, 3, 16 * scale, 16 * scale)
    assert torch.allclose(shrink(image.repeat_interleave(scale, 2).repeat_interleave(scale, 3), scale), image)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_shrink_seen_takes_no_notice_of_unknown_texels(scale: int) -> None:
    """Against a loop over cells; what is unknown holds absurd colours."""
    image, weight = torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8)
    weight[torch.rand(1, 1, 8, 8) < 0.5] = 0
    weight[..., :4, :4] = 0
    absurd = torch.where(weight > 0, image, 1e4)
    small, small_weight = shrink_seen(absurd, weight, scale)
    for row, column in itertools.product(range(8 // scale), repeat=2):
        cell = (..., slice(row * scale, (row + 1) * scale), slice(column * scale, (column + 1) * scale))
        known = weight[cell][0, 0] > 0
        assert float(small_weight[0, 0, row, column]) == pytest.approx(float(weight[cell].mean()), abs=1e-6)
        if known.any():
            expected = image[cell][0][:, known].mean(1)
            assert torch.allclose(small[0, :, row, column], expected, atol=1e-5)
        elif scale > 1:
            assert not small[0, :, row, column].any()
