"""Attacks on one weakness each: nesting, pipes and links, sizes that lie, flipped bits in archives and pickles."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from ftim.assets.archives import extract_member
from ftim.assets.downloads import SourceFailedError
from ftim.cli.folders import FAILURES, JOURNAL, MARKER, REPORT, folder_names, result_folder
from ftim.cli.photo_search import find_photos
from ftim.completion.weights import load_weights, weights_path
from ftim.errors import FtimError
from ftim.identity import METRIC_PATH, identity_metric
from ftim.metrics.numpy_pickle import read_numpy_pickle
from ftim.morphable.open_head import OPEN_HEAD_PATH, load_open_head
from ftim.official.deca_detail import load_detail_maps
from ftim.official.flame_pickle import read_flame_pickle
from ftim.official.flame_texture import load_flame_uv
from ftim.official.layout import read_checkpoint
from ftim.photo import open_photo
from ftim.skin.bisenet import load_bisenet
from ftim.training.initial import read_initial
from scripts.measure.hostile_files import VALUES, idle_batch

DEEP = 100_000
MEMBER, SIZE = "thing/weights.bin", 1000
OTHERS = ("BMP", "PPM", "ICO", "TGA", "PCX", "SGI", "DDS", "IM", "MPO", "JPEG2000", "AVIF", "EPS")
HOSTILE_NAMES = (
    "..jpg", "...jpg", "-rf.jpg", "a\nb.jpg", "a\x1b[31m.jpg", "CON.jpg", "$(id).jpg", "`id`.jpg", "a;b.jpg", "*.jpg",
    "[a].jpg", "~root.jpg", "%2e%2e%2fa.jpg", "a\\..\\b.jpg", "\u202egpj.exe.jpg", "failures.json.jpg", "report.json",
    "x" * 240 + ".jpg",
)  # fmt: skip
ARRAY_OF = (
    b"\x80\x03cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01K\x02\x85"
    b"cnumpy\ndtype\nX\x02\x00\x00\x00f8K\x00K\x01\x87R(K\x03X\x01\x00\x00\x00<%btb\x89C\x10" + bytes(16) + b"tb."
)
"""Two numbers of a dtype whose state is to be filled in."""
PICKLES: dict[str, bytes] = {
    "a dtype with a part too few": ARRAY_OF % (b"MNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x00"),
    "a dtype of objects": ARRAY_OF % (b"NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x3f"),
    "a memo of 2**31 places": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a memo of 10**9 places": b"Np999999999\n.",
    "bytes without a length": b"\x80\x04\x8e" + b"\xff" * 8 + b".",
    "a frame of a terabyte": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",
    "4 gigabytes announced": b"\x80\x03B" + struct.pack("<I", 2**32 - 1) + b"a.",
    "64 gigabytes announced": b"\x80\x05\x96" + struct.pack("<Q", 2**36) + b"a.",
    "lists in lists": b"\x80\x02" + b"]" * DEEP + b"a" * (DEEP - 1) + b".",
    "an array of 800 gigabytes": b"cnumpy\nndarray\n((L100000000000L\ntS'f8'\ntR.",
    "an array of pointers": b"cnumpy\nndarray\n((L1000L\ntS'O'\ntR.",
}


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Some bytes replaced, and now and then the end cut off."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 3, 10))):
        changed[rng.randrange(len(changed))] = rng.choice((rng.randrange(256), 0, 255))
    return bytes(changed[: rng.choice((len(data), len(data), rng.randrange(1, len(data)))) :])


@cache
def other_picture(kind: str) -> bytes:
    """A sound picture of a format that cameras rarely write."""
    ramp = np.add.outer(np.arange(96), 2 * np.arange(96))
    image = Image.fromarray(np.stack([ramp % 256, ramp // 2, 255 - ramp // 2], -1).astype(np.uint8))
    file = io.BytesIO()
    image.save(file, kind, **({"save_all": True, "append_images": [image]} if kind == "MPO" else {}))
    return file.getvalue()


def other_formats(rng: random.Random, folder: Path) -> None:
    """What the image library opens besides, under the name of a JPEG; and EXIF in PNG and WebP."""
    path = folder / "photo.jpg"
    if rng.random() < 0.8:
        path.write_bytes(damaged(rng, other_picture(rng.choice(OTHERS))))
    else:
        entries = [struct.pack("<HHII", 0x0112, rng.choice((3, 4, 99)), rng.choice((1, 2**31)), rng.randrange(2**32))]
        directory = struct.pack("<2sHIH", b"II", 42, 8, rng.choice((1, 65_535))) + entries[0] + struct.pack("<I", 8)
        exif, kind = b"Exif\0\0" + directory, rng.choice(("PNG", "WEBP"))
        Image.new("RGBA", (96, 96), (9, 99, 200, 99)).save(path, kind, exif=exif, icc_profile=rng.randbytes(200))
    open_photo(path)


def _strange_file(rng: random.Random, path: Path) -> None:
    """In the place of a JSON file."""
    texts = (
        "[" * DEEP,
        '{"ftim":' * DEEP,
        "9" * 10_000,
        '{"ftim": 1, "ftim": NaN}',
        '{"files": {"a": 1e999}, "ftim": 0}',
    )
    way = rng.randrange(6)
    if way == 0:
        os.mkfifo(path)
    elif way == 1:
        path.symlink_to(rng.choice(("/dev/zero", path.name, "/proc/self/mem", "..", "/nowhere")))
    elif way == 2:
        path.mkdir()
    elif way == 3:
        path.write_bytes(rng.randbytes(2000))
    else:
        path.write_text(rng.choice(texts))


def strange_reports(rng: random.Random, folder: Path) -> None:
    """Output folders whose reports are deep, endless, pipes, links or folders."""
    output, photo = folder / "out", folder / "photo.jpg"
    there, left = output / "photo", output / ".ftim-1-a.tmp"
    for made in (there, left):
        made.mkdir(parents=True)
    photo.write_bytes(b"no photograph")
    places = (there / REPORT, there / JOURNAL, output / FAILURES, left / MARKER)
    for place in rng.sample(places, rng.randrange(1, 3)):
        _strange_file(rng, place)
    idle_batch(output).run(find_photos((str(folder),)), quiet=True)
    with result_folder(there) as made:
        (made / REPORT).write_text("{}")


def strange_names(rng: random.Random, folder: Path) -> None:
    """Photographs with names that mean something to a system, and links that lead out or in circles."""
    photos, output = folder / "photos", folder / "out"
    photos.mkdir()
    for name in rng.sample(HOSTILE_NAMES, 6):
        (photos / name).write_bytes(b"no photograph")
    (photos / "circle").symlink_to(photos, target_is_directory=True)
    (photos / "above.jpg").symlink_to(rng.choice(("/etc/passwd", "/dev/zero", "above.jpg", "../..")))
    (output / "elsewhere").parent.mkdir()
    (output / "CON").symlink_to(folder.parent, target_is_directory=True)
    search = find_photos(
        (str(photos), str(photos / "*"), str(photos / rng.choice(HOSTILE_NAMES)))[: rng.choice((1, 2, 3))]
    )
    for name in folder_names(search.photos.values()):
        if (output / name).parent.resolve() != output.resolve():
            raise AssertionError(f"{name!r} leads out of the output folder")
        if name != "CON":
            with result_folder(output / name) as made:
                (made / REPORT).write_text("{}")


def tampered_weights(rng: random.Random, folder: Path) -> None:
    """Sound files of ours with a tensor that is renamed, of another shape or kind, missing, surplus, or no number."""
    source, load = rng.choice(
        ((weights_path("ftim"), load_weights), (OPEN_HEAD_PATH, load_open_head), (METRIC_PATH, identity_metric))
    )
    with safe_open(str(source), framework="pt") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    name = rng.choice(sorted(tensors))
    tensor = tensors.pop(name)
    no_number = torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else -tensor
    changes: tuple[dict[str, torch.Tensor], ...] = (
        {}, {name: tensor, "surplus": torch.ones(2)}, {name + "x": tensor}, {name: tensor.flatten()[:-1].clone()},
        {name: tensor[None].clone()}, {name: no_number}, {name: tensor.to(torch.complex64)},
        {name: torch.zeros((0, 3))}, {name: tensor.to(torch.int8)},
    )  # fmt: skip
    path = folder / "tampered.safetensors"
    save_file(tensors | rng.choice(changes), str(path), metadata=about)
    load(path)  # type: ignore[operator]


@cache
def _state(new: bool, version: int = 2) -> bytes:
    """A checkpoint of ours with the right names, in the newer or the older form of PyTorch."""
    file = io.BytesIO()
    parts: dict[str, Any] = {"network": {"a": torch.ones(3)}, "average": {"a": torch.ones(3)}, "optimizer": {}}
    values = parts | {"step": 3, "fingerprint": "f", "recorded": {}, "seconds": 0.5}
    torch.save(values, file, pickle_protocol=version, _use_new_zipfile_serialization=new)
    return file.getvalue()


def tampered_checkpoint(rng: random.Random, folder: Path) -> None:
    """Both forms of PyTorch's files, with flipped bytes or values of a wrong kind, for every reader of them."""
    path = folder / "checkpoint.pt"
    path.write_bytes(damaged(rng, _state(rng.random() < 0.5)))
    reader = rng.randrange(3)
    if reader == 0:
        read_checkpoint(path, ("network", "average"))
    elif reader == 1:
        load_bisenet(path)
    else:
        read_initial(path)


