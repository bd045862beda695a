"""The rows of an unfinished run: one line of JSON each, appended and flushed as they are made."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from benchmark.runner.distributed import ALONE, Processes
from benchmark.runner.records import RecordError, Row
from ftim.outputs import whole_file


class WorkLog:
    """The files of one method: first the run's configuration, then batches of rows with their seconds.

    A process alone writes ``<method>.jsonl``; one of several writes ``<method>.<rank>of<count>.jsonl``. All of them
    are read, also those that an earlier run of another number of processes has left. A batch is one line, so a killed
    run leaves whole batches, and a line cut short is dropped.
    """

    def __init__(self, path: Path, key: dict[str, Any], resume: bool, processes: Processes = ALONE) -> None:
        """Open, or begin anew unless ``resume``. ``key`` is whatever must be equal for rows to belong together.

        ``path`` is ``<method>.jsonl``. Of several processes, one removes what is old (``remove_logs``); then all
        resume, and none appends before all have read. Raises ``RecordError`` when resuming a run of another key.
        """
        self.path = path if processes.count == 1 else _of_process(path, processes)
        self.rows: dict[str, Row] = {}
        self.seconds = {"shared": 0.0, "method": 0.0}
        if not resume:
            remove_logs(path)
        for file in log_files(path):
            header, *batches = _whole_lines(file, cut=file == self.path) or [json.dumps(key)]
            if json.loads(header) != key:
                raise RecordError(
                    f"{file} was left by a run of other code, data or options: run again without --resume"
                )
            for line in batches:
                self._take(json.loads(line))
        if not (self.path.is_file() and self.path.stat().st_size):
            with whole_file(self.path) as temporary:
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

    def in_order(self, names: list[str]) -> tuple[Row, ...]:
        """All rows of a run. Raises ``RecordError`` when some are missing."""
        missing = [name for name in names if name not in self.rows]
        if missing:
            raise RecordError(
                f"{self.path.parent} lacks {len(missing)} of {len(names)} rows, the first {missing[0]}: all processes "
                "of a run must write to one folder; run again with --resume"
            )
        return tuple(self.rows[name] for name in names)

    def seconds_per_image(self) -> dict[str, float]:
        """Means over the rows of all processes."""
        return {part: round(total / max(1, len(self.rows)), 4) for part, total in self.seconds.items()}

    def _take(self, value: dict[str, Any]) -> None:
        for row in value["rows"]:
            self.rows[row["name"]] = Row.from_json(row)
        for part in self.seconds:
            self.seconds[part] += value[part]


def log_files(path: Path) -> list[Path]:
    """The files of all processes of all runs of the method whose own file is ``path``."""
    of_method = re.compile(rf"{re.escape(path.stem)}(\.\d+of\d+)?{re.escape(path.suffix)}")
    if not path.parent.is_dir():
        return []
    return sorted(file for file in path.parent.iterdir() if of_method.fullmatch(file.name))


def remove_logs(path: Path) -> None:
    """Begin a method anew, whatever the number of processes that were at it."""
    for file in log_files(path):
        file.unlink()


def _of_process(path: Path, processes: Processes) -> Path:
    return path.with_name(f"{path.stem}.{processes.rank}of{processes.count}{path.suffix}")


def _whole_lines(path: Path, cut: bool) -> list[str]:
    """The lines that end. A last one without its end is cut off the file if it will be appended to."""
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if cut and end < len(content):
        with path.open("r+b") as file:
            file.truncate(end)
    return content[:end].decode().splitlines()
