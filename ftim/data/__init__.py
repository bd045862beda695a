"""Photographs to train on and to measure with."""

from ftim.data.celeba import load_celeba
from ftim.data.frll import Frll, load_frll
from ftim.data.official_portraits import load_official_portraits
from ftim.data.photo_set import PhotoFile, PhotoSet
from ftim.data.portraits import load_portraits
from ftim.data.webmorph import load_webmorph

__all__ = [
    "Frll", "PhotoFile", "PhotoSet", "load_celeba", "load_frll", "load_official_portraits", "load_portraits",
    "load_webmorph",
]  # fmt: skip