def training_folder(rng: random.Random, folder: Path) -> None:
    """A sound checkpoint beside a configuration that says strange things."""
    path, about = folder / "checkpoint.pt", folder / "config.json"
    path.write_bytes(_state(True))
    if rng.random() < 0.5:
        _strange_file(rng, about)
    else:
        about.write_text(json.dumps(rng.choice(({"steps before": rng.choice(VALUES)}, rng.choice(VALUES)))))
    read_initial(path)


@cache
def _archive(kind: str) -> bytes:
    file = io.BytesIO()
    content = bytes(SIZE // 2) + random.Random(0).randbytes(SIZE // 2)
    if kind.startswith("zip"):
        method = {"zip": 0, "zip8": zipfile.ZIP_DEFLATED, "zip12": zipfile.ZIP_BZIP2, "zip14": zipfile.ZIP_LZMA}[kind]
        with zipfile.ZipFile(file, "w") as made:
            made.writestr(zipfile.ZipInfo(MEMBER), content, method)
        return file.getvalue()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("\u00e9" * 60, MEMBER):
            entry = tarfile.TarInfo(name)
            entry.size = SIZE
            tar.addfile(entry, io.BytesIO(content))
    packers: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
    }
    return packers[kind.removeprefix("tar")](file.getvalue())


