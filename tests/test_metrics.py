"""L1, PSNR and SSIM against slow loops and another library; masks; the pickle reader."""

import os
import pickle
from pathlib import Path

import numpy as np
import piq
import pytest
import torch
from torch import Tensor

from ftim.errors import AssetHashError
from ftim.metrics import l1, on_grey, psnr, ssim, ssim_map
from ftim.metrics.image import PSNR_LIMIT
from ftim.metrics.numpy_pickle import read_numpy_pickle


@pytest.fixture
def pair() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 20, 17, generator=generator)
    reference = (image + 0.2 * torch.randn(2, 3, 20, 17, generator=generator)).clamp(0, 1)
    mask = (torch.rand(2, 1, 20, 17, generator=generator) > 0.4).float()
    return image, reference, mask


def chosen_differences(image: Tensor, reference: Tensor, mask: Tensor | None, index: int) -> list[float]:
    return [
        float(image[index, c, y, x]) - float(reference[index, c, y, x])
        for c in range(3)
        for y in range(image.shape[2])
        for x in range(image.shape[3])
        if mask is None or mask[index, 0, y, x] > 0.5
    ]


@pytest.mark.parametrize("masked", [False, True])
def test_l1_and_psnr_equal_loops(pair: tuple[Tensor, Tensor, Tensor], masked: bool) -> None:
    image, reference, mask = pair
    chosen = mask if masked else None
    for index in range(2):
        differences = chosen_differences(image, reference, chosen, index)
        expected_l1 = sum(abs(d) for d in differences) / len(differences)
        expected_psnr = 10 * np.log10(1 / (sum(d * d for d in differences) / len(differences)))
        assert float(l1(image, reference, chosen)[index]) == pytest.approx(expected_l1, abs=1e-6)
        assert float(psnr(image, reference, chosen)[index]) == pytest.approx(expected_psnr, abs=1e-4)


def test_psnr_equals_piq(pair: tuple[Tensor, Tensor, Tensor]) -> None:
    image, reference, _ = pair
    torch.testing.assert_close(psnr(image, reference), piq.psnr(image, reference, reduction="none"), atol=1e-4, rtol=0)


def naive_ssim_map(image: np.ndarray, reference: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(H, W) float64 pairs: Wang et al. 2004, equation 13, window by window, over the pixels of the mask."""
    offset = np.arange(11) - 5
    gaussian = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * 1.5**2))
    result = np.empty((image.shape[0] - 10, image.shape[1] - 10))
    for y, x in np.ndindex(result.shape):
        window = gaussian * mask[y : y + 11, x : x + 11]
        window /= window.sum()
        a, b = image[y : y + 11, x : x + 11], reference[y : y + 11, x : x + 11]
        mean_a, mean_b = (window * a).sum(), (window * b).sum()
        var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
        covariance = (window * (a - mean_a) * (b - mean_b)).sum()
        result[y, x] = ((2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)) / (
            (mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)
        )
    return result


@pytest.mark.parametrize("masked", [False, True])
def test_ssim_equals_loops(pair: tuple[Tensor, Tensor, Tensor], masked: bool) -> None:
    image, reference, mask = pair
    chosen = mask if masked else None
    found = ssim_map(image, reference, chosen)
    for index in range(2):
        weights = mask[index, 0].double().numpy() if masked else np.ones(image.shape[2:])
        maps = np.stack(
            [
                naive_ssim_map(image[index, c].double().numpy(), reference[index, c].double().numpy(), weights)
                for c in range(3)
            ]
        )
        inside = weights[5:-5, 5:-5] > 0.5
        np.testing.assert_allclose(found[index].numpy()[:, inside], maps[:, inside], atol=1e-4)
        assert float(ssim(image, reference, chosen)[index]) == pytest.approx(maps[:, inside].mean(), abs=1e-5)


def test_a_full_mask_is_no_mask(pair: tuple[Tensor, Tensor, Tensor]) -> None:
    image, reference, mask = pair
    for metric in (l1, psnr, ssim):
        torch.testing.assert_close(metric(image, reference, torch.ones_like(mask)), metric(image, reference))


@pytest.mark.parametrize("masked", [False, True])
def test_equal_images_reach_the_best_value(pair: tuple[Tensor, Tensor, Tensor], masked: bool) -> None:
    image, _, mask = pair
    chosen = mask if masked else None
    assert l1(image, image, chosen).tolist() == [0, 0]
    assert psnr(image, image, chosen).tolist() == [PSNR_LIMIT] * 2
    torch.testing.assert_close(ssim(image, image, chosen), torch.ones(2))


@pytest.mark.parametrize("metric", [l1, psnr, ssim])
def test_pixels_outside_the_mask_do_not_count(pair: tuple[Tensor, Tensor, Tensor], metric) -> None:
    image, reference, mask = pair
    changed = torch.where(mask > 0.5, image, torch.nan)
    torch.testing.assert_close(metric(changed, reference, mask), metric(image, reference, mask))


@pytest.mark.parametrize("metric", [l1, psnr, ssim])
def test_empty_mask_has_no_value(pair: tuple[Tensor, Tensor, Tensor], metric) -> None:
    image, reference, mask = pair
    mask[0] = 0
    value = metric(image, reference, mask)
    assert torch.isnan(value).tolist() == [True, False]


@pytest.mark.parametrize("metric", [l1, psnr, ssim])
def test_wrong_shapes_are_refused(pair: tuple[Tensor, Tensor, Tensor], metric) -> None:
    image, reference, mask = pair
    with pytest.raises(ValueError, match="B, 3, H, W"):
        metric(image, reference[:, :, 1:])
    with pytest.raises(ValueError, match="mask"):
        metric(image, reference, mask[:, 0])


@pytest.mark.parametrize("metric", [l1, psnr, ssim])
def test_gradients_reach_the_image(pair: tuple[Tensor, Tensor, Tensor], metric) -> None:
    image, reference, mask = pair
    image.requires_grad_()
    metric(image, reference, mask).sum().backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    assert image.grad.abs().sum() > 0


def test_on_grey_keeps_the_inside_only(pair: tuple[Tensor, Tensor, Tensor]) -> None:
    image, _, mask = pair
    result = on_grey(image, mask)
    inside = (mask > 0.5).expand_as(image)
    assert torch.equal(result[inside], image[inside])
    assert (result[~inside] == 0.5).all()
    assert on_grey(image, None) is image


class RunsCode:
    def __reduce__(self):
        return os.system, ("exit 1",)


def test_pickle_reader_gives_arrays(tmp_path: Path) -> None:
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = {"a": {"kernel": kernel}, "b": np.float64(2.5)}
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps(content))
    read = read_numpy_pickle(path)
    np.testing.assert_array_equal(read["a"]["kernel"], kernel)
    assert read["b"] == 2.5


def test_pickle_reader_refuses_code_and_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "bad.pkl"
    good = pickle.dumps(np.zeros(1000))
    for content in (pickle.dumps(RunsCode()), pickle.dumps(np.array([RunsCode()])), b"", b"hello", good[:-500]):
        path.write_bytes(content)
        with pytest.raises(AssetHashError, match=r"bad\.pkl"):
            read_numpy_pickle(path)
