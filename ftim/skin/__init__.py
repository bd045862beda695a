"""Which pixels of a crop show the face's own surface."""

from ftim.skin.mask import SkinMask, SkinSettings, skin_mask

__all__ = ["SkinMask", "SkinSettings", "skin_mask"]
