"""Twenty callers at once at the demo's named endpoint: all must be served, in their order, in little memory.

    python -m scripts.measure.demo_load            # writes results/demo_load.json

The demo runs as its users start it, a process of its own; each caller is a ``gradio_client`` with a real portrait.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from gradio_client import Client, handle_file
from gradio_client.client import Job
from gradio_client.utils import Status
from tqdm import tqdm

from benchmark.runner.provenance import provenance
from ftim.data import load_portraits
from ftim.errors import FtimError
from ftim.outputs import whole_file

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = (Status.STARTING, Status.SENDING_DATA, Status.JOINING_QUEUE)
"""Of a call that is not in the queue yet. The next caller comes when the last one is, so that they have an order."""


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.measure.demo_load``."""

    calls: int = 20
    """Callers."""
    texture_size: int = 512
    """What they ask for."""
    json: Path = Path("results/demo_load.json")
    """The result."""


class Served:
    """The demo in a process of its own. Raises ``FtimError`` when it does not start."""

    def __init__(self, *options: str, folder: Path | None = None) -> None:
        """``options`` of ``demo/app.py``; its files lie below ``folder``, by default where temporary files do."""
        command = [sys.executable, str(ROOT / "demo" / "app.py"), "--port", "0", "--no-examples", *options]
        environment = os.environ | ({"TMPDIR": str(folder)} if folder else {})
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://[\d.]+:\d+", line):
                self.address = found[0]
                return
        raise FtimError("The demo did not start; run python demo/app.py to see why.")

    def memory(self, which: str) -> float:
        """In GB: ``VmRSS`` held now, ``VmHWM`` at most so far. Linux only."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(rf"{which}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024 / 1e9

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(60)


class Callers:
    """What each got, in the order in which their calls ended."""

    def __init__(self, address: str, photos: list[Path], texture_size: int) -> None:
        self.photos, self.texture_size = photos, texture_size
        self.clients = [Client(address, verbose=False) for _ in photos]
        self.ended: list[int] = []
        self.failed: list[str] = []
        self.bytes: list[int] = []

    def call(self, number: int) -> Job:
        """One caller, who stands in the queue when this returns."""
        photo = handle_file(str(self.photos[number]))
        job = self.clients[number].submit(photo, self.texture_size, 0, api_name="/reconstruct")
        job.add_done_callback(lambda _: self.ended.append(number))
        while job.status().code in OUTSIDE:
            time.sleep(0.01)
        return job

    def receive(self, number: int, job: Job) -> None:
        """The answer, when it is there."""
        try:
            head = Path(job.result()[1]).read_bytes()
            if head[:4] != b"glTF":
                raise FtimError("the head is no GLB")
            self.bytes.append(len(head))
        except Exception as error:  # noqa: BLE001 - whatever a caller would have seen
            self.failed.append(f"{self.photos[number].name}: {error}")

    def call_all(self) -> int:
        """All of them, one after the other; how many waited together when the last had called."""
        jobs = [self.call(number) for number in range(len(self.photos))]
        waiting = len(jobs) - len(self.ended)
        for number, job in enumerate(tqdm(jobs, desc="calls")):
            self.receive(number, job)
        return waiting


def run(config: Config) -> dict[str, Any]:
    """Serve, call, write. Raises ``FtimError`` when a call fails."""
    photos = [photo.path for photo in load_portraits("test").photos[: config.calls]]
    served = Served()
    try:
        callers = Callers(served.address, photos, config.texture_size)
        before = served.memory("VmRSS")
        began = time.perf_counter()
        waiting = callers.call_all()
        seconds = time.perf_counter() - began
        most = served.memory("VmHWM")
    finally:
        served.stop()
    result = {
        "calls": len(photos),
        "texture_size": config.texture_size,
        "waiting together": waiting,
        "ended": len(callers.ended),
        "failed": callers.failed,
        "in order": callers.ended == sorted(callers.ended),
        "seconds": round(seconds, 1),
        "smallest GLB, bytes": min(callers.bytes, default=0),
        "memory before, GB": round(before, 2),
        "memory at most, GB": round(most, 2),
        "provenance": provenance(torch.device("cpu")),
    }
    config.json.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(config.json) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if callers.failed:
        raise FtimError(f"{len(callers.failed)} of {len(photos)} calls failed: {callers.failed[0]}")
    return result


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(Config, description=__doc__)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        result = run(config)
    except (FtimError, OSError) as error:
        sys.exit(f"error: {error}")
    print(json.dumps({key: value for key, value in result.items() if key != "provenance"}, indent=1))


if __name__ == "__main__":
    main()
