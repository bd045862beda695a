"""Table 2: from stored results alone, beside the paper's numbers; stale or typed pages are found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import benchmark.run as runner
from benchmark import ablation
from benchmark.ablation import PAGE, ROWS, page_markdown, table2_markdown, verdict, write_table2
from benchmark.records import RecordError, Result, Row, Scores
from benchmark.run import BenchmarkConfig, RunError, run_table
from benchmark.tables import README, RESULTS, fill_readme, readme_blocks
from ftim.errors import DatasetError

QUALITY = {"image_to_image": 0.0, "ftim_no_sym_mrf": 0.5, "ftim": 1.0, "mirror": 0.25}


def scores(quality: float, likeness: bool = True) -> Scores:
    return Scores(0.1 - 0.05 * quality, 20 + 4 * quality, 0.7 + quality / 10, 0.2 - quality / 10,
                  0.5 + quality / 4 if likeness else None)  # fmt: skip


def stored(table: str, method: str, quality: float) -> Result:
    blocks = ("overlay", "face") if table == "table1" else ("face", "seen", "unseen")
    rows = tuple(Row(name, None, {b: scores(quality, b in ("overlay", "face")) for b in blocks}, 1.0) for name in "ab")
    about = {"commit": "c", "device": "cpu", "data": {"name": table, "licence": "x", "photos": 2, "sha256": "00"}}
    protocol = "overlay" if table == "table1" else "cross-view"
    source = "reference" if method == "mirror" else "retrained"
    return Result(table, method, source, protocol, blocks, {"limit": None}, about, {"shared": 0.1, "method": 0.1}, rows)


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
    assert overlay[6] == "| ftim | ✓ | ✓ | 0.0500 | 24.00 | 0.8000 | 0.1000 | 0.7500 | retrained | 2 of 2 |"
    assert overlay[7] == "| ftim | ✓ | ✓ | 0.024 | 27.585 | 0.928 | – | 0.918 | reported | 10,000 |"
    assert sum("reported" in line for line in lines) == 3, "the paper has numbers for the overlay on CelebA alone"


def test_unseen_skin_has_no_likeness(results: Path) -> None:
    unseen = table2_markdown(results).split("**Cross-view, unseen")[1].split("**Cross-view, face")[0]
    assert "cosine" not in unseen
    assert "LPIPS" in unseen


def test_verdict_counts_what_is_worse(results: Path) -> None:
    found = ablation.read_rows(results / "frll")
    assert verdict(found, "image_to_image").startswith("- `image_to_image` is worse than `ftim` on 4 of 4")
    better = replace(found["ftim_no_sym_mrf"], rows=tuple(
        replace(row, scores=row.scores | {"unseen": Scores(0.01, 40, 0.99, 0.19, None)})
        for row in found["ftim_no_sym_mrf"].rows
    ))  # fmt: skip
    text = verdict(found | {"ftim_no_sym_mrf": better}, "ftim_no_sym_mrf")
    assert "2 of 4" in text
    assert "LPIPS (unseen), cosine (face)" in text


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
        assert page.read_text(encoding="utf-8") == page_markdown(RESULTS), "run benchmark/tables.py"


def test_write_is_what_page_says(results: Path) -> None:
    write_table2(results)
    assert (results / PAGE).read_text(encoding="utf-8") == page_markdown(results)


def test_readme_shows_table_2_once_it_is_there() -> None:
    names = [name for name, _ in readme_blocks(README.read_text(encoding="utf-8"))]
    assert ("table2" in names) == ablation.complete(RESULTS)
