"""Files that are not code: which there are, where they come from, and where they are kept."""

from ftim.assets.store import AssetStore, asset_path, cache_folder, find_asset, present_asset_path, sha256_of
from ftim.assets.table import ASSETS, Asset

__all__ = [
    "ASSETS", "Asset", "AssetStore", "asset_path", "cache_folder", "find_asset", "present_asset_path", "sha256_of",
]  # fmt: skip
