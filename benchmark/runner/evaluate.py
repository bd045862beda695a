"""The loop: every case through every method, shared work done once, each batch of rows saved as soon as it is made."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from benchmark.methods import Drawings, Method
from benchmark.runner.distributed import ALONE, Processes
from benchmark.runner.overlays import OverlayFolder
from benchmark.runner.pictures import PictureFolder
from benchmark.runner.protocols import (
    Case,
    EvaluationProtocol,
    Loaded,
    Pairs,
    describe,
    isolate,
    load,
    make_views,
)
from benchmark.runner.records import RELIT, Row, Scores
from benchmark.runner.scoring import MIN_PIXELS, Scorer
from benchmark.runner.work_log import WorkLog
from ftim.pipeline import Pipeline
from ftim.structures import Rendering

Drawn = tuple[Pairs, Drawings]
FACES = ("face", f"{RELIT}face")
"""Blocks without which a row says nothing."""


@dataclass(frozen=True)
class Shared:
    """A chunk of cases, ready for the methods."""

    pairs: list[tuple[list[Case], Pairs]]
    """Usually one; one a case when a case of the chunk failed."""
    failures: list[Row]
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """One run over all cases."""

    pipeline: Pipeline
    protocol: EvaluationProtocol
    scorer: Scorer
    methods: Sequence[Method | OverlayFolder]
    logs: dict[str, WorkLog]
    """By method."""
    pictures: PictureFolder | None
    """Where examples are kept; None for photographs that must not be shown."""
    batch_size: int
    quiet: bool = False
    processes: Processes = ALONE

    def run(self) -> None:
        """Fill the logs with this process's part, one chunk in so many of those that are not done.

        Chunks are the same on every run, with any number of processes, so each repeats the same arithmetic. Processes
        must begin with the same rows. The bar of the first one shows its own part.
        """
        size = 1 if self.protocol.together else self.batch_size
        cases = self.protocol.cases
        chunks = [list(cases[start : start + size]) for start in range(0, len(cases), size)]
        todo = self.processes.part([chunk for chunk in chunks if self._missing(chunk)])
        left = sum(photos_of(chunk) for chunk in todo)
        done = sum(photos_of(chunk) for chunk in chunks if not self._missing(chunk))
        with tqdm(
            total=done + left, initial=done, unit="photo", disable=self.quiet or not self.processes.is_first,
            desc=None if self.processes.count == 1 else f"first of {self.processes.count} processes",
        ) as bar:  # fmt: skip
            for loaded, seconds in self._loaded(todo):
                shared = self._share(loaded, seconds)
                for method in self._missing([item.case for item in loaded]):
                    self._evaluate(shared, method)
                bar.update(photos_of([item.case for item in loaded]))

    def _missing(self, chunk: list[Case]) -> list[Method | OverlayFolder]:
        names = [name for case in chunk for name in case.rows]
        return [method for method in self.methods if not self.logs[method.name].has(names)]

    def _loaded(self, chunks: list[list[Case]]) -> Iterator[tuple[list[Loaded], float]]:
        """Chunks with their faces. One thread reads and detects ahead while the chunk before is worked on."""

        def work(chunk: list[Case]) -> tuple[list[Loaded], float]:
            start = time.perf_counter()
            return [load(case, self.pipeline) for case in chunk], time.perf_counter() - start

        with ThreadPoolExecutor(1) as executor:
            ahead = executor.submit(work, chunks[0]) if chunks else None
            for following in [*chunks[1:], None]:
                if ahead is None:
                    return
                current = ahead.result()
                ahead = executor.submit(work, following) if following is not None else None
                yield current

    def _share(self, loaded: list[Loaded], seconds: float) -> Shared:
        start = time.perf_counter()
        failures = [Row(name, item.reason) for item in loaded if item.reason is not None for name in item.case.rows]
        good = [item for item in loaded if item.reason is None]

        def run(indices: list[int]) -> tuple[list[Case], Pairs]:
            chosen = [good[index] for index in indices]
            cases = [item.case for item in chosen]
            return cases, self.protocol.pairs(make_views(chosen, self.pipeline, self.protocol.together), cases)

        results, errors = isolate(run, list(range(len(good))))
        for index, error in errors.items():
            case = good[index].case
            failures += [Row(name, describe(error, *case.photos)) for name in case.rows]
        return Shared([result for _, result in results], failures, seconds + time.perf_counter() - start)

    def _evaluate(self, shared: Shared, method: Method | OverlayFolder) -> None:
        """One chunk, one method -> rows in its log."""
        rows, seconds = list(shared.failures), 0.0
        for cases, pairs in shared.pairs:
            of_case = [[pairs.names.index(name) for name in case.rows] for case in cases]

            def draw(chosen: list[int], pairs: Pairs = pairs, of_case: list[list[int]] = of_case) -> Drawn:
                part = select(pairs, [index for case in chosen for index in of_case[case]])
                return part, self.protocol.draw(method, part)

            start = time.perf_counter()
            results, errors = isolate(draw, list(range(len(cases))))
            seconds += time.perf_counter() - start
            for case, error in errors.items():
                rows += [Row(name, describe(error, *cases[case].photos)) for name in cases[case].rows]
            for _, (part, drawings) in results:
                rows += self._score(part, drawings, masked=not isinstance(method, OverlayFolder))
                if self.pictures is not None:
                    self.pictures.keep(method.name, part, drawings.main)
        order = [name for cases, pairs in shared.pairs for name in pairs.names]
        order = [*order, *(row.name for row in shared.failures)]
        rows.sort(key=lambda row: order.index(row.name))
        self.logs[method.name].append(rows, shared.seconds, seconds)

    def _score(self, pairs: Pairs, drawings: Drawings, masked: bool) -> list[Row]:
        scores: list[dict[str, Scores]] = [{} for _ in pairs.names]
        finite = is_finite(drawings.main) & is_finite(drawings.albedo)
        for target in pairs.targets:
            drawn_from = self.protocol.blocks[target.block]
            rendering = drawings.texture if drawn_from == "texture" else drawings.albedo
            if rendering is None:
                continue
            image = rendering.overlay if target.mask is None else unblended(rendering)
            values = self.scorer.score(torch.nan_to_num(image), target)
            for index, (value, applies) in enumerate(zip(values, target.applies().tolist(), strict=True)):
                if applies:
                    scores[index][target.block] = value
        area = pairs.face_mask.sum((1, 2, 3)).clamp(min=1)
        drawn = ((drawings.main.mask > 0.5) * pairs.face_mask).sum((1, 2, 3)) / area
        return [
            make_row(name, bool(finite[index]), scores[index], round(float(drawn[index]), 4) if masked else None)
            for index, name in enumerate(pairs.names)
        ]


def photos_of(cases: list[Case]) -> int:
    """How many photographs the cases have."""
    return sum(len(case.photos) for case in cases)


def make_row(name: str, finite: bool, scores: dict[str, Scores], coverage: float | None) -> Row:
    """A row with scores, or with the reason why it has none: no visible face, or a rendering that is not numbers."""
    if not finite:
        return Row(name, "NotFiniteError: the rendering holds values that are not numbers")
    if not scores.keys() & set(FACES):
        return Row(name, f"NoSkinError: fewer than {MIN_PIXELS} pixels of visible skin to score")
    return Row(name, None, scores, coverage)


def is_finite(rendering: Rendering) -> Tensor:
    """(B,) bool: whether picture and overlay are numbers."""
    return torch.isfinite(rendering.overlay).flatten(1).all(1) & torch.isfinite(rendering.image).flatten(1).all(1)


def unblended(rendering: Rendering) -> Tensor:
    """(B, 3, H, W): the drawn head itself where there is one, else the overlay."""
    return torch.where(rendering.mask > 0.5, rendering.image, rendering.overlay)


def select(pairs: Pairs, indices: list[int]) -> Pairs:
    """Some of the pairs, with all views when views are shared between pairs."""
    if indices == list(range(len(pairs.names))):
        return pairs
    return Pairs(
        [pairs.names[index] for index in indices],
        pairs.views[[pairs.inputs[index] for index in indices]],
        list(range(len(indices))),
        list(range(len(indices))),
        [target.part(indices) for target in pairs.targets],
        pairs.face_mask[indices],
    )
