"""L1, PSNR and SSIM of image pairs, over the whole image or inside a mask.

Every function takes ``image`` and ``reference`` of shape (B, 3, H, W) in [0, 1] and an optional ``mask`` of shape
(B, 1, H, W), and returns (B,) values, one a pair. A mask is a choice of pixels: a pixel counts where the mask is
above one half. A pair whose mask is empty has no value: it is NaN. All are differentiable in the images.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ftim.extras import import_extra

PSNR_LIMIT = 100.0
"""dB; the value of two equal images, whose PSNR has no bound. Reached at a mean squared error of 1e-10."""

_WINDOW_SIZE = 11
_WINDOW_SIGMA = 1.5


def check_pair(image: Tensor, reference: Tensor, mask: Tensor | None) -> None:
    """Raise ``ValueError`` unless the images are (B, 3, H, W) alike and the mask, if any, is (B, 1, H, W)."""
    if image.ndim != 4 or image.shape[1] != 3 or image.shape != reference.shape:
        raise ValueError(f"expected two (B, 3, H, W) images, got {tuple(image.shape)} and {tuple(reference.shape)}")
    if mask is not None and mask.shape != (len(image), 1, *image.shape[2:]):
        raise ValueError(f"expected a mask of shape (B, 1, H, W) for {tuple(image.shape)}, got {tuple(mask.shape)}")


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, C, H, W) and (B, 1, H, W) or None -> (B,): mean over channels and chosen pixels; NaN if none is chosen."""
    if mask is None:
        return values.mean((1, 2, 3))
    chosen = mask > 0.5
    count = chosen.sum((1, 2, 3)) * values.shape[1]
    # torch.where rather than a product: a NaN outside the mask must not reach the sum.
    return torch.where(chosen, values, 0).sum((1, 2, 3)) / count


def l1(image: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute difference over channels and pixels, in [0, 1]; 0 for equal images."""
    check_pair(image, reference, mask)
    return masked_mean((image - reference).abs(), mask)


def psnr(image: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB, ``-10 log10(mean squared error)``, at most ``PSNR_LIMIT``."""
    check_pair(image, reference, mask)
    error = masked_mean((image - reference).square(), mask)
    return -10 * torch.log10(error.clamp(min=10 ** (-PSNR_LIMIT / 10)))


def ssim_map(image: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """Structural similarity at each window: (B, 3, H - 10, W - 10) in [-1, 1].

    Wang et al. 2004, with their 11 x 11 Gaussian window of sigma 1.5 and constants 0.01 and 0.03, each colour channel
    for itself. Entry (i, j) belongs to the window centred on pixel (i + 5, j + 5); windows that leave the image are
    left out. Its mean is ``piq.ssim``. With a mask (B, 1, H, W), means, variances and covariance of a window are
    taken over its pixels in the mask alone: nothing outside has any influence. Entries centred outside mean nothing.
    """
    check_pair(image, reference, mask)
    if min(image.shape[2:]) < _WINDOW_SIZE:
        raise ValueError(f"SSIM needs images of at least {_WINDOW_SIZE} pixels a side, got {tuple(image.shape)}")
    down, right = (_window_means(side, image) for side in image.shape[2:])

    def blur(values: Tensor) -> Tensor:
        return down @ values @ right.T

    if mask is None:
        mean = blur
    else:
        chosen = mask > 0.5
        # At least 0.07 where the centre is chosen; elsewhere it may be 0, and any number will do.
        share = blur(chosen.to(image.dtype)).clamp(min=1e-3)

        def mean(values: Tensor) -> Tensor:
            return blur(torch.where(chosen, values, 0)) / share

    mean_a, mean_b = mean(image), mean(reference)
    variance_a = mean(image.square()) - mean_a.square()
    variance_b = mean(reference.square()) - mean_b.square()
    covariance = mean(image * reference) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a.square() + mean_b.square() + 0.01**2)
    structure = (2 * covariance + 0.03**2) / (variance_a + variance_b + 0.03**2)
    return luminance * structure


def _window_means(side: int, like: Tensor) -> Tensor:
    """(side - 10, side): what each window of a line takes from each pixel.

    A product of matrices, not a convolution: on a CPU the gradient of a convolution of one channel takes five times as
    long.
    """
    offsets = torch.arange(_WINDOW_SIZE, dtype=like.dtype, device=like.device)
    weights = torch.exp(-(offsets - _WINDOW_SIZE // 2).square() / (2 * _WINDOW_SIGMA**2))
    windows = torch.arange(side - _WINDOW_SIZE + 1, device=like.device)[:, None]
    means = like.new_zeros(len(windows), side)
    return means.scatter(1, windows + offsets.long(), (weights / weights.sum()).expand(len(windows), -1))


def ssim(image: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean structural similarity, 1 for equal images. With a mask: the mean of ``ssim_map`` over windows centred in it.

    Without a mask this is ``piq.ssim`` at full resolution (no down-sampling of large images).
    """
    check_pair(image, reference, mask)
    if mask is None:
        piq = import_extra("piq", "benchmark")  # here, for it takes a second
        values = piq.ssim(
            image.clamp(0, 1),
            reference.clamp(0, 1),
            kernel_size=_WINDOW_SIZE,
            kernel_sigma=_WINDOW_SIGMA,
            data_range=1.0,
            reduction="none",
            downsample=False,
        )
        assert isinstance(values, Tensor)  # piq returns a pair only when asked for the contrast term too
        return values
    border = _WINDOW_SIZE // 2
    similarity = ssim_map(image.clamp(0, 1), reference.clamp(0, 1), mask)
    return masked_mean(similarity, mask[:, :, border:-border, border:-border])


def on_grey(image: Tensor, mask: Tensor | None) -> Tensor:
    """The image with everything outside the mask replaced by mid grey (0.5); unchanged without a mask.

    Networks look at whole images. Grey instead of the photograph keeps a copied background from counting as likeness.
    """
    if mask is None:
        return image
    return torch.where(mask > 0.5, image, torch.full_like(image, 0.5))
