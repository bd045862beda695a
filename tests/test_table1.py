"""Table 1: from stored results alone, with the paper's numbers, verdicts, gaps and the worst photographs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmark.runner.records import RecordError, Result, Row, Scores
from benchmark.tables import table1
from benchmark.tables.figures import draw_distributions
from benchmark.tables.pages import fill_readme, read_table, write_tables
from benchmark.tables.reported import LARGE, REASONS, TABLE_1, gap_sentence, large_gaps
from benchmark.tables.table1 import (
    AS_DESCRIBED,
    BASELINES,
    COPYING,
    METRICS,
    OURS,
    PAGE,
    ROWS,
    display_name,
    page_markdown,
    read_rows,
    row_of,
    table1_markdown,
    table_order,
)
from benchmark.tables.verdicts import best_is_sure, verdict
from benchmark.tables.worst_cases import worst_rows
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


def first_cells(lines: list[str], count: int = 3) -> list[tuple[str, ...]]:
    return [tuple(cell.strip() for cell in line.split("|")[1 : count + 1]) for line in lines]


def with_rows(result: Result, block: str, rows: list[Scores]) -> Result:
    """The same result with other scores in one block."""
    pairs = zip(result.rows, rows, strict=True)
    return replace(result, rows=tuple(replace(row, scores=row.scores | {block: scores}) for row, scores in pairs))


def test_order_and_reported_rows(results: Path) -> None:
    text = table1_markdown(results)
    lines = block(text, "CelebA, overlay")
    earlier = "retrained, *trained on earlier data*"
    expected: list[tuple[str, ...]] = []
    for name in ("DECA", "Chen", "Deng", "Tran"):
        expected += [(name, "albedo relit", earlier), (name, "–", "reported")]
    expected += [("Ours", "texture", "ours"), ("Ours", "albedo relit", "ours"), ("Huang et al.", "–", "reported")]
    for name in ("mean", "mirror"):
        expected += [(name, kind, "reference") for kind in ("texture", "albedo relit")]
    assert first_cells(lines) == expected
    assert (
        "| method | drawn from | source | L1 ↓ | PSNR ↑ | SSIM ↑ | cosine ↑ | dlib distance ↓ | LPIPS ↓ | s an image ↓ "
        "| images |"
    ) in text
    assert lines[8] == "| Ours | texture | ours | 0.0600 | 23.20 | 0.7800 | 0.7000 | 0.4000 | 0.1200 | 0.260 | 3 of 3 |"
    assert "| Ours | albedo relit | ours | 0.0650 | 22.80 | 0.7700 | 0.6750 | 0.4500 | " in lines[9]
    assert lines[10] == "| Huang et al. | – | reported | 0.024 | 27.585 | 0.928 | 0.918 | – | – | – | 10,000 |"
    assert text.count("reported") == len(ROWS), "the paper has numbers for the overlay on CelebA alone"
    assert "image_to_image" not in text, "the ablation is Table 2"
    assert "Tran" in "".join(block(text, "CelebA, face"))
    for seen in ("Cross-view, seen", "Cross-view, unseen", "Cross-view, face"):
        names = [name for (name,) in first_cells(block(text, seen), 1)]
        assert names == ["DECA", "Chen", "Deng", "Ours", "mean", "mirror"]
    unseen = text.split("**Cross-view, unseen")[1].split("**Cross-view, face")[0]
    assert "cosine" not in unseen
    assert "dlib" not in unseen
    assert "drawn from" not in unseen, "all of it is the albedo"


def test_why_copying_is_strong_is_said_once(results: Path) -> None:
    assert table1_markdown(results).count(COPYING) == page_markdown(results).count(COPYING) == 1


def test_paper_numbers() -> None:
    assert list(TABLE_1) == list(ROWS)
    assert [scores.psnr for scores in TABLE_1.values()] == [21.741, 22.653, 23.568, 17.575, 27.585]
    assert TABLE_1["tran"] == Scores(0.080, 17.575, 0.787, None, 0.432)


def test_the_best_of_a_kind_is_bold(results: Path) -> None:
    """Mirror leads ours by .1 on every photograph, from the texture and relit; each kind is for itself."""
    lines = block(table1_markdown(results), "CelebA, overlay")
    assert [line.count("**") // 2 for line in lines] == [0] * 13 + [len(METRICS)] * 2
    stored("table1", "telea", QUALITY["mirror"]).write(results / "table1" / "telea.json")
    assert "**" not in "".join(block(table1_markdown(results), "CelebA, overlay")), "equals are not ahead of each other"


def test_a_best_that_is_not_sure_is_not_bold(results: Path) -> None:
    """Far ahead on two photographs and behind on the third: the best mean, but an interval that holds 0."""
    ours, mirror = (Result.read(results / "table1" / f"{name}.json") for name in (OURS, "mirror"))
    luck = with_rows(ours, "face", [scores(3), scores(3), scores(-1)])
    assert luck.summary["face"].mean.psnr > mirror.summary["face"].mean.psnr  # type: ignore[operator]
    assert best_is_sure({OURS: luck, "mirror": mirror}, "face", "psnr", failures=False) is None
    sure = with_rows(ours, "face", [scores(3), scores(2), scores(1)])
    assert best_is_sure({OURS: sure, "mirror": mirror}, "face", "psnr", failures=False) == OURS
    assert best_is_sure({OURS: sure}, "face", "psnr", failures=False) is None, "there is nothing to be ahead of"


def test_other_rows_of_a_method_of_the_paper(results: Path) -> None:
    stored("table1", "deca_official", 0.15).write(results / "table1" / "deca_official.json")
    stored("table1", AS_DESCRIBED, 0.5).write(results / "table1" / f"{AS_DESCRIBED}.json")
    lines = block(table1_markdown(results), "CelebA, overlay")
    assert [cells[0] for cells in first_cells(lines)][:4] == ["DECA official", "DECA", "DECA", "Chen"]
    assert [(cells[0], cells[2]) for cells in first_cells(lines)][9:14] == [
        ("Huang et al. as described", "retrained"), ("Huang et al. as described", "retrained"), ("Ours", "ours"),
        ("Ours", "ours"), ("Huang et al.", "reported"),
    ]  # fmt: skip
    mixed = ["telea", "ftim_divide", AS_DESCRIBED, "ftim", "deca", "tran_theirs", "mean", "deca_official"]
    assert table_order(mixed) == [
        "deca_official", "deca", "tran_theirs", AS_DESCRIBED, "ftim", "mean", "telea", "ftim_divide",
    ]  # fmt: skip
    assert row_of(AS_DESCRIBED) == OURS
    assert [display_name(name) for name in ("ftim", "tran_theirs", "ftim_divide")] == [
        "Ours",
        "Tran theirs",
        "ftim_divide",
    ]
    page = page_markdown(results)
    assert "- **DECA official**: " in page
    assert "*official* rows keep" in page
    assert re.search(r"- \*\*Huang et al. as described\*\*: .*" + re.escape(REASONS[AS_DESCRIBED]), page)


def verdict_of(rows: dict[str, Result], block: str) -> str:
    return verdict(rows, OURS, [name for name in rows if row_of(name) in BASELINES], block, METRICS, display_name)


def test_verdict_counts_and_names_who_is_better(results: Path) -> None:
    text = table1_markdown(results)
    assert (
        "- CelebA, overlay, from the texture: Ours is first on 0 of 6 scores among all 3 rows; beaten by mirror on L1, "
        "PSNR, SSIM, cosine, dlib distance, LPIPS. Against the best other row: L1 +0.0050 [+0.0050, +0.0050], worse "
        "than mirror; PSNR -0.40 [-0.40, -0.40], worse than mirror; "
    ) in text
    assert (
        "- CelebA, overlay, albedo relit: Ours is first on 6 of 6 scores among the paper's methods and on 0 of 6 "
        "scores among all 7 rows; beaten by mirror on "
    ) in text
    assert "- Cross-view, seen: Ours is first on 4 of 4 scores among the paper's methods and on 0 of 4 scores" in text
    assert text.count("\n- ") == 2 * 2 + 3


def test_verdict_of_ties_and_of_what_is_not_sure(results: Path) -> None:
    found = read_rows(results / "table1")
    ours = found[OURS].summary["relit_overlay"].mean
    chen = with_rows(found["chen"], "relit_overlay", [replace(ours, l1=0.2, psnr=value, ssim=0.5, cosine=0.1)
                                                      for value in (30.0, 28.0, 17.0)])  # fmt: skip
    text = verdict_of({"chen": chen, OURS: found[OURS]}, "relit_overlay")
    assert text.startswith(
        "Ours is first on 5 of 6 scores among the paper's methods and on 5 of 6 scores among all 2 rows; "
        "beaten by Chen on PSNR. "
    ), "a tie on LPIPS is no defeat"
    assert ", level with Chen" in text.split("PSNR")[2], "one photograph of three was much worse"
    assert "L1 -0.1350 [-0.1355, -0.1345], better than Chen" in text
    assert "beaten" not in verdict_of({OURS: found[OURS], "deca": found["deca"]}, "relit_overlay")
    assert "Against" not in verdict_of({OURS: found[OURS]}, "overlay")


def test_failures_count_as_the_worst(results: Path) -> None:
    assert "worst score" not in table1_markdown(results)
    ours = stored("table1", OURS, 0.8)
    failing = replace(ours, rows=(Row("a", "FaceError: no fit"), *ours.rows[1:]))
    failing.write(results / "table1" / "ftim.json")
    text = table1_markdown(results)
    assert text.count("A failure counting as the worst score") == 2
    assert "| Ours | texture | ours | 0.3735 |" in text
    assert (
        "- CelebA, overlay, from the texture: Ours is first on 0 of 6 scores among all 3 rows; beaten by mean on L1, "
        "PSNR, SSIM, cosine, LPIPS; by mirror on"
    ) in text
    # It fails on one photograph of three and is nearly level on the others; without that one, it is nearly level.
    assert "L1 +0.3185 [+0.0050, +0.9455], worse than mirror" in text
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
    assert sentences["DECA"].startswith("L1 0.046 higher (0.0900 for 0.044)"), "of its albedo: it has nothing else"
    assert REASONS.keys() == {*ROWS, AS_DESCRIBED}
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
    assert "**Cross-view" not in table1_markdown(results)
    assert "- Cross-view" not in table1_markdown(results)


def test_methods_that_cannot_be_seen_from_elsewhere_are_left_out(results: Path) -> None:
    official = stored("frll", "deca_official", 0.2)
    rows = tuple(Row(row.name, "CrossViewError: no texture of the shared head") for row in official.rows)
    replace(official, rows=rows).write(results / "frll" / "deca_official.json")
    assert "DECA official" not in table1_markdown(results)


def test_overlays_of_other_code_have_no_seconds_and_no_place_in_the_paper(results: Path) -> None:
    other = stored("table1", "theirs", 1.0)
    replace(other, provenance=other.provenance | {"overlays": {}}).write(results / "table1" / "theirs.json")
    text = table1_markdown(results)
    assert (
        "| theirs | albedo relit | official | **0.0500** | **24.00** | **0.8000** | **0.7500** | **0.3000** | "
        "**0.1000** | – | 3 of 3 |"
    ) in text
    assert "6 of 6 scores among the paper's methods and on 0 of 6 scores among all 8 rows" in text
    assert re.search("beaten by .*by theirs on L1", text)


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


def test_distributions_show_all_blocks(results: Path) -> None:
    draw_distributions(read_table(results / "table1"), results / "both.png")
    draw_distributions(read_table(results / "frll"), results / "one.png")
    with Image.open(results / "both.png") as both, Image.open(results / "one.png") as one:
        assert both.width == one.width
        assert both.height > 3 * one.height, "two blocks, each from the texture and relit"


def test_baselines_are_named_as_the_paper_names_them() -> None:
    assert [display_name(name) for name in BASELINES] == ["DECA", "Chen", "Deng", "Tran"]
