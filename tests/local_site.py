"""A web site with one file, on this machine, that can misbehave."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """A web site with one file."""

    content: bytes
    ranges: bool = True
    cut_after: int | None = None
    """Break off the connection after so many bytes, this once."""
    pause: float = 0.0
    """Seconds between pieces of a hundred bytes."""
    status: int = 200
    asked: list[str | None] = field(default_factory=list)
    """The Range header of each request."""
    url: str = ""


@contextlib.contextmanager
def serve(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            site.asked.append(wanted)
            if site.status != 200:
                self.send_error(site.status)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and site.ranges else 0
            body = site.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if site.cut_after is not None:
                body, site.cut_after = body[: site.cut_after], None
            with contextlib.suppress(ConnectionError):  # given up by the client
                while site.pause and body:
                    self.wfile.write(body[:100])
                    body = body[100:]
                    time.sleep(site.pause)
                self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/weights.bin"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
