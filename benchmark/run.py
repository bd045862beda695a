"""Score methods on photographs and write the tables.

    python benchmark/run.py --methods all
    python benchmark/run.py --table 2 --data ../data
    python benchmark/run.py --methods mean,mirror --dataset celeba --data ../data --limit 100
    python benchmark/run.py --methods none --overlays chen=overlays/chen --dataset celeba --data ../data
    torchrun --nproc_per_node 2 benchmark/run.py --methods all

Results go to ``results/local/<table>/<method>.json``, with tables and figures made from them, and what is printed says
how far each score is from the published one; ``--publish`` writes to ``results/<table>/`` and the documents. Runs with
``--limit`` go to ``runs/benchmark/``, since a table of part of the photographs is none. Under torchrun the processes
divide the photographs, one GPU each; on CPUs each has one thread unless OMP_NUM_THREADS says otherwise.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # started as a file, Python looks for modules beside it and not in the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    import ftim  # noqa: F401 - it says how PyTorch's threads wait, before PyTorch is imported

import torch
import tyro

from benchmark.albedo.page import albedo_markdown
from benchmark.albedo.run import NAME as ALBEDO
from benchmark.albedo.run import run_albedo
from benchmark.config import BenchmarkConfig, RunError
from benchmark.methods import Method, build_method, choose_methods, note_of
from benchmark.methods import say_on_stderr as say
from benchmark.runner.distributed import ALONE, Processes, joined
from benchmark.runner.evaluate import Evaluation
from benchmark.runner.overlays import OverlayFolder, match_folders, match_report
from benchmark.runner.pictures import PictureFolder
from benchmark.runner.protocols import CrossViewProtocol, EvaluationProtocol, OverlayProtocol
from benchmark.runner.provenance import data_hash, provenance
from benchmark.runner.records import RecordError, Result, write_text
from benchmark.runner.scoring import Scorer
from benchmark.runner.work_log import WorkLog, remove_logs
from benchmark.tables.ablation import DATASETS, PAGE, ROWS, table2_markdown, write_table2
from benchmark.tables.figures import draw_distributions
from benchmark.tables.pages import (
    DISTRIBUTIONS,
    DOCUMENTS,
    OVERLAYS,
    RESULTS,
    blocks_markdown,
    read_table,
    write_tables,
)
from ftim.data import Frll, PhotoSet, load_celeba, load_frll, load_portraits
from ftim.errors import FtimError
from ftim.pipeline import Pipeline

__all__ = ["BenchmarkConfig", "Data", "RunError", "evaluate", "load_data", "main", "run", "run_table"]


@dataclass(frozen=True)
class Data:
    """The photographs of a run."""

    photos: PhotoSet
    frll: Frll | None
    may_be_shown: bool


def load_data(config: BenchmarkConfig) -> Data:
    """Raises ``DatasetError`` or ``AssetError``."""
    if config.dataset == "frll":
        frll = load_frll(config.data)
        photos = frll.photos("validation")
        # Cross-view counts in triplets, of which three photographs each are listed one after the other.
        count = config.limit * (3 if config.chosen_protocol == "cross-view" else 1) if config.limit else None
        return Data(photos.first(count), frll, True)
    if config.dataset == "celeba":
        photos = load_celeba(config.data)
    else:
        photos = load_portraits("all" if config.dataset == "portraits_all" else "test", config.data)
    return Data(photos.first(config.limit), None, False)


def build_protocol(config: BenchmarkConfig, data: Data, pipeline: Pipeline, scorer: Scorer) -> EvaluationProtocol:
    """See ``benchmark.runner.protocols``."""
    if config.chosen_protocol == "overlay":
        return OverlayProtocol(data.photos.photos, pipeline, scorer)
    assert data.frll is not None
    return CrossViewProtocol(data.frll, data.frll.people("validation"), pipeline, scorer, config.limit)


def run(config: BenchmarkConfig, quiet: bool = False) -> list[Result]:
    """The whole run with the real models; every process of a run calls it, and the first one gets the results."""
    processes = Processes.current()
    with processes.agreed():
        names = choose_methods(config.methods, say if processes.is_first else lambda _: None)
        data = load_data(config)
        folders = match_folders(config.overlays, data.photos.photos)
        device = processes.take_device(config.device)
        pipeline = Pipeline.build(str(device), regressor=config.regressor)
        scorer = Scorer.build(device, say if processes.is_first else lambda _: None)
        methods: list[Method | OverlayFolder] = [build_method(name, pipeline) for name in names]
        methods += folders
    return evaluate(config, data, pipeline, scorer, methods, device, quiet, processes)


def run_table(config: BenchmarkConfig, quiet: bool = False) -> list[Result]:
    """The rows of Table 2 on both data sets, and its page. Nothing is scored unless both are there."""
    processes = Processes.current()
    parts = [
        dataclasses.replace(config, table=None, methods=",".join(ROWS), dataset=dataset)  # type: ignore[arg-type]
        for dataset in DATASETS
    ]
    with processes.agreed():
        for part in parts:
            load_data(part)
    results = [result for part in parts for result in run(part, quiet)]
    if processes.is_first:
        write_table2(config.folder)
    return results


def evaluate(
    config: BenchmarkConfig,
    data: Data,
    pipeline: Pipeline,
    scorer: Scorer,
    methods: Sequence[Method | OverlayFolder],
    device: torch.device,
    quiet: bool = False,
    processes: Processes = ALONE,
) -> list[Result]:
    """Score, and write results, tables and figures; returns the results of these methods.

    Every process of a run calls it and scores its part; the first one writes and returns what all have scored, the
    others return nothing.
    """
    protocol = build_protocol(config, data, pipeline, scorer)
    work = config.folder / ".work" / config.table_name
    about = processes.from_first(lambda: describe_run(data, device, scorer, processes))

    def open_logs(resume: bool = True) -> dict[str, WorkLog]:
        key = config.recorded() | {"code": about["code"], "data": about["data"]["sha256"], "device": device.type}
        key |= {"dlib": scorer.dlib_face is not None}
        extra = {method.name: {"method": method.name} | describe_folder(method) for method in methods}
        return {name: WorkLog(work / f"{name}.jsonl", key | extra[name], resume, processes) for name in extra}

    processes.from_first(lambda: prepare(work, methods, config.resume))
    with processes.agreed():  # none appends before all have read
        logs = open_logs()
    order = [name for case in protocol.cases for name in case.rows]
    pictures = PictureFolder.choose(work / "pictures", order, data.photos.licence) if data.may_be_shown else None
    Evaluation(pipeline, protocol, scorer, methods, logs, pictures, config.batch_size, quiet, processes).run()
    processes.wait()
    if not processes.is_first:
        return []

    logs = open_logs()  # with what the other processes have added
    folder = config.folder / config.table_name
    results = [
        Result(
            config.table_name,
            method.name,
            method.source,
            note_of(method.name),
            protocol.name,
            tuple(block for block, drawn_from in protocol.blocks.items() if drawn_from in method.draws),
            config.recorded(),
            about | describe_folder(method),
            logs[method.name].seconds_per_image(),
            logs[method.name].in_order(order),
        )
        for method in methods
    ]
    for result in results:
        result.write(folder / f"{result.method}.json")
    try:
        publish(config, folder, pictures)
    except RecordError as error:  # what was scored is written; other results beside it are of another kind
        say(f"The tables were not made anew: {error}")
    return results


def publish(config: BenchmarkConfig, folder: Path, pictures: PictureFolder | None) -> None:
    """Figures of one table, and all pages. Raises ``RecordError`` for results that cannot stand together."""
    everything = read_table(folder)
    draw_distributions(everything, folder / DISTRIBUTIONS)
    if pictures is not None:
        pictures.sheet([result.method for result in everything], folder / OVERLAYS)
    write_tables(config.folder, DOCUMENTS if config.folder == RESULTS else ())


def describe_run(data: Data, device: torch.device, scorer: Scorer, processes: Processes) -> dict[str, Any]:
    """The provenance of all results of a run."""
    photos = {
        "name": data.photos.name,
        "licence": data.photos.licence,
        "photos": len(data.photos),
        "sha256": data_hash(photo.path for photo in data.photos.photos),
    }
    return provenance(device, scorer.dlib_face is not None) | {"processes": processes.count, "data": photos}


def describe_folder(method: Method | OverlayFolder) -> dict[str, Any]:
    """What the result of a folder of overlays says besides; nothing for another method."""
    return {"overlays": method.recorded()} if isinstance(method, OverlayFolder) else {}


def prepare(work: Path, methods: Sequence[Method | OverlayFolder], resume: bool) -> None:
    """The folder of logs, kept out of the repository; without ``resume``, free of logs of these methods."""
    write_text(work.parent / ".gitignore", "*\n")
    if not resume:
        for method in methods:
            remove_logs(work / f"{method.name}.jsonl")


def published_like(config: BenchmarkConfig, results: list[Result]) -> dict[str, Result]:
    """The published results by method, where they are of the same photographs and this run is not they."""
    folder = RESULTS / config.table_name
    if config.folder == RESULTS or config.table is not None or not any(folder.glob("*.json")):
        return {}
    found = {path.stem: Result.read(path) for path in folder.glob("*.json")}
    data = results[0].provenance["data"]["sha256"]
    return {name: result for name, result in found.items() if result.provenance["data"]["sha256"] == data}


def told_differences(mine: Result, published: Result) -> str:
    """Why numbers may differ in their last places."""
    here, there = (
        f"{item['threads']} thread(s) a process, {item['device']}" for item in (mine.provenance, published.provenance)
    )
    same = "the same code" if mine.provenance["code"] == published.provenance["code"] else "other code"
    return f"In brackets: this run ({here}) less the published one ({there}; {same}).\n"


def report(config: BenchmarkConfig, results: list[Result]) -> str:
    """What a run prints at its end."""
    published = published_like(config, results)
    lines = [blocks_markdown(results, published) if config.table is None else table2_markdown(config.folder)]
    if published:
        lines.append(told_differences(results[0], next(iter(published.values()))))
    for result in results:
        scored = len(result.rows) - sum(result.failures.values())
        lines.append(f"{result.method}: {scored} of {len(result.rows)} scored; failures: {result.failures or 'none'}")
    lines += [
        match_report(result.method, result.provenance["overlays"])
        for result in results
        if "overlays" in result.provenance
    ]
    return "\n".join([*lines, f"\nWritten to {config.folder / (PAGE if config.table else config.table_name)}"])


def albedos(config: BenchmarkConfig) -> str:
    """The albedo protocol, where it is asked for or all is; what is printed of it."""
    everything = config == dataclasses.replace(BenchmarkConfig(), device=config.device, publish=config.publish)
    if config.dataset != "rendered" and not everything:
        return ""
    run_albedo(config.folder, config.methods, config.device, config.limit, say)
    write_tables(config.folder, DOCUMENTS if config.folder == RESULTS else ())
    return albedo_markdown(config.folder) + f"\nWritten to {config.folder / ALBEDO}"


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1, also of several processes."""
    try:
        with joined() as processes:
            config = processes.from_first(lambda: tyro.cli(BenchmarkConfig, description=__doc__))
            if config.dataset == "rendered":
                results = []
            else:
                results = run(config) if config.table is None else run_table(config)
            known = albedos(config) if processes.is_first else ""
    except (FtimError, ValueError) as error:
        sys.exit(f"error: {error}")
    if results:
        print("\n" + report(config, results))
    if known:
        print("\n" + known)


if __name__ == "__main__":
    main()
