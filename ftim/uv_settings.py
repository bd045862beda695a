"""Settings of unwrapping."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UvSettings:
    """What counts as seen. Pixels are those of a crop of 224; other crops scale them."""

    tolerance: float = 0.0015
    """Metres that a texel may lie behind the rendered surface."""
    min_cosine: float = 0.15
    """Of the angle between the normal and the way to the camera: steeper surfaces are not seen."""
    full_cosine: float = 0.7
    """Of the same angle: from here on confidence is full."""
    outer_jump: float = 0.015
    """Metres. Behind such a break in depth lies something else: background, or another part of the head."""
    outer_erosion: int = 2
    """Pixels next to such a break that are not seen: pixels there mix both sides, and no fit is exact."""
    outer_fade: int = 6
    """Pixels from such a break at which confidence is full again."""
    inner_jump: float = 0.004
    """Metres. Smaller breaks (lids on eyes, lips on teeth) are seen, with less confidence."""
    inner_fade: int = 2
    """Pixels from an inner break at which confidence is full again."""
    refinements: int = 3
    """Steps that give the map what a lookup in it loses of the photograph's detail."""
