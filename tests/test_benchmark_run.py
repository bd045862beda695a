"""A whole run on a fake pipeline: failures, resuming, determinism, cross-view, and what may be shown."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import benchmark.run as runner
import benchmark.runner.provenance
from benchmark.methods import Drawings, Method, build_method, choose_methods, method_names, missing_files, registry
from benchmark.run import BenchmarkConfig, Data, RunError, evaluate, published_like, report
from benchmark.runner.evaluate import Evaluation
from benchmark.runner.records import RecordError, Result
from benchmark.tables.pages import RESULTS, ROOT
from ftim.data import Frll, PhotoFile, PhotoSet
from ftim.data.frll import EXPRESSIONS, VIEWS
from ftim.errors import DatasetError, ModelFileError
from ftim.pipeline import Pipeline
from ftim.structures import Face, View
from tests.fake_pipeline import FakePipeline, as_pipeline, fake_method, fake_scorer, write_photo
from tests.stored_results import stored

CPU = torch.device("cpu")
BRIGHTNESS = {"a": 120, "b": 90, "dark": 0, "e": 150, "red": 200, "z": 60}


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """Six good photographs of which one has no face and one cannot be fitted, and a text file."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, (name, brightness) in enumerate(BRIGHTNESS.items()):
        write_photo(folder / f"{name}.png", brightness, seed)
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "dark.png")
    Image.fromarray(np.full((40, 40, 3), (255, 0, 0), np.uint8)).save(folder / "red.png")
    (folder / "text.png").write_text("no picture")
    photos = tuple(PhotoFile(path.stem, path) for path in sorted(folder.iterdir()))
    return Data(PhotoSet("fakes", "ours", photos), None, False)


@pytest.fixture(autouse=True)
def quick_and_steady(monkeypatch) -> None:
    """Figures take most of the time (tests/test_benchmark_tables.py draws them), and the code may change meanwhile."""
    monkeypatch.setattr(runner, "draw_distributions", lambda results, path: path.touch())
    monkeypatch.setattr(benchmark.runner.provenance, "code_hash", lambda: "code")
    monkeypatch.setattr(benchmark.runner.provenance, "commit", lambda: "commit")


def run(
    config: BenchmarkConfig, data: Data, pipeline: FakePipeline | None = None, methods: list[Method] | None = None
) -> list[Result]:
    pipeline = pipeline or FakePipeline()
    if methods is None:
        methods = [fake_method(pipeline, "lighter", 0.1), fake_method(pipeline, "same", 0.0)]
    return evaluate(config, data, as_pipeline(pipeline), fake_scorer(), methods, CPU, quiet=True)


def config(tmp_path: Path, **changes) -> BenchmarkConfig:
    return replace(BenchmarkConfig(batch_size=3, results=tmp_path / "results"), **changes)


def stable(result: Result) -> Result:
    """Without what differs between equal runs."""
    provenance = {key: value for key, value in result.provenance.items() if key != "date"}
    return replace(result, provenance=provenance, seconds_per_image={})


def test_failures_are_rows_with_reasons(tmp_path: Path, data: Data) -> None:
    results = run(config(tmp_path), data)
    for result in results:
        reasons = {row.name: row.reason for row in result.rows if row.reason is not None}
        assert [row.name for row in result.rows] == [photo.name for photo in data.photos.photos]
        assert set(reasons) == {"dark", "red", "text"}
        assert reasons["dark"].startswith("NoFaceError: ")
        assert reasons["red"].startswith("FaceError: ")
        assert reasons["text"].startswith("PhotoError: text ")
        assert result.summary["face"].scored == 4
        assert result.summary["face"].total == 7
        assert str(tmp_path) not in json.dumps(reasons), "no path of this machine in a result"


