"""Table 1: from stored results alone, with the paper's numbers, verdicts, gaps and the worst photographs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmark import table1
from benchmark.figures import draw_distributions
from benchmark.records import RecordError, Row, Scores
from benchmark.reported import LARGE, REASONS, TABLE_1, gap_sentence, large_gaps
from benchmark.table1 import (
    BASELINES,
    OURS,
    PAGE,
    ROWS,
    display_name,
    page_markdown,
    read_rows,
    table1_markdown,
    table_order,
    verdict,
)
from benchmark.tables import fill_readme, read_table, write_tables
from benchmark.worst_cases import worst_rows
from tests.stored_results import scores, stored

QUALITY = {"deca": 0.2, "chen": 0.4, "deng": 0.3, "tran": 0.1, "ftim": 0.8, "mean": 0.0, "mirror": 0.9,
           "image_to_image": 1.0}  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for method, quality in QUALITY.items():
        stored("table1", method, quality).write(tmp_path / "table1" / f"{method}.json")
        if method != "tran":
            stored("frll", method, quality).write(tmp_path / "frll" / f"{method}.json")
    return tmp_path


def block(text: str, title: str) -> list[str]:
    """The lines of one table, below its heading."""
    lines = text.split(f"**{title}")[1].splitlines()[2:]
    return lines[2 : lines.index("")]


def first_cells(lines: list[str]) -> list[tuple[str, str]]:
    return [(cells[1].strip(), cells[2].strip()) for cells in (line.split("|") for line in lines)]


def test_order_and_reported_rows(results: Path) -> None:
    text = table1_markdown(results)
    lines = block(text, "CelebA, overlay")
    expected = [
        (name, source) for name in ("DECA", "Chen", "Deng", "Tran", "Ours") for source in ("retrained", "reported")
    ]
    assert first_cells(lines) == [*expected, ("mean", "reference"), ("mirror", "reference")]
    assert "| method | source | L1 ↓ | PSNR ↑ | SSIM ↑ | cosine ↑ | LPIPS ↓ | s an image ↓ | images |" in text
    assert lines[8] == "| Ours | retrained | 0.0600 | 23.20 | 0.7800 | 0.7000 | 0.1200 | 0.260 | 3 of 3 |"
    assert lines[9] == "| Ours | reported | 0.024 | 27.585 | 0.928 | 0.918 | – | – | 10,000 |"
    assert text.count("reported") == len(ROWS), "the paper has numbers for the overlay on CelebA alone"
    assert "image_to_image" not in text, "the ablation is Table 2"
    assert "Tran" in "".join(block(text, "CelebA, face"))
    for unseen in ("Cross-view, unseen", "Cross-view, face"):
        assert [name for name, _ in first_cells(block(text, unseen))] == [
            "DECA",
            "Chen",
            "Deng",
            "Ours",
            "mean",
            "mirror",
        ]
    assert "cosine" not in text.split("**Cross-view, unseen")[1].split("**Cross-view, face")[0]


def test_paper_numbers() -> None:
    assert list(TABLE_1) == list(ROWS)
    assert [scores.psnr for scores in TABLE_1.values()] == [21.741, 22.653, 23.568, 17.575, 27.585]
    assert TABLE_1["tran"] == Scores(0.080, 17.575, 0.787, None, 0.432)


def test_best_measured_number_is_bold(results: Path) -> None:
    lines = block(table1_markdown(results), "CelebA, overlay")
    assert lines[-1].count("**") == 2 * 6, "mirror: five scores and seconds"
    assert all("**" not in line for line in lines[:-1])
    stored("table1", "telea", QUALITY["mirror"]).write(results / "table1" / "telea.json")
    lines = block(table1_markdown(results), "CelebA, overlay")
    assert lines[-1].count("**") == lines[-2].count("**") == 2 * 6, "equals are equal"
    other = stored("table1", "telea", 0)
    replace(other, provenance=other.provenance | {"device": "gpu"}).write(results / "table1" / "telea.json")
    lines = block(table1_markdown(results), "CelebA, overlay")
    assert lines[-2].count("**") == 2 * 5, "seconds of different devices are not compared"


def test_official_results_stand_in_the_row_of_their_method(results: Path) -> None:
    stored("table1", "deca_official", 0.15).write(results / "table1" / "deca_official.json")
    assert first_cells(block(table1_markdown(results), "CelebA, overlay"))[:4] == [
        ("DECA official", "official"), ("DECA", "retrained"), ("DECA", "reported"), ("Chen", "retrained"),
    ]  # fmt: skip
    assert table_order(["telea", "ftim_paper", "ftim", "deca", "tran_theirs", "mean", "deca_official"]) == [
        "deca_official", "deca", "tran_theirs", "ftim", "mean", "telea", "ftim_paper",
    ]  # fmt: skip
    assert [display_name(name) for name in ("ftim", "tran_theirs", "ftim_paper")] == [
        "Ours",
        "Tran theirs",
        "ftim_paper",
    ]
    page = page_markdown(results)
    assert "- **DECA official**: " in page
    assert "*official* rows keep" in page


def test_verdict_counts_and_names_who_is_better(results: Path) -> None:
    found = read_rows(results / "table1")
    text = verdict(found, "overlay", "CelebA, overlay")
    assert text.startswith(
        "- CelebA, overlay: Ours is first on 5 of 5 scores among the paper's methods and on 0 of 5 scores among "
        "all rows; beaten by mirror on L1 (0.0550 against 0.0600), PSNR (23.60 against 23.20), "
    )
    best = stored("table1", "chen", 0.8)
    rows = tuple(replace(row, scores={"overlay": Scores(0.2, 30, 0.5, 0.12, 0.1)}) for row in best.rows)
    text = verdict({"chen": replace(best, rows=rows), OURS: found[OURS]}, "overlay", "x")
    assert text == (
        "- x: Ours is first on 4 of 5 scores among the paper's methods and on 4 of 5 scores among all rows; "
        "beaten by Chen on PSNR (30.00 against 23.20)."
    ), "a tie on LPIPS is no defeat"
    assert "beaten" not in verdict({OURS: found[OURS], "deca": found["deca"]}, "overlay", "x")


def test_failures_count_as_the_worst(results: Path) -> None:
    assert "worst score" not in table1_markdown(results)
    ours = stored("table1", OURS, 0.8)
    failing = replace(ours, rows=(Row("a", "FaceError: no fit"), *ours.rows[1:]))
    failing.write(results / "table1" / "ftim.json")
    text = table1_markdown(results)
    assert text.count("A failure counting as the worst score") == 2
    assert "| Ours | retrained | 0.3735 |" in text
    assert "DECA on L1 (0.0900 against 0.3735)" in text
    page = page_markdown(results)
    assert "- Ours: 1 of 3 images" in page
    assert "| a | FaceError | " in page, "a failure is the worst photograph"


def test_gaps_are_computed_and_each_has_its_reason(results: Path) -> None:
    sentences = dict(re.findall(r"- \*\*(.+?)\*\*: (.*)", page_markdown(results)))
    assert list(sentences) == ["DECA", "Chen", "Deng", "Tran", "Ours"]
    assert sentences["Ours"].startswith("L1 0.036 higher (0.0600 for 0.024), PSNR 4.39 lower (23.20 for 27.585), ")
    assert sentences["Ours"].endswith(REASONS["ftim"])
    near = replace(TABLE_1["deca"], l1=0.045, psnr=21.0)
    assert large_gaps(near, TABLE_1["deca"]) == {}
    assert gap_sentence("DECA", "deca", near, TABLE_1["deca"]) == "- **DECA**: no large gap."
    far = replace(near, cosine=TABLE_1["deca"].cosine + LARGE["cosine"] + 0.001)  # type: ignore[operator]
    assert "cosine 0.051 higher" in gap_sentence("DECA", "deca", far, TABLE_1["deca"])
    assert REASONS.keys() == set(ROWS)
    assert not any(re.search(r"\d\.\d", reason) for reason in REASONS.values()), "sizes are computed, never typed"


def test_worst_photographs_are_named(results: Path) -> None:
    found = read_rows(results / "table1")
    assert [row.name for row in worst_rows(found[OURS], "face", 2)] == ["c", "b"]
    lines = page_markdown(results).split("worst photographs of ours")[1].splitlines()
    assert "| photograph | Ours | DECA | Chen | Deng | Tran |" in lines
    assert lines[6].startswith("| c | 0.121 / 0.060 / 0.698 | 0.181 / 0.090 / 0.547 | ")
    without = replace(found[OURS], rows=(Row("z", None, {"overlay": scores(1)}, 1.0),))
    assert worst_rows(without, "face", 2) == []


def test_page_waits_for_all_rows(results: Path) -> None:
    (results / "table1" / "tran.json").unlink()
    assert not table1.complete(results)
    with pytest.raises(RecordError, match="lacks tran"):
        page_markdown(results)
    text = "<!-- results:table1 -->\n<!-- /results -->\n"
    assert fill_readme(text, results) == text
    write_tables(results, ())
    assert not (results / PAGE).exists()
    stored("table1", "tran", 0.1).write(results / "table1" / "tran.json")
    assert fill_readme(text, results) == text.replace("-->\n<", f"-->\n{table1_markdown(results)}<", 1)
    write_tables(results, ())
    assert (results / PAGE).read_text(encoding="utf-8") == page_markdown(results)


def test_cross_view_is_left_out_until_ours_is_there(results: Path) -> None:
    (results / "frll" / "ftim.json").unlink()
    assert "Cross-view" not in table1_markdown(results)


def test_methods_that_cannot_be_seen_from_elsewhere_are_left_out(results: Path) -> None:
    official = stored("frll", "deca_official", 0.2)
    rows = tuple(Row(row.name, "CrossViewError: no texture of the shared head") for row in official.rows)
    replace(official, rows=rows).write(results / "frll" / "deca_official.json")
    assert "DECA official" not in table1_markdown(results)


def test_overlays_of_other_code_have_no_seconds_and_no_place_in_the_paper(results: Path) -> None:
    other = stored("table1", "theirs", 1.0)
    other = replace(other, source="official", provenance=other.provenance | {"overlays": {}})
    other.write(results / "table1" / "theirs.json")
    text = table1_markdown(results)
    assert "| theirs | official | **0.0500** | **24.00** | **0.8000** | **0.7500** | **0.1000** | – | 3 of 3 |" in text
    assert "5 of 5 scores among the paper's methods and on 0 of 5" in text
    assert "theirs on L1" in text


def test_rows_of_different_images_are_refused(results: Path) -> None:
    other = stored("table1", "chen", 0.5)
    replace(other, rows=other.rows[:2]).write(results / "table1" / "chen.json")
    with pytest.raises(RecordError, match="different images"):
        page_markdown(results)


def test_figures_are_linked_when_they_are_there(results: Path) -> None:
    assert "![" not in page_markdown(results)
    (results / "figures").mkdir()
    (results / "figures" / "figure3.jpg").touch()
    assert "(figures/figure3.jpg)" in page_markdown(results)


def test_distributions_show_both_blocks(results: Path) -> None:
    draw_distributions(read_table(results / "table1"), results / "both.png")
    draw_distributions(read_table(results / "frll"), results / "one.png")
    with Image.open(results / "both.png") as both, Image.open(results / "one.png") as one:
        assert both.width == one.width
        assert both.height > 1.8 * one.height


def test_baselines_are_named_as_the_paper_names_them() -> None:
    assert [display_name(name) for name in BASELINES] == ["DECA", "Chen", "Deng", "Tran"]
