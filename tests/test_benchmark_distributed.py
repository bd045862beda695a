"""Several processes make the same table as one; rows of any number of processes are gone on with by any other."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.runner.distributed import ALONE, PeerError, Processes, ProcessesError, joined
from benchmark.runner.records import RecordError, Result, Row
from benchmark.runner.work_log import WorkLog, log_files
from ftim.errors import DatasetError
from tests import distributed_run
from tests.fake_pipeline import FakePipeline, write_photo

ROOT = Path(__file__).resolve().parents[1]
DRIVER = str(ROOT / "tests" / "distributed_run.py")
BRIGHTNESS = (120, 90, 150, 60, 80, 200, 130, 140)
KEY = {"data": "00"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Nine photographs, in five batches of two, of which one has no face."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, brightness in enumerate(BRIGHTNESS):
        write_photo(folder / f"p{index}.png", brightness, index)
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "dark.png")
    return folder


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"} | more


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def start_two(*command: str) -> list[tuple[int, str]]:
    """Two processes as torchrun starts them, but left alone when one of them ends: exit statuses and stderr."""
    port = free_port()
    processes = [
        subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            env=environment(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1",
                            MASTER_PORT=port),
        )
        for rank in range(2)
    ]  # fmt: skip
    texts = [process.communicate(timeout=120)[1] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, texts, strict=True)]


def stable(result: Result) -> Result:
    """Without what differs between equal runs of different numbers of processes."""
    kept = {key: value for key, value in result.provenance.items() if key not in ("date", "processes", "threads")}
    return replace(result, provenance=kept, seconds_per_image={})


def read(results: Path) -> list[Result]:
    return [Result.read(results / "portraits" / f"{name}.json") for name in ("lighter", "same")]


def test_two_processes_one_killed_and_gone_on_with(tmp_path: Path, photos: Path, monkeypatch) -> None:
    """Killed in two processes; finished once by torchrun with two, once by one: always the rows of one process."""
    distributed_run.make_quick_and_steady(monkeypatch)
    whole = distributed_run.run(photos, tmp_path / "whole", False)
    assert whole[0].failures == {"NoFaceError": 1}
    assert whole[0].provenance["processes"] == 1

    two = tmp_path / "two"
    (first, said), (second, nothing) = start_two(DRIVER, str(photos), str(two), "killed")
    assert (first, second) == (1, -9)
    assert said.splitlines()[-1].startswith("error: another process of this run has ended before its time.")
    assert "--resume" in said
    assert nothing == ""
    work = two / ".work" / "portraits"
    assert {path.name for path in work.iterdir()} == {
        f"{method}.{rank}of2.jsonl" for method in ("lighter", "same") for rank in (0, 1)
    }
    one = tmp_path / "one"
    shutil.copytree(two, one)

    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", free_port()]
    finished = subprocess.run(
        [*command, DRIVER, str(photos), str(two), "--resume"], cwd=ROOT, env=environment(), capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("lighter: 8 of 9 scored") == 1, "the first process alone prints"
    results = read(two)
    assert [stable(a) for a in results] == [stable(b) for b in whole]
    assert results[0].provenance["processes"] == 2
    assert sum(len(path.read_text().splitlines()) - 1 for path in work.glob("same.*")) == 5, "no batch was repeated"

    pipeline = FakePipeline()
    left = {row.name for row in whole[1].rows} - set(WorkLog(one / ".work/portraits/same.jsonl", key(one), True).rows)
    assert 0 < len(left) < 9
    resumed = distributed_run.run(photos, one, True, pipeline)
    assert [stable(a) for a in resumed] == [stable(b) for b in whole]
    assert pipeline.detected == len(left)


def key(results: Path) -> dict[str, object]:
    """What the logs of a results folder say that they are of."""
    return json.loads((results / ".work/portraits/same.0of2.jsonl").read_text().splitlines()[0])


EXCHANGE = """
import sys
from benchmark.runner.distributed import joined
from ftim.errors import DatasetError, FtimError, OutputError

try:
    with joined() as processes:
        assert processes.gather(processes.rank * 10) == [0, 10]
        assert processes.from_first(lambda: {"rank": processes.rank}) == {"rank": 0}
        assert processes.part(range(5)) == [[0, 2, 4], [1, 3]][processes.rank]
        processes.wait()
        with processes.agreed():
            assert processes.count == 2
        if {alone} and processes.rank == 1:
            raise OutputError("the disk is full")
        with processes.agreed():
            raise DatasetError("there are no photographs")