def test_scores_are_those_of_the_definition(tmp_path: Path, data: Data) -> None:
    """The seen half is 0.1 too light or exact; the other half is grey 0.5."""
    lighter, same = run(config(tmp_path), data)
    for row, exact in zip(lighter.rows, same.rows, strict=True):
        if row.reason is None:
            image = FakePipeline().face(np.asarray(Image.open(tmp_path / "photos" / f"{row.name}.png"))).image
            mask = FakePipeline().image.draw_lit(image, None, image).mask[0, 0] > 0  # type: ignore[arg-type]
            left = mask.clone()
            left[:, 16:] = False
            other = (image[0, :, mask & ~left] - 0.5).abs().sum()
            count = 3 * mask.sum()
            assert exact.scores["face"].l1 == pytest.approx(float(other / count), abs=1e-4)
            assert row.scores["face"].l1 == pytest.approx(float((other + 0.1 * 3 * left.sum()) / count), abs=1e-4)
            whole = float((other + 0.1 * 3 * left.sum()) / (3 * mask.numel()))
            assert row.scores["overlay"].l1 == pytest.approx(whole, abs=1e-4)
            assert row.coverage == 1


def test_a_texture_is_completed_once_and_drawn_twice(tmp_path: Path, data: Data) -> None:
    """The albedo is 0.2 lighter than the texture, and scored in blocks of its own."""
    pipeline = FakePipeline()
    method = fake_method(pipeline, "shiny", 0.0, albedo=0.2)
    (result,) = run(config(tmp_path), data, pipeline, [method])
    assert result.blocks == ("overlay", "face", "relit_overlay", "relit_face")
    assert method.completion.seen == 4, "once for each photograph that could be fitted"  # type: ignore[attr-defined]
    for row in result.rows:
        if row.reason is None:
            image = FakePipeline().face(np.asarray(Image.open(tmp_path / "photos" / f"{row.name}.png"))).image
            mask = FakePipeline().image.draw_lit(image, None, image).mask[0, 0] > 0  # type: ignore[arg-type]
            albedo = image.clone()
            albedo[..., 16:] = 0.5
            expected = (albedo + 0.2 - image)[0, :, mask].abs().mean()
            assert row.scores["relit_face"].l1 == pytest.approx(float(expected), abs=1e-4)
            assert row.scores["face"].l1 == pytest.approx(float((albedo - image)[0, :, mask].abs().mean()), abs=1e-4)
            share = float(mask.float().mean())
            assert row.scores["relit_overlay"].l1 == pytest.approx(float(expected) * share, abs=1e-4)


class ModelOnly:
    """A method without a texture of the photograph: it draws the photograph itself, darker."""

    name = "flat"
    source = "official"
    draws = ("albedo",)

    def reconstruct(self, view: View) -> Drawings:
        return Drawings(None, FakePipeline().image.draw_lit(view.photo - 0.1, view.fit, view.photo))


def test_a_model_of_faces_has_the_blocks_of_the_albedo_alone(tmp_path: Path, data: Data) -> None:
    pipeline = FakePipeline()
    methods = [ModelOnly(), fake_method(pipeline, "same", 0.0)]
    flat, same = run(config(tmp_path), data, pipeline, methods)  # type: ignore[arg-type]
    assert flat.blocks == ("relit_overlay", "relit_face")
    assert same.blocks == ("overlay", "face", *flat.blocks)
    assert flat.failures == same.failures, "no face to score, and no other reason"
    assert flat.summary["relit_face"].mean.l1 == pytest.approx(0.1, abs=1e-4)
    assert flat.rows[0].coverage == 1
    page = (tmp_path / "results" / "portraits" / "README.md").read_text()
    first, rest = page.split("**Overlay, albedo relit")[0], page.split("**Overlay, albedo relit")[1]
    assert "flat (official)" not in first
    assert "flat (official)" in rest


def test_a_face_without_skin_is_a_row_with_a_reason(tmp_path: Path, data: Data, monkeypatch) -> None:
    pipeline = FakePipeline()
    views = pipeline.views

    def bare(face: Face, together: bool) -> View:
        return replace(views(face), skin=torch.zeros(len(face), 1, 32, 32))

    monkeypatch.setattr(pipeline, "views", bare)
    methods = [ModelOnly(), fake_method(pipeline, "same", 0.0)]
    for result in run(config(tmp_path), data, pipeline, methods):  # type: ignore[arg-type]
        assert result.failures["NoSkinError"] == 4


