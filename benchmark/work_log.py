"""The rows of an unfinished run: one line of JSON each, appended and flushed as they are made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmark.records import RecordError, Row
from ftim.outputs import whole_file


class WorkLog:
    """The file of one method: first the run's configuration, then batches of rows with their seconds.

    A batch is one line, so a killed run leaves whole batches, and a line cut short is dropped.
    """

    def __init__(self, path: Path, key: dict[str, Any], resume: bool) -> None:
        """Open, or begin anew unless ``resume``. ``key`` is whatever must be equal for rows to belong together.

        Raises ``RecordError`` when resuming a run of another key.
        """
        self.path = path
        self.rows: dict[str, Row] = {}
        self.seconds = {"shared": 0.0, "method": 0.0}
        lines = self._whole_lines() if resume and path.is_file() else []
        if lines and json.loads(lines[0]) != key:
            raise RecordError(f"{path} was left by a run of other code, data or options: run again without --resume")
        for line in lines[1:]:
            self._take(json.loads(line))
        if not lines:
            with whole_file(path) as temporary:
                temporary.write_text(json.dumps(key) + "\n", encoding="utf-8")

    def append(self, rows: list[Row], shared_seconds: float, method_seconds: float) -> None:
        """Add a batch; when this returns, the rows are on disk."""
        value = {
            "rows": [row.to_json() for row in rows],
            "shared": round(shared_seconds, 4),
            "method": round(method_seconds, 4),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(value)

    def has(self, names: list[str]) -> bool:
        """Whether all these rows are done."""
        return all(name in self.rows for name in names)

    def seconds_per_image(self) -> dict[str, float]:
        """Means over the rows."""
        return {part: round(total / max(1, len(self.rows)), 4) for part, total in self.seconds.items()}

    def _take(self, value: dict[str, Any]) -> None:
        for row in value["rows"]:
            self.rows[row["name"]] = Row.from_json(row)
        for part in self.seconds:
            self.seconds[part] += value[part]

    def _whole_lines(self) -> list[str]:
        """The lines that end; a last one without its end is cut off the file."""
        content = self.path.read_bytes()
        end = content.rfind(b"\n") + 1
        if end < len(content):
            with self.path.open("r+b") as file:
                file.truncate(end)
        return content[:end].decode().splitlines()
