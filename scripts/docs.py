"""Pages of the package from its docstrings: ``make docs``.

    python -m scripts.docs --output docs/site

Every public module has one. Ends with an error when a name cannot be found or a page links to nothing.
"""

from __future__ import annotations

import pkgutil
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import tyro

import ftim
from ftim.errors import FtimError
from ftim.extras import import_extra

LINK = re.compile(r'href="([^"#:$]+)(?:#[^"]*)?"')


class DocumentationError(FtimError):
    """Pages cannot be made as they should be; the message lists why."""


@dataclass(frozen=True)
class Config:
    """Where to, and of what."""

    output: Path = Path("docs/site")
    """Folder of the pages; it opens with index.html."""
    modules: tuple[str, ...] = ()
    """Only these, by their dotted names; every module of the package by default."""


def module_names() -> list[str]:
    """Every module, but those that only hold data, and programs."""
    found = ["ftim", *(item.name for item in pkgutil.walk_packages(ftim.__path__, "ftim."))]
    return [name for name in found if not name.endswith(".pytorch3d_rasterizer")]


def build(config: Config) -> list[Path]:
    """Write the pages. Raises ``DocumentationError``, and ``MissingPackageError`` without pdoc."""
    pdoc = import_extra("pdoc", "dev")
    for name in ftim.__all__:
        getattr(ftim, name)  # what is loaded when used is there from now on
    pdoc.render.configure(docformat="google", show_source=False)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        pdoc.pdoc(*(config.modules or module_names()), output_directory=config.output)
    # Inherited fields of data classes have types that the heir's module does not name: the page shows their names.
    wrong = [text for item in told if "does not resolve" in (text := str(item.message).splitlines()[0])]
    pages = sorted(config.output.rglob("*.html"))
    wrong += [f"{page}: {link}" for page in pages for link in broken(page)]
    if wrong:
        raise DocumentationError("\n".join([f"{len(wrong)} things are wrong with the pages:", *wrong]))
    return pages


def broken(page: Path) -> list[str]:
    """Its links to pages that are not there."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    return sorted({link for link in links if not (page.parent / link).exists()})


def main() -> None:
    """Build and say where."""
    config = tyro.cli(Config, description=__doc__)
    try:
        pages = build(config)
    except FtimError as error:
        sys.exit(f"error: {error}")
    print(f"{len(pages)} pages in {config.output}; open {config.output / 'index.html'}")


if __name__ == "__main__":
    main()
