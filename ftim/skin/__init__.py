"""Which pixels of a crop show the face's own surface."""

from ftim.skin.mask import SkinSettings, skin_mask

__all__ = ["SkinSettings", "skin_mask"]
