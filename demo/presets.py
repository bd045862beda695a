"""Expressions to choose from, as weights of ARKit names."""

from __future__ import annotations

from collections.abc import Mapping

AS_PHOTOGRAPHED = "As photographed"


def _both(**weights: float) -> dict[str, float]:
    """The same on the left and on the right."""
    return {f"{name}{side}": weight for name, weight in weights.items() for side in ("Left", "Right")}


PRESETS: Mapping[str, Mapping[str, float] | None] = {
    AS_PHOTOGRAPHED: None,
    "Neutral": {},
    "Smile": _both(mouthSmile=0.8, cheekSquint=0.5, eyeSquint=0.3, mouthDimple=0.3),
    "Laugh": _both(mouthSmile=0.85, cheekSquint=0.7, eyeSquint=0.5, mouthUpperUp=0.3) | {"jawOpen": 0.3},
    "Surprise": _both(browOuterUp=0.7, eyeWide=0.7) | {"browInnerUp": 0.8, "jawOpen": 0.35},
    "Frown": _both(browDown=0.8, mouthFrown=0.6, eyeSquint=0.3) | {"mouthShrugLower": 0.3},
    "Eyes closed": _both(eyeBlink=1.0),
    "Kiss": {"mouthPucker": 0.8, "mouthFunnel": 0.2},
}
