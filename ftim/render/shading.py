"""Light as nine real spherical-harmonic coefficients a colour channel (Ramamoorthi and Hanrahan 2001)."""

from __future__ import annotations

import torch
from torch import Tensor

SH_MIRROR: tuple[int, ...] = (1, 1, 1, -1, -1, 1, 1, -1, 1)
"""Sign of each basis function under x -> -x."""

SHADING_FLOOR = 0.05
"""Shading is clamped here from below: a fitted light may dip under zero, and albedo = texture / shading must exist."""

LUMA: tuple[float, float, float] = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness, on sRGB values (ITU-R BT.601)."""


def luminance(factor: Tensor) -> Tensor:
    """(..., 3) positive factors of the channels -> (..., 1) the grey factor that is as bright.

    The weighted geometric mean, so that the grey of a product is the product of the greys: a colour that is moved from
    the light to the albedo (``ftim.tone``) is moved from grey shading too.
    """
    return (factor.log() * factor.new_tensor(LUMA)).sum(-1, keepdim=True).exp()


def sh_basis(normals: Tensor) -> Tensor:
    """The nine real spherical harmonics up to degree 2.

    Args:
        normals: (..., 3) unit vectors.

    Returns:
        (..., 9) in the order 1, y, z, x, xy, yz, 3z^2 - 1, xz, x^2 - y^2, orthonormal over the sphere.
    """
    x, y, z = normals.unbind(-1)
    # Stacked in front and moved behind: a third faster than writing the nine values of each normal side by side.
    basis = torch.stack(
        [
            torch.full_like(x, 0.28209479177387814),  # sqrt(1 / (4 pi))
            0.4886025119029199 * y,  # sqrt(3 / (4 pi))
            0.4886025119029199 * z,
            0.4886025119029199 * x,
            1.0925484305920792 * x * y,  # sqrt(15 / (4 pi))
            1.0925484305920792 * y * z,
            0.31539156525252005 * (3 * z * z - 1),  # sqrt(5 / (16 pi))
            1.0925484305920792 * x * z,
            0.5462742152960396 * (x * x - y * y),  # sqrt(15 / (16 pi))
        ]
    )
    return basis.movedim(0, -1)


def shade(normals: Tensor, light: Tensor, grey: Tensor | None = None) -> Tensor:
    """The factor by which the light multiplies the sRGB albedo.

    A light is fitted to skin, and part of its colour is the skin's own: a brown face is the template's under a brown
    light. What is not skin (``MorphableModel.openings``) has that light's brightness alone; divided by its colour,
    teeth would be blue.

    Args:
        normals: (B, ..., 3) unit vectors in camera space.
        light: (B, 9, 3) coefficients, ``Fit.light``.
        grey: (B or 1, ...) bool, where the three channels get their ``luminance``; nowhere when None.

    Returns:
        (B, ..., 3), at least ``SHADING_FLOOR``.
    """
    if normals.shape[-1] != 3 or light.shape[1:] != (9, 3) or len(normals) != len(light):
        raise ValueError(
            f"normals (B, ..., 3) and light (B, 9, 3) expected, got {tuple(normals.shape)}, {tuple(light.shape)}"
        )
    basis = sh_basis(normals)
    value = basis.flatten(1, -2) @ light
    value = value.view(normals.shape).clamp(min=SHADING_FLOOR)
    if grey is None:
        return value
    where = grey.expand(normals.shape[:-1])
    return value.index_put((where,), luminance(value[where]))
