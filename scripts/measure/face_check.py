"""How many photographs of people are found, in each of the four quarter turns, and how many pictures without a face
become heads; and the weights of ``ftim.face_check``.

    FTIM_DATA=../data python -m scripts.measure.face_check --not-faces ../not_faces
    FTIM_DATA=../data python -m scripts.measure.face_check --fit

Writes ``results/face_check.json``. ``--not-faces`` is a folder that ``scripts/measure/not_faces.py`` filled. ``--fit``
prints a logistic regression over photographs of training people and other made pictures without a face, and writes
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from PIL import Image
from tqdm import tqdm

from benchmark.runner.provenance import provenance
from benchmark.runner.records import write_text
from ftim.data import load_celeba, load_frll, load_official_portraits, load_portraits
from ftim.detector import MIN_FACE_SIDE
from ftim.errors import FaceError
from ftim.face import align
from ftim.face_check import WEIGHTS, WEIGHTS_WITH_NETWORK, log_odds
from ftim.photo import Photograph, read_photo
from ftim.pipeline import Pipeline
from scripts.measure.awkward_cases import blurred, border, covered, exposed, shadowed, small, squeezed
from scripts.measure.not_faces import blobs, clock, color_wheel, flower, noise, smiley, socket

OUTPUT = Path("results/face_check.json")
MADE = (noise, color_wheel, smiley, blobs, flower, socket, clock)
"""Kinds of picture that the landmarker takes for faces now and then."""
AWKWARD: tuple[Callable[[Image.Image], Image.Image], ...] = (
    covered, shadowed, lambda photo: exposed(photo, 2.6), lambda photo: exposed(photo, 0.12), blurred,
    lambda photo: squeezed(photo, 5), lambda photo: small(photo, 40), border,
)  # fmt: skip
MADE_COUNT = 700
MADE_SEED = 7
DECIMALS = 4


@dataclass(frozen=True)
class FaceCheckConfig:
    """What to evaluate."""

    not_faces: Path | None = None
    sets: tuple[str, ...] = ("portraits", "celeba", "frll")
    data: Path | None = None
    """By default FTIM_DATA."""
    every: int = 1
    """Only each so manieth photograph; nothing is written then."""
    turned_every: int = 1
    """Of the photographs, each so manieth is turned too."""
    processes: int = 2
    fit: bool = False


@cache
def pipeline() -> Pipeline:
    """One a process."""
    torch.set_num_threads(1)
    return Pipeline.build(texture_size=256)


def outcome(path: Path, turn: int) -> tuple[str, float]:
    """Found, turned (wrongly), or the name of the error; and the confidence."""
    pixels = np.ascontiguousarray(np.rot90(read_photo(path), turn))
    try:
        found = pipeline().finder.one(Photograph(pixels))
    except FaceError as error:
        return type(error).__name__, 0.0
    return ("found" if found.photo.turn == -turn % 4 else "turned"), found.confidence


def features(pixels: np.ndarray) -> list[float] | None:
    """Those of the largest find, as it stands, and the other network's log odds; None without a find, or of a face
    that was taken for a turned one."""
    detections = pipeline().detector.detect(pixels)
    if not detections or detections[0].side < MIN_FACE_SIDE:
        return None
    face = align(*detections[0].upright(pixels))
    (item,) = pipeline().finder.check.evidence(face, pipeline().regressor(face))
    crop = (face.image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    return [*item.features, log_odds(pipeline().detector.small_faces.sureness(crop))]


def photographs(name: str, data: Path | None) -> list[Path]:
    """Of a set by its name."""
    if name == "celeba":
        return [photo.path for photo in load_celeba(data).photos]
    if name == "frll":
        frll = load_frll(data)
        return [photo.path for split in ("train", "validation") for photo in frll.photos(split).photos]
    return [photo.path for photo in load_portraits("all").photos]


def tally(pool: ProcessPoolExecutor, name: str, paths: list[Path], turn: int) -> dict[str, Any]:
    """How each came out."""
    rows = list(tqdm(pool.map(outcome, paths, repeat(turn), chunksize=4), total=len(paths), desc=f"{name} {90 * turn}"))
    counts: dict[str, int] = {}
    for kind, _ in rows:
        counts[kind] = counts.get(kind, 0) + 1
    others = {path.stem: kind for path, (kind, _) in zip(paths, rows, strict=True) if kind != "found"}
    sure = sorted(confidence for kind, confidence in rows if kind == "found")
    lowest = round(sure[len(sure) // 100], DECIMALS) if sure else None
    return {"photographs": len(paths)} | counts | {"first percentile of confidence": lowest, "others": others}


def evaluate(config: FaceCheckConfig) -> dict[str, Any]:
    """Every set at every turn, and what is no face."""
    found: dict[str, Any] = {}
    with ProcessPoolExecutor(config.processes) as pool:
        if config.not_faces is not None:
            paths = sorted(config.not_faces.iterdir())[:: config.every]
            found["not faces"] = {"0": tally(pool, "not faces", paths, 0)}
        for name in config.sets:
            paths = photographs(name, config.data)[:: config.every]
            found[name] = {
                str(90 * turn): tally(pool, name, paths[:: config.turned_every] if turn else paths, turn)
                for turn in range(4)
            }
    return found


def training(data: Path | None) -> Iterator[np.ndarray]:
    """Photographs of training people, and the same made awkward: each in half of the ways."""
    frll = [photo.path for photo in load_frll(data).photos("train").photos]
    official = [photo.path for photo in load_official_portraits("train", data).photos]
    for path in [*frll[::2], *official]:
        yield read_photo(path)
    three_quarter = [path for path in frll if "3quarter" in path.parent.name]
    for index, path in enumerate([*official, *three_quarter[::3]]):
        for change in AWKWARD[index % 2 :: 2]:
            yield np.asarray(change(Image.fromarray(read_photo(path))))


def regression(people: list[list[float]], others: list[list[float]], columns: Sequence[int]) -> list[float]:
    """Weights of these features, the constant included; both classes weigh the same."""
    values = torch.tensor([*people, *others], dtype=torch.double)[:, list(columns)]
    is_face = torch.tensor([1.0] * len(people) + [0.0] * len(others), dtype=torch.double)
    weight = torch.where(is_face == 1, 0.5 / len(people), 0.5 / len(others))
    varies = values.std(0) > 0
    mean, scale = values.mean(0) * varies, torch.where(varies, values.std(0), 1.0)
    line = torch.zeros(len(mean), dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        errors = torch.nn.functional.binary_cross_entropy_with_logits(
            (values - mean) / scale @ line, is_face, reduction="none"
        )
        total = (weight * errors).sum() + 1e-4 * (line * varies).square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    weights = (line / scale).detach()
    weights[~varies] -= (weights * mean).sum()
    return weights.tolist()


def fit(data: Path | None) -> None:
    """Print the weights, beside those in use."""
    made = (np.asarray(MADE[i % len(MADE)](np.random.default_rng([MADE_SEED, i]))) for i in range(MADE_COUNT))
    people = [item for pixels in tqdm(training(data)) if (item := features(pixels)) is not None]
    others = [item for pixels in tqdm(made) if (item := features(pixels)) is not None]
    print(f"{len(people)} faces, {len(others)} finds of {MADE_COUNT} that are none")
    for columns, used in ((range(4), WEIGHTS), (range(5), WEIGHTS_WITH_NETWORK)):
        print([round(value, 2) for value in regression(people, others, columns)], "in use:", used)


def main() -> None:
    """Run it."""
    config = tyro.cli(FaceCheckConfig, description=__doc__)
    if config.fit:
        fit(config.data)
        return
    found = evaluate(config)
    text = json.dumps({"provenance": provenance(torch.device("cpu"), False), "found": found}, indent=1)
    if config.every == 1:
        write_text(OUTPUT, text + "\n")
    print(text)


if __name__ == "__main__":
    main()
