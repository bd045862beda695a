"""The table that ``ftim assets`` prints."""

from __future__ import annotations

import textwrap

from ftim.assets import ASSETS, AssetStore
from ftim.errors import AssetError


def list_assets(store: AssetStore) -> str:
    """A paragraph a file: name, size, state and place, purpose, licence, sources."""
    blocks = []
    for asset in ASSETS.values():
        try:
            path = store.find(asset)
            state = f"present: {path}" if path else "optional, not present" if asset.optional else "not present"
        except AssetError as error:
            state = f"WRONG: {error}"
        sources = [asset.url] if asset.url else []
        if asset.archive:
            sources.append(f"{asset.archive.package}=={asset.archive.version} on PyPI")
        lines = [
            f"{asset.name}  ({asset.size / 1e6:.1f} MB)  {state}",
            *_paragraph("for", asset.purpose),
            *_paragraph("licence", asset.licence),
            *_paragraph("from", f"{', '.join(sources)}; {asset.home}"),
        ]
        blocks.append("\n".join(lines))
    places = f"Folder: {store.folder}\n" if store.folder else ""
    return "\n".join([*blocks, f"{places}Cache: {store.cache}"])


def _paragraph(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        width=110,
        initial_indent=f"    {label:8}",
        subsequent_indent=" " * 12,
        break_long_words=False,
        break_on_hyphens=False,
    )
