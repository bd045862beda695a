"""Other files that come from outside: results of earlier runs, weights, checkpoints, archives."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from ftim import errors
from ftim.assets.archives import extract_member
from ftim.assets.downloads import SourceFailedError
from ftim.cli.files import Batch
from ftim.cli.folders import FAILURES, JOURNAL, MARKER, REPORT, result_folder
from ftim.cli.naming import FolderNames
from ftim.cli.photo_search import find_photos
from ftim.cli.settings import Settings
from ftim.completion.weights import load_weights, weights_path
from ftim.errors import FtimError
from ftim.metrics.numpy_pickle import read_numpy_pickle
from ftim.morphable.open_head import load_open_head
from ftim.training.checkpoint import Checkpoint

VALUES: tuple[Any, ...] = (
    None, True, -1, 10**400, float("nan"), float("inf"), "", "x" * 100_000, "../../secret.txt", "/etc/passwd", [], {},
    {"a": {"b": [1]}}, [[]], "\0", "\ud800",
)  # fmt: skip
NAMES = ("../../secret.txt", "/etc/passwd", "..", ".", "", "a/b", "\0", "params.json", "x" * 300)
REMOVED = "the file of a stranger was touched"


class Attack:
    """What an unpickler must not build."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pickle-was-run",)


def idle_batch(output: Path) -> Batch:
    """A run without models, for photographs that are none."""
    batch = Batch.__new__(Batch)
    batch.output, batch.settings, batch.resume, batch.overwrite = output, Settings(formats=("json",)), True, False
    batch.names = FolderNames(output)
    batch.made_with, batch.pipeline, batch.reporter = {}, None, None  # type: ignore[assignment]
    return batch


def results(rng: random.Random, folder: Path) -> bool:
    """A run into a folder whose reports somebody has tampered with."""
    photo = folder / "a.jpg"
    photo.write_bytes(b"no photograph")
    secret = folder / "secret.txt"
    secret.write_text("mine")
    output = folder / "out"
    there = output / "a"
    there.mkdir(parents=True)
    report: dict[str, Any] = {"ftim": "0.2.0", "photo": {"path": "../a.jpg"}, "files": {}, "key": "k", "faces": 1}
    for name in rng.sample(sorted(report), rng.randrange(1, 5)):
        report[name] = rng.choice(VALUES)
    if rng.random() < 0.5:
        report["files"] = {name: rng.choice(VALUES) for name in rng.sample(NAMES, 3)}
    for name in (REPORT, JOURNAL, FAILURES, MARKER):
        text = json.dumps(rng.choice((report, {"failures": rng.choice(VALUES), "ftim": 1}, rng.choice(VALUES))))
        place = {REPORT: there, JOURNAL: there, FAILURES: output, MARKER: output / ".ftim-1-a.tmp"}[name]
        if rng.random() < (0.9 if name == REPORT else 0.3):
            place.mkdir(exist_ok=True)
            (place / name).write_text(text if rng.random() < 0.8 else text[: rng.randrange(len(text) + 1)])
    if rng.random() < 0.2:
        (there / "params.json").symlink_to(secret)
    batch = idle_batch(output)
    try:
        outcome = batch.run(find_photos((str(photo),)), quiet=True)
        if strange := [reason for reason in outcome.failures.values() if not hasattr(errors, reason.split(":")[0])]:
            raise AssertionError(strange[0])
        with result_folder(there, overwrite=rng.random() < 0.5) as made:
            (made / "params.json").write_text("{}")
            (made / REPORT).write_text("{}")
    finally:
        if secret.read_text() != "mine" or photo.read_bytes() != b"no photograph":
            raise AssertionError(REMOVED)
    return True


def weights(rng: random.Random, folder: Path) -> bool:
    """Safetensors with other contents than their header says, and pickles in their place."""
    path = folder / "weights.safetensors"
    if rng.random() < 0.4:
        data = bytearray(weights_path("ftim").read_bytes())
        for _ in range(rng.choice((1, 5))):
            data[rng.randrange(min(len(data), 20_000))] = rng.randrange(256)
        path.write_bytes(bytes(data[: rng.choice((len(data), rng.randrange(len(data))))]))
    else:
        about = {"version": rng.choice((1, 2, 3, "x")), "settings": rng.choice(VALUES), "training": rng.choice(VALUES)}
        made = {"a": torch.full((rng.choice((0, 1, 5)), 3), rng.choice((0.0, float("nan"))))}
        text = json.dumps(about)
        whole = save(made, {"about": text if rng.random() < 0.8 else text[:-3], "version": "1"})
        huge = struct.pack("<Q", rng.choice((2**62, 2**40, 10**9))) + whole[8:]
        path.write_bytes(rng.choice((whole, huge, pickle.dumps(Attack()), b"")))
    rng.choice((load_weights, load_open_head))(path)
    return True


def checkpoint(rng: random.Random, folder: Path) -> bool:
    """Pickles that ask for code, and zip files that are none of PyTorch's."""
    path = folder / "checkpoint.pt"
    kind = rng.randrange(4)
    if kind == 0:
        torch.save({"step": Attack(), "network": {}}, path)
    elif kind == 1:
        torch.save({name: rng.choice(VALUES) for name in ("step", "fingerprint", "network")}, path)
    else:
        whole = io.BytesIO()
        torch.save({"step": 1, "network": {"a": torch.ones(3)}}, whole)
        data = bytearray(whole.getvalue())
        for _ in range(rng.choice((1, 10))):
            data[rng.randrange(len(data))] ^= 255
        path.write_bytes(bytes(data) if kind == 2 else bytes(data[: rng.randrange(len(data))]))
    Checkpoint.read(path)
    return True


def numpy_pickle(rng: random.Random, folder: Path) -> bool:
    """Pickles for the reader that allows arrays alone."""
    path = folder / "weights.ckpt"
    whole = pickle.dumps({"conv1": [torch.ones(2).numpy()]}, rng.choice((0, 2, 4)))
    changed = bytearray(whole)
    changed[rng.randrange(len(changed))] = rng.randrange(256)
    path.write_bytes(rng.choice((pickle.dumps(Attack()), bytes(changed), whole[: rng.randrange(len(whole))])))
    read_numpy_pickle(path)
    return True


def archive(rng: random.Random, folder: Path) -> bool:
    """Members that climb out, are links, or are far larger than they say."""
    path, member, size = folder / "a.archive", rng.choice(("thing/weights.bin", "../secret.txt", "/etc/passwd")), 1000
    content = bytes(rng.choice((size, 10 * size, 50_000_000)))
    if rng.random() < 0.5:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr(rng.choice((member, "../../outside.txt")), content)
    else:
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            entry = tarfile.TarInfo(member)
            entry.type = rng.choice((tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE))
            entry.linkname = "/etc/passwd"
            entry.size = len(content) if entry.isreg() else 0
            tar.addfile(entry, io.BytesIO(content))
    if rng.random() < 0.3:
        data = path.read_bytes()
        path.write_bytes(data[: rng.randrange(len(data))])
    try:
        extract_member(path, member, folder / "target", size)
    except SourceFailedError as error:  # the store that asks says it in its own words
        raise FtimError(str(error)) from error
    return True


FILES = {
    "results": results,
    "weights": weights,
    "checkpoint": checkpoint,
    "numpy pickle": numpy_pickle,
    "archive": archive,
}
