"""From triangles to pictures: rasterise -> ``Fragments`` -> interpolate -> shade."""

from ftim.render.rasterizer import Fragments, Rasterizer, default_rasterizer

__all__ = ["Fragments", "Rasterizer", "default_rasterizer"]
