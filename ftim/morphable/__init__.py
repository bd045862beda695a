"""Parametric heads."""

from ftim.morphable.expressions import EXPRESSIONS
from ftim.morphable.model import MorphableModel, Region
from ftim.morphable.open_head import load_open_head

__all__ = ["EXPRESSIONS", "MorphableModel", "Region", "load_open_head"]
