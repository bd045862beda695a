"""Requests to the demo's server as nobody should send them; each says whether it was answered as it should be."""

from __future__ import annotations

import io
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from PIL import Image

from ftim.data import load_portraits

LONGEST = 180.0
"""Seconds to wait for an answer."""
WORDS = ("Traceback", "root:x:", "site-packages", 'File "/')
"""What no answer may hold."""
OUTSIDE = ("/etc/passwd", "../../../../etc/passwd", "demo/app.py", "/proc/self/environ", ".", "")


def good_photo(number: int) -> bytes:
    """A portrait."""
    photos = load_portraits("test").photos
    return photos[number % len(photos)].path.read_bytes()


def bad_photo(number: int) -> bytes:
    """Nothing, a web page, a part of a photograph, no face, or a huge picture."""
    blank = io.BytesIO()
    Image.new("RGB", (300, 300), (90, 120, 60)).save(blank, "PNG")
    huge = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\x02\0\0\0"
    return (b"", b"<html>no</html>", good_photo(number)[:700], blank.getvalue(), huge)[number % 5]


class Visitor:
    """One client of the named endpoint."""

    def __init__(self, address: str) -> None:
        self.at = address.rstrip("/") + "/gradio_api"
        self.http = httpx.Client(timeout=LONGEST)

    def upload(self, content: bytes, name: str = "photo.jpg") -> httpx.Response:
        """Send a file."""
        return self.http.post(f"{self.at}/upload", files=[("files", (name, content, "image/jpeg"))])

    def call(self, data: Any, content: bytes | None = None) -> str:
        """The end of one call's events, or the refusal."""
        body = content if content is not None else json.dumps({"data": data}).encode()
        begun = self.http.post(
            f"{self.at}/call/reconstruct", content=body, headers={"content-type": "application/json"}
        )
        if begun.status_code != 200:
            return f"status {begun.status_code}: {begun.text}"
        return self.http.get(f"{self.at}/call/reconstruct/{begun.json()['event_id']}").text

    def reconstruct(self, content: bytes) -> str:
        """Upload and call."""
        sent = self.upload(content)
        if sent.status_code != 200:
            return f"status {sent.status_code}: {sent.text}"
        return self.call([{"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}, 256, 0])


def told(answer: str) -> str | None:
    """What is wrong with an answer that should be an error in words; None when nothing is."""
    if any(word in answer for word in WORDS):
        return f"it tells too much: {answer[:200]}"
    if answer.startswith("status 5"):
        return f"the server broke: {answer[:200]}"
    if "event: complete" in answer:
        return f"it was served: {answer[:200]}"
    return None


def good(address: str, number: int) -> str | None:
    """A head for an ordinary photograph; a full queue may refuse, and is asked again."""
    visitor = Visitor(address)
    for _ in range(60):
        answer = visitor.reconstruct(good_photo(number))
        if "event: complete" in answer and "head.glb" in answer:
            return None
        if "queue" not in answer.lower():
            return answer[:300]
        time.sleep(2)
    return "the queue was full for two minutes"


def bad(address: str, number: int) -> str | None:
    """A sentence for what is no photograph of a face."""
    visitor = Visitor(address)
    for _ in range(60):
        answer = visitor.reconstruct(bad_photo(number))
        if "queue" not in answer.lower():
            return told(answer)
        time.sleep(2)
    return "the queue was full for two minutes"


def oversized(address: str, number: int) -> str | None:
    """More than may be sent."""
    sent = Visitor(address).upload(bytes(70_000_000 + number))
    return None if sent.status_code == 413 else f"status {sent.status_code}"


def slow(address: str, number: int) -> str | None:
    """A body that never ends: the connection is held for a while and dropped, and others are served meanwhile."""
    target = urlsplit(address)
    with socket.create_connection((target.hostname or "", target.port or 80), timeout=LONGEST) as connection:
        head = "POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        connection.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode())
        for _ in range(10):
            connection.sendall(b"-")
            time.sleep(0.5)
    answer = httpx.get(address.rstrip("/") + "/config", timeout=LONGEST)
    return None if answer.status_code == 200 else f"status {answer.status_code} afterwards"


def outside(address: str, number: int) -> str | None:
    """Files that are not the server's to give."""
    place = OUTSIDE[number % len(OUTSIDE)]
    written = (place, quote(place, safe=""), "%2e%2e/" * 5 + "etc/passwd", place.replace("/", "%5c"))[number // 6 % 4]
    http = httpx.Client(timeout=LONGEST, follow_redirects=False)
    for route in (
        f"/gradio_api/file={written}",
        f"/gradio_api/file/{written}",
        f"/file={written}",
        f"/static/{written}",
    ):
        answer = http.get(address.rstrip("/") + route)
        if (answer.status_code == 200 and "<title>" not in answer.text) or any(word in answer.text for word in WORDS):
            return f"{route}{written}: {answer.status_code} {answer.text[:100]}"
    path = {"path": place or "x", "meta": {"_type": "gradio.FileData"}}
    return told(Visitor(address).call([path, 256, 0]))


def replayed(address: str, number: int) -> str | None:
    """Another page's session name: its private calls give nothing of its photograph."""
    http = httpx.Client(timeout=LONGEST)
    names = [item["api_name"] for item in http.get(address.rstrip("/") + "/config").json()["dependencies"]]
    index = number % len(names)
    body = {"data": [0.0, 0.0, 0.0, True, "Neutral"], "fn_index": index, "session_hash": f"guess{number}"}
    answer = http.post(f"{address.rstrip('/')}/gradio_api/queue/join", json=body)
    if answer.status_code >= 500 and any(word in answer.text for word in WORDS):
        return f"status {answer.status_code}: {answer.text[:200]}"
    return None


def fuzzed(address: str, number: int) -> str | None:
    """Bodies of any shape."""
    rng = random.Random(number)
    values: tuple[Any, ...] = (None, 1e308, -1, [], {}, "x" * 10_000, [[[]]], {"path": None}, True, "\0")
    kind = rng.randrange(4)
    visitor = Visitor(address)
    if kind == 0:
        return told(visitor.call([rng.choice(values) for _ in range(rng.randrange(6))]))
    if kind == 1:
        text = json.dumps({"data": [rng.choice(values)]}).encode()
        return told(visitor.call(None, text[: rng.randrange(len(text))] + rng.randbytes(rng.randrange(20))))
    if kind == 2:
        return told(visitor.call(None, json.dumps(rng.choice(values)).encode()))
    route = rng.choice(("/gradio_api/queue/data", "/gradio_api/info", "/gradio_api/heartbeat/x%00", "/gradio_api/x"))
    with visitor.http.stream("GET", address.rstrip("/") + route + f"?session_hash={quote('x' * 500)}") as answer:
        return None if answer.status_code != 500 else f"{route}: 500"


KINDS: dict[str, Callable[[str, int], str | None]] = {
    "photographs": good,
    "bad photographs": bad,
    "oversized bodies": oversized,
    "slow clients": slow,
    "files outside": outside,
    "replayed sessions": replayed,
    "fuzzed calls": fuzzed,
}


def files_below(folder: Path) -> list[Path]:
    """Photographs, results and all else that a server keeps of its visitors."""
    return [path for path in folder.rglob("*") if path.is_file()]


class Slowly:
    """Twenty slow clients beside all others."""

    def __init__(self, address: str, count: int) -> None:
        self.wrong: list[str] = []
        self.threads = [threading.Thread(target=self._one, args=(address, number)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def _one(self, address: str, number: int) -> None:
        try:
            reason = slow(address, number)
        except (OSError, httpx.HTTPError) as error:
            reason = f"{type(error).__name__}: {error}"
        if reason:
            self.wrong.append(reason)

    def join(self) -> list[str]:
        """What went wrong, when all have ended."""
        for thread in self.threads:
            thread.join()
        return self.wrong
