"""Summaries, stored results, tables and figures."""

import json
import platform
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmark.runner.provenance import ROOT, code_hash, data_hash, provenance, shipped_files, weights_of
from benchmark.runner.records import RecordError, Result, Row, Scores, summarise
from benchmark.runner.work_log import WorkLog
from benchmark.tables.figures import draw_distributions
from benchmark.tables.pages import (
    blocks_markdown,
    blocks_of,
    fill_readme,
    page_markdown,
    read_table,
    readme_blocks,
    write_tables,
)
from ftim.metrics.dlib_face import ASSET as DLIB_ASSET

GOOD = Scores(0.1, 30.0, 0.9, 0.2, 0.8, 0.4)
BETTER = Scores(0.05, 34.0, 0.95, 0.1, 0.9, 0.2)
NO_LIKENESS = Scores(0.1, 20.0, 0.5, 0.2, None)


def result(method: str = "mean", rows: tuple[Row, ...] | None = None) -> Result:
    if rows is None:
        rows = (
            Row("1", None, {"overlay": GOOD, "face": GOOD}, 1.0),
            Row("2", None, {"overlay": BETTER, "face": BETTER}, 0.5),
            Row("3", "NoFaceError: no face was found"),
        )
    provenance = {
        "commit": "0123456789abcdef+",
        "device": "cpu",
        "data": {"name": "fakes", "licence": "ours", "photos": 3, "sha256": "00"},
    }
    return Result(
        "portraits", method, "reference", "", "overlay", ("overlay", "face"), {"limit": None}, provenance,
        {"shared": 0.5, "method": 0.25}, rows,
    )  # fmt: skip


def test_summary_counts_failures_as_the_worst() -> None:
    summary = result().summary["face"]
    assert (summary.scored, summary.total) == (2, 3)
    assert summary.mean == Scores(0.075, 32.0, 0.925, 0.15, 0.85, 0.3)
    assert summary.mean_all == Scores(
        round((0.15 + 1) / 3, 5),
        round(64 / 3, 5),
        round(1.85 / 3, 5),
        round(1.3 / 3, 5),
        round(1.7 / 3, 5),
        round(1.6 / 3, 5),
    )


def test_median_resists_an_outlier() -> None:
    rows = [Row(str(index), None, {"face": GOOD}) for index in range(3)] + [Row("x", None, {"face": NO_LIKENESS})]
    assert summarise(rows, ["face"])["face"].median.psnr == 30


def test_blocks_that_do_not_apply_are_not_counted() -> None:
    rows = [Row("1", None, {"face": GOOD, "unseen": NO_LIKENESS}), Row("2", None, {"face": GOOD}), Row("3", "Error: x")]
    summary = summarise(rows, ["face", "unseen"])
    assert (summary["face"].scored, summary["face"].total) == (2, 3)
    assert (summary["unseen"].scored, summary["unseen"].total) == (1, 2)
    assert summary["unseen"].mean.cosine is None
    assert summary["unseen"].mean_all.cosine is None
    assert summary["unseen"].mean_all.l1 == 0.55


def test_a_method_that_always_fails_scores_worst() -> None:
    summary = summarise([Row("1", "Error: x")], ["face"])["face"]
    assert (summary.scored, summary.total) == (0, 1)
    assert summary.mean == Scores(None, None, None, None, None)
    assert summary.mean_all == Scores(1, 0, 0, 1, 0, 1)


def test_results_survive_writing(tmp_path: Path) -> None:
    path = tmp_path / "portraits" / "mean.json"
    result().write(path)
    assert Result.read(path) == result()
    assert json.loads(path.read_text())["summary"]["face"]["mean"]["l1"] == 0.075
    assert list(path.parent.iterdir()) == [path], "no temporary file is left"


def test_edited_results_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mean.json"
    result().write(path)
    text = path.read_text()
    for old, new in (("0.075", "0.074"), ('"l1": 0.1,', '"l1": 0.09,'), ('"schema": 2', '"schema": 1'), ("{", "")):
        path.write_text(text.replace(old, new, 1))
        assert path.read_text() != text
        with pytest.raises(RecordError, match=r"mean\.json"):
            Result.read(path)


def test_tables_hold_methods_on_the_same_images(tmp_path: Path) -> None:
    folder = tmp_path / "portraits"
    result().write(folder / "mean.json")
    result("mirror").write(folder / "mirror.json")
    assert [item.method for item in read_table(folder)] == ["mean", "mirror"]
    result("mirror", result().rows[:2]).write(folder / "mirror.json")
    with pytest.raises(RecordError, match="other images"):
        read_table(folder)
    other = result("mirror")
    data = other.provenance["data"] | {"sha256": "11"}
    replace(other, provenance=other.provenance | {"data": data}).write(folder / "mirror.json")
    with pytest.raises(RecordError, match="other files"):
        read_table(folder)


def test_markdown_says_how_many_of_how_many() -> None:
    text = blocks_markdown([result(), result("mirror", result().rows)])
    assert text.count("| mean (reference) | 0.0750 | 32.00 | 0.9250 | 0.1500 | 0.8500 | 0.3000 | 2 of 3 |") == 2
    assert text.count("| mirror (reference) | 0.3833 | 21.33 |") == 2, "failures count as worst in the second tables"
    perfect = tuple(row for row in result().rows if row.reason is None)
    assert "worst" not in blocks_markdown([result("mean", perfect)])