except FtimError as error:
    sys.exit(f"error: {error}")
"""


def test_an_error_is_told_once() -> None:
    """One that all processes meet, by the first; one that the second meets while the first waits for it, by that."""
    (first, said), (second, silence) = start_two("-c", EXCHANGE.replace("{alone}", "False"))
    assert (first, second) == (1, 1)
    assert (said, silence) == ("error: there are no photographs\n", "")
    (first, silence), (second, said) = start_two("-c", EXCHANGE.replace("{alone}", "True"))
    assert (first, second) == (1, 1)
    assert (said, silence) == ("error: the disk is full\n", "")


def test_one_process_exchanges_nothing() -> None:
    with joined() as processes:
        assert processes is ALONE
    assert Processes.current() is ALONE
    assert ALONE.gather(3) == [3]
    assert ALONE.from_first(lambda: 4) == 4
    assert ALONE.part("abc") == ["a", "b", "c"]
    with pytest.raises(DatasetError), ALONE.agreed():
        raise DatasetError("none")
    assert issubclass(PeerError, Exception)


def test_each_process_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    assert Processes(3, 4, 1).take_device("auto") == torch.device("cuda", 1)
    assert taken == [torch.device("cuda", 1)]
    assert Processes(3, 4, 1).take_device("cuda:0") == torch.device("cuda", 0)
    assert Processes(3, 4, 1).take_device("cpu") == torch.device("cpu")
    assert ALONE.take_device("cuda") == torch.device("cuda")
    with pytest.raises(ProcessesError, match="cuda:0"):
        Processes(2, 4, 2).take_device("cuda")


def test_logs_of_all_processes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mean.jsonl"
    (tmp_path / "mean_of_all.0of2.jsonl").write_text("another method's\n")
    rows = {name: Row(name, "NoFaceError: none") for name in "abcd"}
    for rank, (count, names) in enumerate([(3, "ab"), (3, "c")]):
        log = WorkLog(path, KEY, True, Processes(rank, count))
        log.append([rows[name] for name in names], 1, 2)
    with (tmp_path / "mean.1of3.jsonl").open("a") as file:
        file.write('{"rows": [{"name": "d"')  # its process died while it wrote
    one = WorkLog(path, KEY, True)
    assert sorted(one.rows) == ["a", "b", "c"]
    one.append([rows["d"]], 1, 0)
    last = WorkLog(path, KEY, True, Processes(1, 2))
    assert last.in_order(list("dcba")) == tuple(rows[name] for name in "dcba")
    assert last.seconds_per_image() == {"shared": 0.75, "method": 1.0}
    with pytest.raises(RecordError, match="lacks 2 of 6 rows, the first e"):
        last.in_order(list("abcdef"))
    assert [file.name for file in log_files(path)] == [
        "mean.0of3.jsonl", "mean.1of2.jsonl", "mean.1of3.jsonl", "mean.jsonl",
    ]  # fmt: skip


def test_a_new_run_removes_the_logs_of_all_processes(tmp_path: Path) -> None:
    path = tmp_path / "mean.jsonl"
    WorkLog(path, KEY, True, Processes(1, 2)).append([Row("a", "NoFaceError: none")], 1, 2)
    with pytest.raises(RecordError, match="without --resume"):
        WorkLog(path, {"data": "11"}, True)
    other = tmp_path / "mean_2.1of2.jsonl"
    other.write_text("another method's\n")
    assert WorkLog(path, {"data": "11"}, False).rows == {}
    assert log_files(path) == [path]
    assert other.is_file()


def test_a_new_run_does_not_mix_with_one_of_more_processes(tmp_path: Path, photos: Path, monkeypatch) -> None:
    distributed_run.make_quick_and_steady(monkeypatch)
    work = tmp_path / "results" / ".work" / "portraits"
    wrong = WorkLog(work / "same.jsonl", KEY, True, Processes(1, 2))
    wrong.append([Row("dark", "NoFaceError: of another run")], 1, 2)
    with pytest.raises(RecordError, match="without --resume"):
        distributed_run.run(photos, tmp_path / "results", True)
    distributed_run.run(photos, tmp_path / "results", False)
    assert {path.name for path in work.iterdir()} == {"lighter.jsonl", "same.jsonl"}
    assert (tmp_path / "results" / ".work" / ".gitignore").read_text() == "*\n"