def test_notes_and_results_of_another_kind(tmp_path: Path, data: Data, capsys) -> None:
    """What is said of a method is stored; a stale file beside the new one costs the pages and not the results."""
    pipeline = FakePipeline()
    (result,) = run(config(tmp_path), data, pipeline, [fake_method(pipeline, "deca", 0.0)])
    assert result.note == "trained on earlier data"
    assert (
        "deca (reference, *trained on earlier data*)" in (tmp_path / "results" / "portraits" / "README.md").read_text()
    )
    other = tmp_path / "results" / "portraits" / "deca.json"
    other.write_text(other.read_text().replace('"schema": 2', '"schema": 1'))
    (again,) = run(config(tmp_path), data, pipeline, [fake_method(pipeline, "same", 0.0)])
    assert again.note == ""
    assert Result.read(tmp_path / "results" / "portraits" / "same.json") == again
    assert "The tables were not made anew" in capsys.readouterr().err


def test_a_failing_method_costs_only_its_own_rows(tmp_path: Path, data: Data) -> None:
    pipeline = FakePipeline()
    methods = [fake_method(pipeline, "same", 0.0), fake_method(pipeline, "weak", 0.0, fails_on=150 / 255)]
    same, weak = run(config(tmp_path), data, pipeline, methods)
    assert same.failures == {"FaceError": 1, "NoFaceError": 1, "PhotoError": 1}
    assert {row.name for row in weak.rows if row.reason == "FtimError: this colour is too hard"} == {"e"}
    others = [(a, b) for a, b in zip(same.rows, weak.rows, strict=True) if a.name != "e"]
    assert all(a.scores.keys() == b.scores.keys() for a, b in others)


def test_not_a_number_is_a_failure(tmp_path: Path, data: Data) -> None:
    pipeline = FakePipeline()
    (result,) = run(config(tmp_path), data, pipeline, [fake_method(pipeline, "broken", math.nan)])
    assert result.failures["NotFiniteError"] == 4
    assert result.summary["face"].mean_all.l1 == 1


def test_a_mistake_in_the_program_stops_the_run(tmp_path: Path, data: Data, monkeypatch) -> None:
    def broken(*_):
        raise ZeroDivisionError

    pipeline = FakePipeline()
    monkeypatch.setattr(pipeline, "views", broken)
    with pytest.raises(ZeroDivisionError):
        run(config(tmp_path), data, pipeline)


def test_the_same_run_gives_the_same_results(tmp_path: Path, data: Data) -> None:
    first = run(config(tmp_path), data)
    second = run(config(tmp_path / "again"), data)
    assert [stable(a) for a in first] == [stable(b) for b in second]
    read = [Result.read(tmp_path / "results" / "portraits" / f"{result.method}.json") for result in first]
    assert read == first


