"""Committed tables and numbers in documents follow from the committed JSON; nothing was typed or left behind."""

import json
from pathlib import Path

import pytest

from benchmark.albedo.run import NAME as ALBEDO
from benchmark.runner.provenance import weights_of
from benchmark.runner.records import Result
from benchmark.tables import table1
from benchmark.tables.pages import (
    DOCUMENTS,
    PAPER_TABLES,
    RESULTS,
    blocks_markdown,
    page_markdown,
    read_table,
    readme_blocks,
    table_folders,
)

SCREENSHOTS = "demo"
"""Of the page with FRLL people; no table."""


@pytest.mark.parametrize("folder", table_folders(RESULTS), ids=lambda folder: folder.name)
def test_pages_follow_from_the_json(folder: Path) -> None:
    assert (folder / "README.md").read_text(encoding="utf-8") == page_markdown(read_table(folder), folder)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_follow_from_the_json(document: Path) -> None:
    blocks = list(readme_blocks(document.read_text(encoding="utf-8")))
    assert blocks, f"{document} shows no results"
    for table, content in blocks:
        if table in PAPER_TABLES:
            complete, block, _ = PAPER_TABLES[table]
            assert content == (block(RESULTS) if complete(RESULTS) else ""), f"python -m benchmark.tables: {table}"
            continue
        assert RESULTS / table in table_folders(RESULTS), f"{document} has a block for {table}, which has no results"
        assert content == blocks_markdown(read_table(RESULTS / table)), f"python -m benchmark.tables: {table}"


def test_table_1_follows_from_the_json() -> None:
    page = RESULTS / table1.PAGE
    assert page.is_file() == table1.complete(RESULTS)
    if page.is_file():
        assert page.read_text(encoding="utf-8") == table1.page_markdown(RESULTS), "python -m benchmark.tables"


def test_no_page_without_results() -> None:
    # tests/test_albedo_protocol.py has those of the albedo protocol.
    for page in set(RESULTS.glob("*/README.md")) - {RESULTS / name / "README.md" for name in (SCREENSHOTS, ALBEDO)}:
        assert page.parent in table_folders(RESULTS), f"{page} has no JSON beside it"


@pytest.mark.parametrize("folder", table_folders(RESULTS), ids=lambda folder: folder.name)
def test_results_are_of_whole_data_sets_and_name_no_machine(folder: Path) -> None:
    for path in folder.glob("*.json"):
        assert Result.read(path).configuration["limit"] is None
        text = path.read_text(encoding="utf-8")
        assert not any(word in text for word in ("/home/", "/root/", "/tmp/", "/Users/", str(RESULTS.parent)))


@pytest.mark.parametrize("table", ["portraits", "table1", "frll", ALBEDO])
def test_results_are_of_the_weights_that_ship(table: str) -> None:
    """Its own weights, the head and the template; without this, a table of old weights stands beside new ones."""
    for path in sorted((RESULTS / table).glob("*.json")):
        recorded = json.loads(path.read_text(encoding="utf-8"))["provenance"]["assets"]
        expected = weights_of(path.stem)
        assert {name: recorded.get(name) for name in expected} == expected, f"run the benchmark again: {path.name}"


def test_pictures_are_of_photographs_that_may_be_shown() -> None:
    allowed = {"frll", "frll-overlay", "forms", "figures", "local", SCREENSHOTS}
    for picture in [*RESULTS.rglob("*.png"), *RESULTS.rglob("*.jpg")]:
        parts = picture.relative_to(RESULTS).parts
        assert parts[0] in allowed or parts[0] == ".work" or picture.name == "distributions.png", picture
