"""Table 2: from stored results alone, beside the paper's numbers; stale or typed pages are found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import benchmark.run as runner
from benchmark.run import BenchmarkConfig, RunError, run_table
from benchmark.runner.records import RecordError, Result, Row
from benchmark.tables import ablation
from benchmark.tables.ablation import BLOCKS, PAGE, ROWS, page_markdown, table2_markdown, verdict, write_table2
from benchmark.tables.pages import README, RESULTS, fill_readme, readme_blocks
from ftim.errors import DatasetError
from tests.stored_results import scores, stored

QUALITY = {"image_to_image": 0.0, "ftim_no_sym_mrf": 0.5, "ftim": 1.0, "mirror": 0.25}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for table in ablation.TABLES:
        for method, quality in QUALITY.items():
            stored(table, method, quality).write(tmp_path / table / f"{method}.json")
    return tmp_path


def test_rows_and_reported_numbers(results: Path) -> None:
    lines = table2_markdown(results).splitlines()
    overlay = lines[2 : lines.index("", 3)]
    assert [line.split(" | ")[0].strip("| ") for line in overlay[2:]] == [
        "image_to_image", "image_to_image", "ftim_no_sym_mrf", "ftim_no_sym_mrf", "ftim", "ftim", "mirror",
    ]  # fmt: skip
    assert overlay[6] == "| ftim | ✓ | ✓ | 0.0500 | 24.00 | 0.8000 | 0.1000 | 0.7500 | 0.3000 | ours | 3 of 3 |"
    assert overlay[7] == "| ftim | ✓ | ✓ | 0.024 | 27.585 | 0.928 | – | 0.918 | – | reported | 10,000 |"
    assert overlay[2].endswith(" | retrained, *trained on earlier data* | 3 of 3 |")
    assert sum("reported" in line for line in lines) == 3, "the paper has numbers for the overlay on CelebA alone"


def test_unseen_skin_has_no_likeness(results: Path) -> None:
    unseen = table2_markdown(results).split("**Cross-view, unseen")[1].split("**Cross-view, face")[0]
    assert "cosine" not in unseen
    assert "LPIPS" in unseen


def test_each_block_has_its_verdict(results: Path) -> None:
    text = table2_markdown(results)
    for _, _, title in BLOCKS:
        part = text.split(f"**{title}**")[1].split("\n**")[0]
        count = 4 if "unseen" in title else 6
        assert f"- `image_to_image` is worse than `ftim` on {count} of {count} scores: L1 +0.0500 [+0.0500" in part
        assert f"- `ftim_no_sym_mrf` is worse than `ftim` on {count} of {count} scores: " in part
    assert [title.split(":")[0] for _, _, title in BLOCKS] == [
        "CelebA, overlay, from the texture", "CelebA, face, from the texture", "CelebA, overlay, albedo relit",
        "CelebA, face, albedo relit", "Cross-view, unseen", "Cross-view, face",
    ]  # fmt: skip


def test_verdict_tells_worse_from_level_and_better(results: Path) -> None:
    found = ablation.read_rows(results / "frll")
    ours = found["ftim"]
    changed = [replace(row.scores["unseen"], psnr=psnr, lpips=0.01)
               for row, psnr in zip(ours.rows, (10.0, 40.0, 22.0), strict=True)]  # fmt: skip
    rows = tuple(replace(row, scores=row.scores | {"unseen": item})
                 for row, item in zip(ours.rows, changed, strict=True))  # fmt: skip
    text = verdict(found | {"ftim_no_sym_mrf": replace(ours, rows=rows)}, "ftim_no_sym_mrf", "unseen")
    assert text.startswith("- `ftim_no_sym_mrf` is worse than `ftim` on 0 of 4 scores. Level: ")
    level, better = text.split(" Better: ")
    assert "PSNR" in level and "L1 +0.0000 [+0.0000, +0.0000]" in level
    assert better.startswith("LPIPS -0.09")


def test_missing_and_different_rows_are_refused(results: Path) -> None:
    (results / "frll" / "ftim.json").unlink()
    assert not ablation.complete(results)
    with pytest.raises(RecordError, match="lacks ftim"):
        page_markdown(results)
    other = replace(stored("frll", "ftim", 1), rows=(Row("z", None, {"face": scores(1)}, 1.0),))
    other.write(results / "frll" / "ftim.json")
    with pytest.raises(RecordError, match="different images"):
        page_markdown(results)


def test_readme_block(results: Path) -> None:
    text = "a\n<!-- results:table2 -->\nold\n<!-- /results -->\nb\n"
    assert fill_readme(text, results) == text.replace("old\n", table2_markdown(results))
    (results / "table1" / "ftim.json").unlink()
    assert fill_readme(text, results) == text


def test_both_data_sets_are_looked_for_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "run", lambda *_: pytest.fail("nothing may be scored"))
    (tmp_path / "celeba").mkdir()
    (tmp_path / "celeba" / "182638.jpg").touch()
    with pytest.raises(DatasetError, match="figshare"):
        run_table(BenchmarkConfig(table=2, data=tmp_path, limit=1))


def test_runs_the_rows_on_both_and_writes_the_page(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def fake(config: BenchmarkConfig, quiet: bool) -> list[Result]:
        seen.append((config.dataset, config.methods, config.table))
        return [Result.read(config.folder / config.table_name / "ftim.json")]

    monkeypatch.setattr(runner, "run", fake)
    monkeypatch.setattr(runner, "load_data", lambda config: None)
    run_table(BenchmarkConfig(table=2, results=results))
    assert seen == [("celeba", ",".join(ROWS), None), ("frll", ",".join(ROWS), None)]
    assert (results / PAGE).read_text(encoding="utf-8") == page_markdown(results)


@pytest.mark.parametrize("options", [{"methods": "mean"}, {"dataset": "frll"}, {"protocol": "overlay"}])
def test_contradictory_options(options: dict[str, str]) -> None:
    with pytest.raises(RunError, match="--table"):
        BenchmarkConfig(table=2, **options)  # type: ignore[arg-type]


def test_committed_page_follows_from_the_json() -> None:
    page = RESULTS / PAGE
    assert page.is_file() == ablation.complete(RESULTS)
    if page.is_file():
        assert page.read_text(encoding="utf-8") == page_markdown(RESULTS), "python -m benchmark.tables"


def test_write_is_what_page_says(results: Path) -> None:
    write_table2(results)
    assert (results / PAGE).read_text(encoding="utf-8") == page_markdown(results)


def test_readme_shows_table_2_once_it_is_there() -> None:
    names = [name for name, _ in readme_blocks(README.read_text(encoding="utf-8"))]
    assert ("table2" in names) == ablation.complete(RESULTS)
