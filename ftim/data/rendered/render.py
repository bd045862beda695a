"""``ftim data render``: heads rendered by seed into a folder, in several processes, stopped and resumed at will."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from ftim.assets import sha256_of
from ftim.data.photo_set import data_folder
from ftim.data.rendered.albedos import SIDE, Skins
from ftim.data.rendered.examples import lesson
from ftim.data.rendered.light import read_environment
from ftim.data.rendered.scene import HeadStudio
from ftim.errors import DatasetError, FaceError
from ftim.outputs import whole_file
from ftim.pipeline import Pipeline
from ftim.training.rendered import pack_lesson
from ftim.uv import UvRenderer

TEST_ENVIRONMENTS = ("apartment", "dawn", "lobby", "sunset", "workshop")
"""Maps that light only the heads of the test; training never sees them."""
ORIGIN = "Environment maps are OpenEXR files; Poly Haven's are CC0."
CHUNK = 20
"""Heads that a process renders before it is given more."""


def training_environments(folder: Path | None = None) -> list[Path]:
    """The maps that may light training heads, of ``$FTIM_DATA/hdri`` or another folder. Raises ``DatasetError``."""
    found = sorted(data_folder("hdri", folder, ORIGIN).glob("*.exr"))
    if not (chosen := [path for path in found if path.stem not in TEST_ENVIRONMENTS]):
        raise DatasetError(f"{data_folder('hdri', folder, ORIGIN)} holds no environment map to train with. {ORIGIN}")
    return chosen


def render_heads(
    output: Path, bank: Path, count: int, first: int = 0, environments: Path | None = None, workers: int = 0,
    quiet: bool = False,
) -> int:  # fmt: skip
    """Render the seeds ``first`` to ``first + count - 1`` that the folder lacks; how many heads it holds of them.

    A seed in whose photograph no face is found leaves ``<seed>.skipped``. Raises ``DatasetError`` when the folder is of
    another bank or other maps, ``OutputError`` on a full disk.
    """
    maps = training_environments(environments)
    about = {"bank": sha256_of(bank), "environments": {path.stem: sha256_of(path) for path in maps}}
    text = json.dumps(about, indent=1, sort_keys=True) + "\n"
    index = output / "about.json"
    if index.is_file() and index.read_text(encoding="utf-8") != text:
        raise DatasetError(f"{output} holds heads of another bank or other environment maps: choose another folder")
    with whole_file(index) as temporary:
        temporary.write_text(text, encoding="utf-8")
    seeds = [seed for seed in range(first, first + count) if not _done(output, seed)]
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    jobs = [(output, bank, [str(path) for path in maps], chunk) for chunk in chunks]
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    with tqdm(total=count, initial=count - len(seeds), desc="rendered heads", unit="head", disable=quiet) as bar:
        if workers <= 1:
            for job in jobs:
                bar.update(_render(job))
        else:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, context) as pool:
                for future in as_completed([pool.submit(_render, job) for job in jobs]):
                    bar.update(future.result())
    return sum(_path(output, seed).is_file() for seed in range(first, first + count))


def _path(output: Path, seed: int) -> Path:
    return output / f"{seed:06d}.safetensors"


def _done(output: Path, seed: int) -> bool:
    return _path(output, seed).is_file() or _path(output, seed).with_suffix(".skipped").is_file()


def _render(job: tuple[Path, Path, list[str], list[int]]) -> int:
    """Some seeds in this process."""
    output, bank, maps, seeds = job
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in rendered(output, bank, maps, seeds):
            pass
    finally:
        torch.set_num_threads(threads)
    return len(seeds)


def rendered(output: Path, bank: Path, maps: list[str], seeds: list[int]) -> Iterator[Path]:
    """Render and write these seeds, one by one; the files."""
    pipeline = Pipeline.build(device="cpu", texture_size=256)
    skins = Skins.load(bank, UvRenderer(pipeline.model, pipeline.rasterizer, SIDE))
    studio = HeadStudio(
        pipeline.model, pipeline.rasterizer, skins, [read_environment(Path(path)) for path in maps]
    )  # fmt: skip
    for seed in seeds:
        head = studio(seed)
        path = _path(output, seed)
        try:
            view, truth = lesson(pipeline, head)
        except FaceError as error:
            with whole_file(path.with_suffix(".skipped")) as temporary:
                temporary.write_text(f"{error}\n", encoding="utf-8")
            continue
        about = {"person": head.person, "things": json.dumps(head.things)}
        with whole_file(path) as temporary:
            save_file(pack_lesson(view, truth), str(temporary), metadata=about)
        yield path


def folder_digest(folder: Path) -> str:
    """sha256 over names and contents of a folder's heads, in order: what a training run records."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        total.update(f"{path.name} {sha256_of(path)}\n".encode())
    return total.hexdigest()
