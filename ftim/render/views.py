"""Other views of a fitted head: turned, under another light, with another expression."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import torch

from ftim.errors import SettingsError
from ftim.morphable.expressions import EXPRESSIONS
from ftim.render.shading import sh_basis
from ftim.rotation import axis_angle_to_matrix
from ftim.structures import Fit

SKULL_MIDDLE = (0.0, -0.01, -0.07)
"""Metres, head space: what a head turns about."""
COSINE_LOBE = (math.pi, *(2 * math.pi / 3,) * 3, *(math.pi / 4,) * 5)
"""A distant light on matt skin, by band of the harmonics (Ramamoorthi and Hanrahan 2001, eq. 8), bands 0 to 2."""
_CONSTANT = 0.28209479177387814


def turned(fit: Fit, yaw: float, pitch: float = 0.0, farther: float = 1.05) -> Fit:
    """The head seen from straight ahead and then turned, in degrees; a positive yaw turns it to the viewer's right.

    A positive pitch lowers the chin. ``farther`` multiplies the distance from the camera, so that all of the head stays
    inside the picture.
    """
    angles = fit.rotation.new_tensor([[0.0, math.radians(yaw), 0.0], [math.radians(pitch), 0.0, 0.0]])
    about_y, about_x = axis_angle_to_matrix(angles)
    rotation = (about_x @ about_y).expand_as(fit.rotation)
    place = fit.translation * fit.translation.new_tensor([0.0, 0.0, farther])
    return dataclasses.replace(
        fit, rotation=rotation, translation=place - rotation @ fit.translation.new_tensor(SKULL_MIDDLE)
    )


def lit_from(fit: Fit, azimuth: float, elevation: float, strength: float = 0.75, ambient: float = 0.45) -> Fit:
    """The head under one white, distant light and an even one from all around.

    shading(n) = ambient + strength max(0, n . l), the maximum up to the second band of the harmonics.

    Args:
        fit: of B pictures.
        azimuth: degrees; 0 is from the camera, 90 from the viewer's right.
        elevation: degrees above the horizon.
        strength: of the distant light: what it adds to the shading of skin that faces it.
        ambient: shading of skin that the distant light does not reach.
    """
    a, e = math.radians(azimuth), math.radians(elevation)
    direction = fit.light.new_tensor([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])
    light = strength * sh_basis(direction) * fit.light.new_tensor(COSINE_LOBE)
    light[0] += ambient / _CONSTANT
    return dataclasses.replace(fit, light=light[None, :, None].expand_as(fit.light).clone())


def with_expression(fit: Fit, weights: Mapping[str, float]) -> Fit:
    """The head with these weights in [0, 1] by ARKit name, 0 elsewhere. Raises ``SettingsError`` for other names."""
    if unknown := sorted(set(weights) - set(EXPRESSIONS)):
        raise SettingsError(
            f"there is no expression {', '.join(unknown)}; names are those of ftim.morphable.EXPRESSIONS"
        )
    if outside := [name for name, weight in weights.items() if not 0 <= weight <= 1]:
        raise SettingsError(f"weights of expressions lie in [0, 1]: {', '.join(outside)}")
    expression = torch.zeros_like(fit.expression)
    for name, weight in weights.items():
        expression[:, EXPRESSIONS.index(name)] = weight
    return dataclasses.replace(fit, expression=expression)