def killed_after(batches: int, monkeypatch) -> None:
    """Make the evaluation stop like a killed process once so many batches were begun."""
    original = Evaluation._evaluate
    calls = 0

    def evaluate_some(self, shared, method):
        nonlocal calls
        calls += 1
        if calls > batches:
            raise KeyboardInterrupt
        original(self, shared, method)

    monkeypatch.setattr(Evaluation, "_evaluate", evaluate_some)


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_resume_repeats_no_finished_image(tmp_path: Path, data: Data, monkeypatch, batches: int) -> None:
    whole = run(config(tmp_path / "whole"), data)
    with monkeypatch.context() as patch:
        killed_after(batches, patch)
        with pytest.raises(KeyboardInterrupt):
            run(config(tmp_path), data)
    log = tmp_path / "results" / ".work" / "portraits" / "lighter.jsonl"
    with log.open("a") as file:
        file.write('{"rows": [{"name": "b", "sco')  # the process died while it wrote
    pipeline = FakePipeline()
    methods = [fake_method(pipeline, "lighter", 0.1), fake_method(pipeline, "same", 0.0)]
    resumed = run(config(tmp_path, resume=True), data, pipeline, methods)
    assert [stable(a) for a in resumed] == [stable(b) for b in whole]
    # Good photographs of the three batches (a, b, dark), (e, red, text), (z) that each method still had to do.
    batch_sizes = [2, 1, 1]
    left = {"lighter": batch_sizes[(batches + 1) // 2 :], "same": batch_sizes[batches // 2 :]}
    for method in methods:
        assert method.completion.seen == sum(left[method.name])  # type: ignore[attr-defined]


def test_finished_runs_resume_to_nothing(tmp_path: Path, data: Data) -> None:
    first = run(config(tmp_path), data)
    pipeline = FakePipeline()
    again = run(config(tmp_path, resume=True), data, pipeline)
    assert pipeline.detected == 0
    assert [stable(a) for a in again] == [stable(b) for b in first]
    run(config(tmp_path), data, pipeline)
    assert pipeline.detected > 0, "without --resume everything is done again"


def test_resume_refuses_other_photographs(tmp_path: Path, data: Data) -> None:
    run(config(tmp_path), data)
    write_photo(data.photos.photos[0].path, 33)
    with pytest.raises(RecordError, match="without --resume"):
        run(config(tmp_path, resume=True), data)


def test_photographs_that_must_not_be_shown_leave_no_picture(tmp_path: Path, data: Data) -> None:
    run(config(tmp_path), data)
    names = {path.name for path in (tmp_path / "results").rglob("*.png")}
    assert names == {"distributions.png"}
    run(config(tmp_path), replace(data, may_be_shown=True))
    assert (tmp_path / "results" / "portraits" / "overlays.png").is_file()


@pytest.fixture
def frll(tmp_path: Path) -> Data:
    """Two people of the validation split; one smiling view of the second has no face."""
    root = tmp_path / "frll"
    everything = Frll(root)
    people = everything.people("validation")[:2]
    numbers = {
        ("neutral", 0): 2,
        ("neutral", 1): 3,
        ("neutral", 2): 4,
        ("smiling", 0): 7,
        ("smiling", 1): 8,
        ("smiling", 2): 9,
    }
    photos = []
    for seed, person in enumerate(people):
        for expression in EXPRESSIONS:
            for index, view in enumerate(VIEWS):
                folder = root / f"{expression}_{view}"
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"{person}_{numbers[expression, index]:02d}.jpg"
                dark = seed == 1 and (expression, view) == ("smiling", "front")
                write_photo(path.with_suffix(".png"), 0 if dark else 100 + 20 * index, seed)
                if dark:
                    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(path.with_suffix(".png"))
                path.with_suffix(".png").rename(path)
                photos.append(PhotoFile(path.stem, path))
    return Data(PhotoSet("frll-validation", "ours", tuple(photos)), everything, True)


def test_cross_view(tmp_path: Path, frll: Data) -> None:
    lighter, same = run(config(tmp_path, dataset="frll", limit=4), frll)
    assert len(same.rows) == 4 * 6
    assert same.blocks == ("face", "seen", "unseen")
    failed = [row for row in same.rows if row.reason is not None]
    assert len(failed) == 6, "a triplet with a view without a face has no pair"
    assert all("smiling" in row.name for row in failed)
    for row in same.rows:
        if row.reason is None:
            face, seen, unseen = (row.scores[block] for block in same.blocks)
            assert seen.cosine is None
            assert face.cosine is not None
            # The halves of the disc have equally many pixels.
            assert face.l1 is not None and seen.l1 is not None and unseen.l1 is not None
            assert face.l1 == pytest.approx((seen.l1 + unseen.l1) / 2, abs=2e-5)
    # What is seen was shifted by 20/255 from view to view, and the method's own change comes on top.
    by_name = {row.name: row for row in same.rows}
    person = frll.frll.people("validation")[0]  # type: ignore[union-attr]
    row = by_name[f"{person}_neutral: left_3quarter to front"]
    assert row.scores["seen"].l1 == pytest.approx(20 / 255, abs=2e-3)
    lighter_row = {row.name: row for row in lighter.rows}[row.name]
    assert lighter_row.scores["seen"].l1 == pytest.approx(abs(20 / 255 - 0.1), abs=3e-3)
    assert lighter_row.scores["unseen"] == row.scores["unseen"]
    assert (tmp_path / "results" / "frll" / "overlays.png").is_file()


def test_cross_view_needs_a_texture(tmp_path: Path, frll: Data) -> None:
    class OverlayOnly:
        name = "flat"
        source = "official"
        draws = ("albedo",)

        def reconstruct(self, face, fit, partial):
            raise AssertionError("not asked for in cross-view")

    (result,) = run(config(tmp_path, dataset="frll", limit=1), frll, FakePipeline(), [OverlayOnly()])  # type: ignore[list-item]
    assert result.failures == {"CrossViewError": 6}


def test_options() -> None:
    assert BenchmarkConfig().chosen_protocol == "overlay"
    assert BenchmarkConfig(dataset="frll").chosen_protocol == "cross-view"
    assert BenchmarkConfig(dataset="frll", protocol="overlay").table_name == "frll-overlay"
    assert BenchmarkConfig(dataset="celeba").table_name == "table1"
    assert BenchmarkConfig(dataset="portraits_all").table_name == "portraits_all"
    with pytest.raises(ValueError, match="one photograph a person"):
        _ = BenchmarkConfig(dataset="celeba", protocol="cross-view").chosen_protocol
    assert BenchmarkConfig(limit=5).folder != BenchmarkConfig().folder, "a part never replaces the whole table"
    assert BenchmarkConfig().folder == RESULTS / "local" and BenchmarkConfig(publish=True).folder == RESULTS
    for wrong in ({"limit": 5}, {"results": Path("x")}):
        with pytest.raises(RunError, match="--publish writes whole tables"):
            BenchmarkConfig(publish=True, **wrong)  # type: ignore[arg-type]


def test_a_run_of_ones_own_says_how_far_it_is_from_the_published_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"threads": 1, "code": "c"}
    mine, theirs, mean, telea = (
        replace(result, provenance=result.provenance | more)
        for result in (
            stored("frll", "mirror", 0.5), stored("frll", "mirror", 0.4), stored("frll", "mean", 0.1),
            stored("frll", "telea", 0.4),
        )
    )  # fmt: skip
    theirs.write(tmp_path / "frll" / "mirror.json")
    telea.write(tmp_path / "frll" / "telea.json")
    monkeypatch.setattr("benchmark.run.RESULTS", tmp_path)
    config = BenchmarkConfig(dataset="frll", results=tmp_path / "own")
    text = report(config, [mine, mean])
    row = next(line for line in text.splitlines() if line.startswith("| mirror"))
    assert "(-0.0050)" in row and "(+0.40)" in row and "In brackets: this run (1 thread(s) a process, cpu)" in text
    assert "(+" not in next(line for line in text.splitlines() if line.startswith("| mean"))
    other = replace(mine, provenance=mine.provenance | {"data": {"sha256": "other photographs"}})
    assert published_like(config, [other]) == {} == published_like(replace(config, results=tmp_path), [mine])


@pytest.mark.parametrize(("dataset", "split"), [("portraits", "test"), ("portraits_all", "all")])
def test_either_set_of_portraits(dataset: str, split: str, data: Data, monkeypatch) -> None:
    asked = []

    def load(split: str, folder: Path | None) -> PhotoSet:
        asked.append(split)
        return data.photos

    monkeypatch.setattr(runner, "load_portraits", load)
    found = runner.load_data(BenchmarkConfig(dataset=dataset))  # type: ignore[arg-type]
    assert (asked, found.may_be_shown) == ([split], False)


def test_another_regressor_has_tables_of_its_own() -> None:
    usual, other = BenchmarkConfig(dataset="celeba"), BenchmarkConfig(dataset="celeba", regressor="deca")
    assert other.table_name == "table1-deca"
    assert BenchmarkConfig(dataset="frll", protocol="overlay", regressor="deca").table_name == "frll-overlay-deca"
    assert "regressor" not in usual.recorded(), "what is the default leaves results as they were"
    assert other.recorded() == usual.recorded() | {"regressor": "deca"}
    with pytest.raises(RunError, match="--table"):
        BenchmarkConfig(table=2, regressor="deca")


def test_the_regressor_is_handed_on(data: Data, monkeypatch) -> None:
    asked = []

    def build(device: str, **options: str) -> None:
        asked.append(options)
        raise DatasetError("enough")

    monkeypatch.setattr(runner, "load_data", lambda config: data)
    monkeypatch.setattr(Pipeline, "build", build)
    with pytest.raises(DatasetError, match="enough"):
        runner.run(BenchmarkConfig(methods="mean", regressor="deca"))
    assert asked == [{"regressor": "deca"}]


def test_methods_are_found() -> None:
    assert {"mean", "mirror", "telea"} <= set(method_names())
    assert choose_methods("all") == tuple(name for name in method_names() if not missing_files(name))
    assert choose_methods("none") == ()
    assert choose_methods("telea, mean,mean") == ("telea", "mean")
    for wrong in ("nobody", "", "base"):
        with pytest.raises(ValueError, match="there is no method"):
            choose_methods(wrong)


def test_no_method_is_loaded_before_it_is_built() -> None:
    code = (
        "import sys; from benchmark.methods import choose_methods; choose_methods('all'); "
        "print(any(name.startswith(('benchmark.retrained', 'ftim.official.deca', 'ftim.official.deng')) "
        "for name in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert run.stdout == "False\n"


def test_all_leaves_out_methods_that_lack_files(monkeypatch, capsys) -> None:
    def build(name: str, pipeline: Pipeline) -> Method:
        raise DatasetError(f"{name}.tar is missing")

    theirs = registry.Entry(build, lambda name: [f"{name}.tar (research only)", "b.npz"])
    methods = {"theirs": theirs, "mean": registry.METHODS["mean"], "complete": registry.Entry(build)}
    monkeypatch.setattr(registry, "METHODS", methods)
    assert choose_methods("all") == ("complete", "mean")
    assert capsys.readouterr().err == "theirs is left out, it lacks theirs.tar (research only), and 1 more\n"
    assert choose_methods("theirs,mean") == ("theirs", "mean"), "a method that is named is not left out"
    assert capsys.readouterr().err == ""
    with pytest.raises(DatasetError, match="is missing"):
        build_method("theirs", as_pipeline(FakePipeline()))


@pytest.fixture(scope="module")
def real_pipeline() -> Pipeline:
    return Pipeline.build("cpu")


@pytest.mark.parametrize("name", method_names())
def test_methods_are_methods(name: str, real_pipeline: Pipeline) -> None:
    if missing := missing_files(name):
        pytest.skip(f"{name} lacks {missing[0]}")
    method = build_method(name, real_pipeline)
    assert method.name == name
    assert method.source in ("ours", "official", "retrained", "reference")
    assert method.draws in (("texture", "albedo"), ("albedo",))


def test_the_form_of_the_paper_says_what_it_lacks(monkeypatch) -> None:
    monkeypatch.setattr(registry, "weights_path", lambda name: Path("/nowhere"))
    (missing,) = missing_files("ftim_paper")
    assert missing.startswith("ftim/completion/data/ftim_paper.safetensors ")
    with pytest.raises(ModelFileError, match=r"ftim_paper\.safetensors .*--preset ftim_paper"):
        build_method("ftim_paper", as_pipeline(FakePipeline()))


def test_errors_are_one_line(monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["run.py", "--methods", "nobody"])
    with pytest.raises(SystemExit, match="error: there is no method nobody"):
        runner.main()

    def missing(_):
        raise DatasetError("there are no photographs")

    monkeypatch.setattr(runner, "load_data", missing)
    monkeypatch.setattr("sys.argv", ["run.py", "--dataset", "celeba"])
    with pytest.raises(SystemExit, match="error: there are no photographs"):
        runner.main()
    monkeypatch.setattr("sys.argv", ["run.py", "--methodz", "all"])
    with pytest.raises(SystemExit) as caught:
        runner.main()
    assert caught.value.code == 2
