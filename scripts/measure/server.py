"""The demo under load and abuse: 200 uploads of 20 clients at once, and requests that nobody should send.

    python -m scripts.measure.server --uploads 200 --clients 20

The server runs as its users start it, a process of its own. Counted are right answers, clear errors and wrong ones: a
traceback, a file that is not the visitor's, no answer. Afterwards the server's folder must hold no photograph. Writes
``results/server.json``; exits with 1 when anything was wrong.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import torch
import tyro
from tqdm import tqdm

from benchmark.runner.provenance import provenance
from benchmark.runner.records import write_text
from scripts.measure.demo_load import Served
from scripts.measure.server_abuse import KINDS, Slowly, files_below

OUTPUT = Path("results/server.json")
STAY = 20
"""Seconds without a sign of life after which the server removes what a visitor left; an hour by default."""
BAD = 4
"""One upload of so many is no photograph of a face."""
OTHERS = ("files outside", "replayed sessions", "fuzzed calls")
EXAMPLES = 5


@dataclass(frozen=True)
class ServerConfig:
    """How much."""

    uploads: int = 200
    clients: int = 20
    others: int = 40
    """Requests of each other kind."""
    oversized: int = 5
    output: Path | None = OUTPUT


def one(kind: str, address: str, number: int) -> str | None:
    """What is wrong with the answer to one request."""
    try:
        return KINDS[kind](address, number)
    except (OSError, httpx.HTTPError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def attack(address: str, config: ServerConfig) -> dict[str, dict[str, Any]]:
    """Everything at once, and by kind what was sent and what was wrong."""
    requests = [("bad photographs" if n % BAD == 0 else "photographs", n) for n in range(config.uploads)]
    requests += [
        (kind, n) for kind in ("files outside", "replayed sessions", "fuzzed calls") for n in range(config.others)
    ]
    requests += [("oversized bodies", n) for n in range(config.oversized)]
    requests.sort(key=lambda item: (item[1] * 7919) % 1009)  # mixed, the same way each time
    slowly = Slowly(address, config.clients)
    found: dict[str, dict[str, Any]] = {kind: {"requests": 0, "wrong": []} for kind in KINDS}
    with ThreadPoolExecutor(config.clients) as pool:
        answers = pool.map(lambda item: one(item[0], address, item[1]), requests)
        for (kind, number), reason in zip(requests, tqdm(answers, total=len(requests)), strict=True):
            found[kind]["requests"] += 1
            if reason:
                found[kind]["wrong"].append(f"{number}: {reason}")
    found["slow clients"] = {"requests": config.clients, "wrong": slowly.join()}
    return found


def left_behind(folder: Path) -> list[str]:
    """Files that the server still keeps when all visitors have been away for long enough."""
    for _ in range(12 * STAY):
        if not files_below(folder):
            return []
        time.sleep(0.5)
    return [path.name for path in files_below(folder)[:EXAMPLES]]


def main() -> None:
    """Serve, attack, look."""
    config = tyro.cli(ServerConfig, description=__doc__)
    with tempfile.TemporaryDirectory() as folder:
        served = Served("--stay", str(STAY), folder=Path(folder))
        try:
            used = {"before": served.memory("VmRSS")}
            began = time.monotonic()
            found = attack(served.address, config)
            seconds = time.monotonic() - began
            kept = len(files_below(Path(folder)))
            left = left_behind(Path(folder))
            used |= {"at most": served.memory("VmHWM"), "after": served.memory("VmRSS")}
        finally:
            served.stop()
    wrong = sum(len(item["wrong"]) for item in found.values()) + len(left)
    for item in found.values():
        item["wrong"], item["wrong answers"] = item["wrong"][:EXAMPLES], len(item["wrong"])
    result = {
        "clients": config.clients,
        "seconds": round(seconds, 1),
        "memory, GB": {name: round(value, 2) for name, value in used.items()},
        "files kept meanwhile": kept,
        "files left": left,
    }
    result |= {"found": found, "provenance": provenance(torch.device("cpu"), False)}
    if config.output is not None:
        write_text(config.output, json.dumps(result, indent=1) + "\n")
    print(json.dumps({name: value for name, value in result.items() if name != "provenance"}, indent=1))
    sys.exit(int(wrong > 0))


if __name__ == "__main__":
    main()
