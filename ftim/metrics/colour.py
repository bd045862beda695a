"""Colour as people see it: CIE Lab, CIEDE2000, the individual typology angle of skin, and brightness symmetry."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
"""Linear sRGB to CIE XYZ under D65 (IEC 61966-2-1)."""
WHITE = (0.95047, 1.0, 1.08883)
"""XYZ of D65, 2 degrees."""
ITA_BOUNDS = (55.0, 41.0, 28.0, 10.0, -30.0)
"""Degrees between the six groups from very light to dark (Chardon et al. 1991)."""
ITA_GROUPS = ("very light", "light", "intermediate", "tan", "brown", "dark")
SYMMETRY_KERNEL = 55
"""Texels of a map of 1024 over which brightness is blurred for ``brightness_symmetry``."""
LUMA = (0.299, 0.587, 0.114)


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """sRGB values in [0, 1] -> linear light."""
    srgb = srgb.clamp(0, 1)
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """The inverse of ``srgb_to_linear``."""
    linear = linear.clamp(0, 1)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-9) ** (1 / 2.4) - 0.055)


def srgb_to_lab(srgb: Tensor) -> Tensor:
    """(..., 3) sRGB in [0, 1] -> (..., 3) L* in [0, 100], a*, b* (CIE 1976, D65)."""
    xyz = srgb_to_linear(srgb) @ srgb.new_tensor(TO_XYZ).T / srgb.new_tensor(WHITE)
    value = torch.where(xyz > (6 / 29) ** 3, xyz.clamp_min(1e-9) ** (1 / 3), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = value.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def ciede2000(one: Tensor, other: Tensor) -> Tensor:
    """(..., 3) Lab pairs -> (...) colour difference, about 1 where it begins to be seen (Sharma et al. 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one.unbind(-1), other.unbind(-1)
    mean_chroma = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2
    grey = 0.5 * (1 - (mean_chroma**7 / (mean_chroma**7 + 25.0**7)).sqrt())
    a1, a2 = (1 + grey) * a1, (1 + grey) * a2
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = (torch.rad2deg(torch.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    coloured = (c1 * c2) > 0
    turn = h2 - h1
    turn = torch.where(turn > 180, turn - 360, torch.where(turn < -180, turn + 360, turn))
    turn = torch.where(coloured, turn, 0)
    d_l, d_c = l2 - l1, c2 - c1
    d_h = 2 * (c1 * c2).sqrt() * torch.sin(torch.deg2rad(turn / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    total = h1 + h2
    far = (h1 - h2).abs() > 180
    mean_h = torch.where(far, torch.where(total < 360, total + 360, total - 360), total) / 2
    mean_h = torch.where(coloured, mean_h, total)

    def cosine(degrees: Tensor) -> Tensor:
        return torch.cos(torch.deg2rad(degrees))

    t = (
        1 - 0.17 * cosine(mean_h - 30) + 0.24 * cosine(2 * mean_h)
        + 0.32 * cosine(3 * mean_h + 6) - 0.20 * cosine(4 * mean_h - 63)
    )  # fmt: skip
    rotation = 30 * torch.exp(-(((mean_h - 275) / 25) ** 2))
    r_c = 2 * (mean_c**7 / (mean_c**7 + 25.0**7)).sqrt()
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / (20 + (mean_l - 50) ** 2).sqrt()
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    r_t = -torch.sin(torch.deg2rad(2 * rotation)) * r_c
    parts = (d_l / s_l) ** 2 + (d_c / s_c) ** 2 + (d_h / s_h) ** 2 + r_t * (d_c / s_c) * (d_h / s_h)
    return parts.clamp_min(0).sqrt()


def typology_angle(lab: Tensor) -> Tensor:
    """(..., 3) Lab of skin -> (...) ITA in degrees: atan((L* - 50) / b*), higher for lighter skin."""
    return torch.rad2deg(torch.atan2(lab[..., 0] - 50, lab[..., 2]))


def typology_group(angle: float) -> int:
    """Number of the ITA group in ``ITA_GROUPS``."""
    return sum(angle <= bound for bound in ITA_BOUNDS)


def brightness_symmetry(albedo: Tensor, mask: Tensor) -> Tensor:
    """Mean difference in brightness of the two halves of a map, on a scale of 255: light that was left in an albedo.

    As BS of FFHQ-UV (Bai et al. 2023): luma blurred over 55 texels of 1,024, against its mirror image.

    Args:
        albedo: (B, 3, T, T) sRGB in [0, 1].
        mask: (1 or B, 1, T, T): the texels that count; only where their mirror image counts too.

    Returns:
        (B,).
    """
    luma = (albedo * albedo.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    width = max(3, 2 * round(SYMMETRY_KERNEL * albedo.shape[-1] / 2048) + 1)
    weight = mask.expand_as(luma)
    sigma = 0.3 * ((width - 1) * 0.5 - 1) + 0.8
    place = torch.arange(width, device=albedo.device) - (width - 1) / 2
    line = torch.exp(-place.square() / (2 * sigma**2)).to(albedo)
    line = line / line.sum()

    def blurred(values: Tensor) -> Tensor:
        across = F.conv2d(values, line.view(1, 1, 1, -1), padding=(0, width // 2))
        return F.conv2d(across, line.view(1, 1, -1, 1), padding=(width // 2, 0))

    smooth = blurred(luma * weight) / blurred(weight).clamp_min(1e-6)
    both = weight * weight.flip(-1)
    difference = 255 * (smooth - smooth.flip(-1)).abs() * both
    return difference.sum((1, 2, 3)) / both.sum((1, 2, 3)).clamp_min(1)


def mean_skin(albedo: Tensor, mask: Tensor) -> Tensor:
    """(B, 3, T, T) sRGB, (1 or B, 1, T, T) -> (B, 3) sRGB of the mean linear colour."""
    weight = mask.expand(len(albedo), 1, *albedo.shape[2:])
    total = weight.sum((2, 3)).clamp_min(1)
    return linear_to_srgb((srgb_to_linear(albedo) * weight).sum((2, 3)) / total)


def degrees_of(albedo: Tensor, mask: Tensor) -> list[float]:
    """ITA of the mean skin of each map."""
    return [float(angle) for angle in typology_angle(srgb_to_lab(mean_skin(albedo, mask)))]