def test_a_score_that_nobody_measured_has_no_column() -> None:
    without = tuple(
        replace(row, scores={block: replace(item, dlib=None) for block, item in row.scores.items()})
        for row in result().rows
    )
    assert "dlib distance ↓" in blocks_markdown([result()])
    text = blocks_markdown([result("mean", without)])
    assert "dlib distance ↓" not in text, "not even among failures, which count as the worst"
    assert "| mean (reference) | 0.0750 | 32.00 | 0.9250 | 0.1500 | 0.8500 | 2 of 3 |" in text


def test_a_method_stands_in_the_blocks_that_it_has() -> None:
    relit = ("relit_overlay", "relit_face")
    rows = (Row("1", None, dict.fromkeys(relit, GOOD), 1.0),)
    model = replace(result("model", rows), blocks=relit, note="of old")
    texture = replace(result("mean", (Row("1", None, {"overlay": BETTER, "face": BETTER}, 1.0),)))
    text = blocks_markdown([model, texture])
    assert blocks_of([model, texture]) == ["overlay", "face", "relit_overlay", "relit_face"]
    assert text.count("mean (reference)") == text.count("model (reference, *of old*)") == 2
    assert text.index("mean (reference)") < text.index("model (reference")
    assert model.drawn("face") == "relit_face"
    assert texture.drawn("face") == "face"


def test_pages_name_failures_and_link_only_figures_that_exist(tmp_path: Path) -> None:
    text = page_markdown([result()], tmp_path)
    assert "mean: 1 NoFaceError" in text
    assert "0123456789+" in text
    assert "overlays.png" not in text
    (tmp_path / "overlays.png").touch()
    assert "(overlays.png)" in page_markdown([result()], tmp_path)


README = """# Title

<!-- results:portraits -->
old
<!-- /results -->

rest

<!-- results:none -->
kept
<!-- /results -->
"""


def test_readme_blocks_are_filled(tmp_path: Path) -> None:
    result().write(tmp_path / "results" / "portraits" / "mean.json")
    readme = tmp_path / "README.md"
    readme.write_text(README)
    write_tables(tmp_path / "results", (readme,))
    text = readme.read_text()
    assert dict(readme_blocks(text))["portraits"] == blocks_markdown([result()])
    assert dict(readme_blocks(text))["none"] == "kept\n"
    assert text.startswith("# Title\n\n<!-- results:portraits -->\n")
    assert "\nrest\n" in text
    assert fill_readme(text, tmp_path / "results") == text
    page = tmp_path / "results" / "portraits" / "README.md"
    assert page.read_text() == page_markdown([result()], page.parent)


def test_open_readme_blocks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="needs one"):
        fill_readme("<!-- results:portraits -->\nold\n", tmp_path)


def test_figure_is_drawn_and_repeatable(tmp_path: Path) -> None:
    results = [result(), result("mirror")]
    for name in ("a.png", "b.png"):
        draw_distributions(results, tmp_path / name)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 800
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 10
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    failures = result("mean", (Row("1", "Error: x"),))
    draw_distributions([failures], tmp_path / "empty.png")


def test_work_log_keeps_rows_and_drops_a_cut_line(tmp_path: Path) -> None:
    path = tmp_path / "work" / "mean.jsonl"
    key = {"data": "00"}
    log = WorkLog(path, key, resume=True)
    log.append(list(result().rows[:2]), 1.0, 0.5)
    log.append([result().rows[2]], 0.5, 0.0)
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    cut = WorkLog(path, key, resume=True)
    assert cut.has(["1", "2"])
    assert not cut.has(["3"])
    assert cut.rows["2"] == result().rows[1]
    cut.append([result().rows[2]], 0.5, 0.0)
    assert path.read_bytes() == content
    assert WorkLog(path, key, resume=True).seconds_per_image() == {"shared": 0.5, "method": 0.1667}
    with pytest.raises(RecordError, match="without --resume"):
        WorkLog(path, {"data": "11"}, resume=True)
    assert WorkLog(path, key, resume=False).rows == {}


def test_provenance_names_code_files_and_machine_kind_only(tmp_path: Path) -> None:
    about = provenance(torch.device("cpu"))
    assert {"commit", "code", "device", "packages", "assets", "date", "threads"} <= about.keys()
    assert about["packages"]["torch"] == metadata.version("torch")
    assert {"graph_final.pb", "alexnet.ckpt", "open_head.safetensors"} <= about["assets"].keys()
    assert DLIB_ASSET not in about["assets"]
    assert DLIB_ASSET in provenance(torch.device("cpu"), dlib=True)["assets"]
    text = json.dumps(about)
    assert str(ROOT) not in text
    assert f'"{platform.node()}"' not in text


def test_files_that_a_method_depends_on() -> None:
    head = {"open_head.safetensors", "template_albedo.json", "template_albedo.png"}
    assert weights_of("mirror").keys() == head
    assert weights_of("ftim").keys() == head | {"ftim.safetensors"}
    assert weights_of("deca").keys() == head | {"deca.safetensors", "albedo_basis.safetensors"}
    assert weights_of("ftim")["ftim.safetensors"] == shipped_files()["ftim.safetensors"]


def test_the_code_of_scores_leaves_out_only_what_is_there(monkeypatch) -> None:
    assert code_hash() == code_hash()
    monkeypatch.setattr("benchmark.runner.provenance.WITHOUT_SCORES", ("run.py", "table.py"))
    with pytest.raises(FileNotFoundError, match=r"table\.py"):
        code_hash()


def test_data_hash_is_of_contents_in_any_order(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_text(path.name)
    first = data_hash(paths)
    assert data_hash(reversed(paths)) == first
    renamed = paths[0].rename(tmp_path / "z")
    assert data_hash([renamed, *paths[1:]]) == first
    renamed.write_text("other")
    assert data_hash([renamed, *paths[1:]]) != first