def damaged_archive(rng: random.Random, folder: Path) -> None:
    """Archives with flipped bytes: methods of packing that do not exist, passwords, sizes and names that lie."""
    path = folder / "a.archive"
    path.write_bytes(
        damaged(rng, _archive(rng.choice(("zip", "zip8", "zip12", "zip14", "tar", "targz", "tarbz2", "tarxz"))))
    )
    try:
        extract_member(path, MEMBER, folder / "target", SIZE)
    except SourceFailedError as error:  # the store that asks says it in its own words
        raise FtimError(str(error)) from error


def pickle_bombs(rng: random.Random, folder: Path) -> None:
    """Pickles that announce more than there is, nest without end, or change what numpy takes for granted."""
    path = folder / "a.pkl"
    if rng.random() < 0.3:
        path.write_bytes(PICKLES[rng.choice(sorted(PICKLES))])
    else:
        values = {"conv1": [np.ones(2), np.ones(3)], "text": "a", "number": 10**30, "pair": (1, 2.5)}
        path.write_bytes(damaged(rng, pickle.dumps(values, rng.randrange(5))))
    rng.choice((read_numpy_pickle, read_flame_pickle))(path)


def official_files(rng: random.Random, folder: Path) -> None:
    """Arrays, meshes and masks of other methods, whose headers lie."""
    mask, array, mesh = folder / "mask.png", folder / "displacement.npy", folder / "head.obj"
    Image.new("L", rng.choice(((256, 256), (1, 1), (20_000, 256)))).save(mask)
    huge = rng.choice(("(256, 256)", "(100000000000,)", "(-1, 3)", "(" * 90 + ")" * 90, "(1" + "0" * 400 + ",)"))
    kind = rng.choice(("<f8", "|O", "<f4", "<U9999999"))
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {huge}, }}".encode() + b"\n"
    array.write_bytes(damaged(rng, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(3000)))
    lines = (
        "vt 0 nan",
        "vt 1e999 0",
        "f 1/1 2/2 3/3",
        "f -1/-1 99999999999999999999/1 0/0",
        "f a/b",
        "vt",
        "v " + "9" * 400,
    )
    mesh.write_text("\n".join(rng.choices(lines, k=200)))
    if rng.random() < 0.5:
        load_detail_maps(mask, array)
    else:
        load_flame_uv(rng.choice((mesh, array)), torch.zeros((9976, 3), dtype=torch.int64))


CASES: dict[str, Callable[[random.Random, Path], None]] = {
    "other formats": other_formats,
    "strange reports": strange_reports,
    "strange names": strange_names,
    "tampered weights": tampered_weights,
    "tampered state": tampered_checkpoint,
    "training folder": training_folder,
    "damaged archive": damaged_archive,
    "pickle bomb": pickle_bombs,
    "official files": official_files,
}
