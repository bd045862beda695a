"""The settings of ``benchmark/run.py``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from benchmark.runner.provenance import ROOT
from benchmark.tables.pages import LOCAL, RESULTS
from ftim.build import RegressorName
from ftim.errors import FtimError

TABLES = {("celeba", "overlay"): "table1", ("frll", "overlay"): "frll-overlay"}
"""Names of tables by data set and protocol; others are called after their data set."""


class RunError(FtimError, ValueError):
    """Options that contradict each other."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """What to score, on what, and how. Raises ``RunError`` for options that contradict each other."""

    table: Literal[2] | None = None
    """2: the ablation of the paper's Table 2, its three rows on CelebA and cross-view on FRLL (--data holds both)."""
    methods: str = "all"
    """``all`` that have their files, names separated by commas, or ``none``; see benchmark/methods."""
    overlays: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=DIR")] = ()
    """A folder of overlays that other code wrote, scored as the method NAME; see benchmark/runner/overlays.py."""
    dataset: Literal["portraits", "portraits_all", "celeba", "frll", "rendered"] = "portraits"
    """portraits: 109 portraits, fetched when needed; portraits_all: all 609 of them. Both are test photographs alone.
    celeba, frll: from --data or $FTIM_DATA. rendered: 120 path-traced photographs of this repository, whose albedo is
    known; with all methods the portraits are followed by them."""
    data: Path | None = None
    """Folder of the photographs."""
    protocol: Literal["overlay", "cross-view"] | None = None
    """By default cross-view for frll (12 validation people) and overlay for the others."""
    regressor: RegressorName = "landmarks"
    """What fits the head that the methods share. Tables of another one than landmarks lie in folders of their own."""
    limit: int | None = None
    """Only the first so many photographs (cross-view: triplets)."""
    device: str = "auto"
    """auto takes a GPU where there is one; of several processes each takes its own."""
    resume: bool = False
    """Go on after an interruption, with as many processes as you like; finished images are not repeated."""
    batch_size: int = 16
    """Photographs worked on together."""
    results: Path | None = None
    """Where to write; by default results/local/, or runs/benchmark/ with --limit."""
    publish: bool = False
    """Write to results/ and fill the tables of the documents: for those who maintain the published numbers."""

    def __post_init__(self) -> None:
        default = BenchmarkConfig
        fixed = ("methods", "overlays", "dataset", "protocol", "regressor")
        if self.table is not None and any(getattr(self, name) != getattr(default, name) for name in fixed):
            raise RunError("--table chooses methods, data set, protocol and regressor: leave those options away")
        if self.publish and (self.results is not None or self.limit is not None):
            raise RunError("--publish writes whole tables to results/: leave --results and --limit away")
        if self.methods == "none" and not self.overlays:
            raise RunError("--methods none leaves nothing to score: give --overlays NAME=DIR")
        if self.overlays and self.chosen_protocol == "cross-view":
            raise RunError(
                "--overlays are pictures from one view, and cross-view looks at the head from another: "
                "add --protocol overlay"
            )

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
        name = TABLES.get((self.dataset, self.chosen_protocol), self.dataset)
        return name if self.regressor == "landmarks" else f"{name}-{self.regressor}"

    @property
    def folder(self) -> Path:
        """Where all tables of this run lie."""
        if self.results is not None:
            return self.results.resolve()
        if self.limit is not None:
            return ROOT / "runs" / "benchmark"
        return RESULTS if self.publish else LOCAL

    def recorded(self) -> dict[str, Any]:
        """What a result says about how it was made; no path of this machine."""
        always = {
            "dataset": self.dataset,
            "protocol": self.chosen_protocol,
            "limit": self.limit,
            "batch_size": self.batch_size,
        }
        return always if self.regressor == "landmarks" else always | {"regressor": self.regressor}
