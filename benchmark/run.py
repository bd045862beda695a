"""Score methods on photographs and write the tables.

    python benchmark/run.py --methods all
    python benchmark/run.py --table 2 --data ../data
    python benchmark/run.py --methods mean,mirror --dataset celeba --data ../data --limit 100

Results go to ``results/<table>/<method>.json``, with tables and figures made from them; runs with ``--limit`` go to
``runs/benchmark/`` instead, since a table of part of the photographs is none.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

if __name__ == "__main__":  # started as a file, Python looks for modules beside it and not in the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch
import tyro

from benchmark.ablation import DATASETS, PAGE, ROWS, table2_markdown, write_table2
from benchmark.evaluate import Evaluation
from benchmark.figures import draw_distributions
from benchmark.methods import Method, build_method, choose_methods
from benchmark.pictures import PictureFolder
from benchmark.protocols import CrossViewProtocol, EvaluationProtocol, OverlayProtocol
from benchmark.provenance import ROOT, data_hash, provenance
from benchmark.records import Result
from benchmark.scoring import Scorer
from benchmark.tables import DISTRIBUTIONS, DOCUMENTS, OVERLAYS, RESULTS, blocks_markdown, read_table, write_tables
from benchmark.work_log import WorkLog
from ftim.data import Frll, PhotoSet, load_celeba, load_frll, load_portraits
from ftim.errors import FtimError
from ftim.pipeline import Pipeline


class RunError(FtimError, ValueError):
    """Options that contradict each other."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """What to score, on what, and how. Raises ``RunError`` for options that contradict each other."""

    table: Literal[2] | None = None
    """2: the ablation of the paper's Table 2, its three rows on CelebA and cross-view on FRLL (--data holds both)."""
    methods: str = "all"
    """``all``, or names separated by commas; see benchmark/methods."""
    dataset: Literal["portraits", "celeba", "frll"] = "portraits"
    """portraits: 109 test portraits, fetched when needed. celeba, frll: from --data or $FTIM_DATA."""
    data: Path | None = None
    """Folder of the photographs."""
    protocol: Literal["overlay", "cross-view"] | None = None
    """By default cross-view for frll (12 validation people) and overlay for the others."""
    limit: int | None = None
    """Only the first so many photographs (cross-view: triplets)."""
    device: str = "auto"
    """auto takes a GPU where there is one."""
    resume: bool = False
    """Go on after an interruption; finished images are not repeated."""
    batch_size: int = 16
    """Photographs worked on together."""
    results: Path | None = None
    """Where to write; by default results/, or runs/benchmark/ with --limit."""

    def __post_init__(self) -> None:
        default = (BenchmarkConfig.methods, BenchmarkConfig.dataset, BenchmarkConfig.protocol)
        if self.table is not None and (self.methods, self.dataset, self.protocol) != default:
            raise RunError("--table chooses methods, data set and protocol: leave those options away")

    @property
    def chosen_protocol(self) -> str:
        """Raises ``ValueError`` for cross-view on single photographs."""
        protocol = self.protocol or ("cross-view" if self.dataset == "frll" else "overlay")
        if protocol == "cross-view" and self.dataset != "frll":
            raise ValueError(f"{self.dataset} has one photograph a person: cross-view needs --dataset frll")
        return protocol

    @property
    def table_name(self) -> str:
        """Name of the folder and of the README's block."""
        return "frll-overlay" if (self.dataset, self.chosen_protocol) == ("frll", "overlay") else self.dataset

    @property
    def folder(self) -> Path:
        """Where all tables of this run lie."""
        if self.results is not None:
            return self.results.resolve()
        return RESULTS if self.limit is None else ROOT / "runs" / "benchmark"

    def recorded(self) -> dict[str, Any]:
        """What a result says about how it was made; no path of this machine."""
        return {
            "dataset": self.dataset,
            "protocol": self.chosen_protocol,
            "limit": self.limit,
            "batch_size": self.batch_size,
        }


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
    photos = load_celeba(config.data) if config.dataset == "celeba" else load_portraits("test", config.data)
    return Data(photos.first(config.limit), None, False)


