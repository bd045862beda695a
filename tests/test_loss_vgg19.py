"""VGG19: on small random weights in the file's layout, and on the file itself where it is present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.assets import ASSETS, AssetStore
from ftim.errors import ModelFileError
from ftim.losses import vgg19
from ftim.losses.vgg19 import load_vgg19

SMALL_BLOCKS = ((4, 2), (5, 2), (6, 4), (7, 4), (8, 4))


def slow_features(state: dict[str, Tensor], image: Tensor) -> tuple[Tensor, Tensor]:
    """The network written out on the file's own numbers: convolutions where it names one."""
    found = []
    module = 0
    while module < 34:
        if f"{module}.weight" in state:
            weight = state[f"{module}.weight"]
            if weight.shape[2] == 3:
                image = F.pad(image, (1, 1, 1, 1), mode="reflect")
            image = F.conv2d(image, weight, state[f"{module}.bias"])
            if module > 0:
                image = image.clamp(min=0)
            if module in (19, 32):
                found.append(image)
            if module in (5, 12, 25):
                image = F.max_pool2d(image, 2)
        module += 1
    return found[0], found[1]


def small_state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(8)
    state = {"0.weight": torch.eye(3)[..., None, None], "0.bias": torch.zeros(3)}
    module, channels = 2, 3
    for width, repeats in SMALL_BLOCKS:
        for _ in range(repeats):
            state[f"{module}.weight"] = 0.3 * torch.randn(width, channels, 3, 3, generator=generator)
            state[f"{module}.bias"] = 0.1 * torch.randn(width, generator=generator)
            module, channels = module + 3, width
        module += 1  # the pooling
    return state


@pytest.fixture
def small_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(vgg19, "_BLOCKS", SMALL_BLOCKS)
    path = tmp_path / "small.pth"
    torch.save(small_state(), path)
    return path


def test_features(small_file: Path) -> None:
    image = torch.rand(2, 3, 35, 50)
    features = load_vgg19(small_file)(image)
    relu3_2, relu4_2 = slow_features(small_state(), image)
    assert features.relu3_2.shape == (2, 6, 8, 12)
    assert features.relu4_2.shape == (2, 7, 4, 6)
    torch.testing.assert_close(features.relu3_2, relu3_2)
    torch.testing.assert_close(features.relu4_2, relu4_2)
    assert relu4_2.std() > 0


def test_gradient(small_file: Path) -> None:
    network = load_vgg19(small_file).double()
    image = torch.rand(1, 3, 16, 17, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: network(x).relu4_2.sum() + network(x).relu3_2.sum(), image, fast_mode=True
    )


def test_frozen_and_random_numbers_alone(small_file: Path) -> None:
    before = torch.get_rng_state()
    network = load_vgg19(small_file)
    assert torch.equal(torch.get_rng_state(), before)
    assert not network.training
    assert list(network.parameters())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_shapes(small_file: Path) -> None:
    network = load_vgg19(small_file)
    for shape in ((3, 32, 32), (1, 1, 32, 32), (1, 3, 32, 15)):
        with pytest.raises(ValueError, match="16 pixels"):
            network(torch.rand(shape))


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


def test_wrong_files(small_file: Path) -> None:
    good = small_state()
    renamed = dict(good)
    renamed["36.weight"] = renamed.pop("35.weight")
    cases: list[tuple[object, str]] = [
        ({name: value for name, value in good.items() if name != "51.bias"}, r"51\.bias"),
        (good | {"54.weight": torch.zeros(1)}, r"54\.weight"),
        (good | {"5.weight": torch.zeros(4, 4, 1, 1)}, r"5\.weight"),
        (good | {"5.bias": [0.0] * 4}, r"5\.bias"),
        (renamed, r"35\.weight, 36\.weight"),
        (good | {7: torch.zeros(1)}, "7 missing"),
        ([1, 2], "small"),
        (RunsCode(), "small"),
    ]
    for content, message in cases:
        torch.save(content, small_file)
        with pytest.raises(ModelFileError, match=message):
            load_vgg19(small_file)
    torch.save(good, small_file)
    whole = small_file.read_bytes()
    for rubbish in (b"", b"hello", whole[: len(whole) // 2]):
        small_file.write_bytes(rubbish)
        with pytest.raises(ModelFileError, match="small"):
            load_vgg19(small_file)
    small_file.unlink()
    with pytest.raises(FileNotFoundError, match="small"):
        load_vgg19(small_file)


def test_published_weights() -> None:
    """Against the network written out, and what the file claims: mean activations near one on any picture."""
    path = AssetStore.from_environment().find(ASSETS[vgg19.ASSET])
    if path is None:
        pytest.skip(f"{vgg19.ASSET} is not present, and 80 MB are not fetched for this test")
    network = load_vgg19(path)
    noise = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(9))
    image = F.interpolate(noise, (48, 48), mode="bicubic").clamp(0, 1)
    features = network(image)
    relu3_2, relu4_2 = slow_features(torch.load(path, weights_only=True), image)
    # Activations of several hundred, summed in another order.
    torch.testing.assert_close(features.relu3_2, relu3_2, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(features.relu4_2, relu4_2, rtol=1e-4, atol=1e-3)
    assert 0.3 < features.relu3_2.mean() < 3
    assert 0.3 < features.relu4_2.mean() < 3