def build_protocol(config: BenchmarkConfig, data: Data, pipeline: Pipeline, scorer: Scorer) -> EvaluationProtocol:
    """See ``benchmark.protocols``."""
    if config.chosen_protocol == "overlay":
        return OverlayProtocol(data.photos.photos, pipeline, scorer)
    assert data.frll is not None
    return CrossViewProtocol(data.frll, data.frll.people("validation"), pipeline, scorer, config.limit)


def run(config: BenchmarkConfig, quiet: bool = False) -> list[Result]:
    """The whole run with the real models."""
    names = choose_methods(config.methods)
    data = load_data(config)
    device = torch.device(
        ("cuda" if torch.cuda.is_available() else "cpu") if config.device == "auto" else config.device
    )
    pipeline = Pipeline.build(str(device))
    scorer = Scorer.build(device)
    methods = [build_method(name, pipeline) for name in names]
    return evaluate(config, data, pipeline, scorer, methods, device, quiet)


def run_table(config: BenchmarkConfig, quiet: bool = False) -> list[Result]:
    """The rows of Table 2 on both data sets, and its page. Nothing is scored unless both are there."""
    parts = [
        dataclasses.replace(config, table=None, methods=",".join(ROWS), dataset=dataset)  # type: ignore[arg-type]
        for dataset in DATASETS
    ]
    for part in parts:
        load_data(part)
    results = [result for part in parts for result in run(part, quiet)]
    write_table2(config.folder)
    return results


def evaluate(
    config: BenchmarkConfig,
    data: Data,
    pipeline: Pipeline,
    scorer: Scorer,
    methods: list[Method],
    device: torch.device,
    quiet: bool = False,
) -> list[Result]:
    """Score, and write results, tables and figures; returns the results of these methods."""
    protocol = build_protocol(config, data, pipeline, scorer)
    work = config.folder / ".work"
    work.mkdir(parents=True, exist_ok=True)
    (work / ".gitignore").write_text("*\n", encoding="utf-8")
    about = provenance(device) | {
        "data": {
            "name": data.photos.name,
            "licence": data.photos.licence,
            "photos": len(data.photos),
            "sha256": data_hash(photo.path for photo in data.photos.photos),
        }
    }
    key = config.recorded() | {"code": about["code"], "data": about["data"]["sha256"], "device": device.type}
    logs = {
        method.name: WorkLog(
            work / config.table_name / f"{method.name}.jsonl", key | {"method": method.name}, config.resume
        )
        for method in methods
    }
    order = [name for case in protocol.cases for name in case.rows]
    pictures = None
    if data.may_be_shown:
        pictures = PictureFolder.choose(work / config.table_name / "pictures", order, data.photos.licence)
    Evaluation(pipeline, protocol, scorer, methods, logs, pictures, config.batch_size, quiet).run()

    folder = config.folder / config.table_name
    results = []
    for method in methods:
        log = logs[method.name]
        rows = tuple(log.rows[name] for name in order)
        results.append(
            Result(
                config.table_name,
                method.name,
                method.source,
                protocol.name,
                tuple(protocol.blocks),
                config.recorded(),
                about,
                log.seconds_per_image(),
                rows,
            )
        )
        results[-1].write(folder / f"{method.name}.json")
    everything = read_table(folder)
    draw_distributions(everything, folder / DISTRIBUTIONS)
    if pictures is not None:
        pictures.sheet([result.method for result in everything], folder / OVERLAYS)
    write_tables(config.folder, DOCUMENTS if config.folder == RESULTS else ())
    return results


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    try:
        config = tyro.cli(BenchmarkConfig, description=__doc__)
        results = run(config) if config.table is None else run_table(config)
    except (FtimError, ValueError) as error:
        sys.exit(f"error: {error}")
    print()
    if config.table is None:
        print(blocks_markdown(results))
    else:
        print(table2_markdown(config.folder))
    for result in results:
        scored = len(result.rows) - sum(result.failures.values())
        print(f"{result.method}: {scored} of {len(result.rows)} scored; failures: {result.failures or 'none'}")
    print(f"\nWritten to {config.folder / (PAGE if config.table else config.table_name)}")


if __name__ == "__main__":
    main()
