"""The state of a run on disk, its log and its previews."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from ftim.errors import OutputError, TrainingError
from ftim.losses import LossTerms
from ftim.training import preview
from ftim.training.checkpoint import Checkpoint
from ftim.training.log import TERMS, TrainingLog, columns, draw_log, loss_values, read_log
from ftim.training.preview import preview_sheet, write_sheet
from tests.tiny_training import FORM, SIDE, image_renderer, renderer, template, tiny_network, triplet

VALUES = {"photometric": 0.25, "total": 1 / 3}


def checkpoint(step: int = 3) -> Checkpoint:
    network = tiny_network(FORM, seed=step)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    return Checkpoint(step, "f" * 64, {"preset": "ftim"}, network.state_dict(), average, optimizer.state_dict(), 1.5)


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    written = checkpoint()
    written.write(tmp_path / "run" / "checkpoint.pt")
    read = Checkpoint.read(tmp_path / "run" / "checkpoint.pt")
    assert (read.step, read.fingerprint, read.recorded, read.seconds) == (3, "f" * 64, {"preset": "ftim"}, 1.5)
    for name, value in written.network.items():
        assert torch.equal(read.network[name], value) and torch.equal(read.average[name], written.average[name])
    ours, theirs = written.optimizer["state"], read.optimizer["state"]
    assert ours.keys() == theirs.keys() and len(ours) == len(written.network)
    assert all(torch.equal(ours[key][part], theirs[key][part]) for key in ours for part in ours[key])
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint.pt"]


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def hidden_reason(*_: object, **__: object) -> None:
    raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598\nmore")


SAVE = torch.save


def to_full_device(values: Any, _: Path) -> None:
    SAVE(values, "/dev/full")


@pytest.mark.parametrize(
    ("where", "failure"),
    [("torch.save", full), ("torch.save", hidden_reason), ("torch.save", to_full_device), ("os.replace", full)],
)
def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, where: str, failure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if failure is to_full_device and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    path = tmp_path / "checkpoint.pt"
    checkpoint(3).write(path)
    with monkeypatch.context() as broken:
        broken.setattr(where, failure)
        with pytest.raises(OutputError, match=r"checkpoint\.pt cannot be written.*Make room"):
            checkpoint(4).write(path)
    assert Checkpoint.read(path).step == 3
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_truncated_checkpoint_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint().write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(TrainingError, match=r"checkpoint\.pt cannot be read.*Delete it"):
        Checkpoint.read(path)


class Evil:
    """What a pickle could bring along."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, ("evil",)


def test_no_checkpoint_another_version_and_foreign_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(TrainingError, match=r"there is no checkpoint.*without --resume"):
        Checkpoint.read(path)
    values: list[object] = [[1, 2], {"step": 3}, vars(checkpoint()) | {"extra": 1}]
    for value in values:
        torch.save(value, path)
        with pytest.raises(TrainingError, match="not a checkpoint of this version"):
            Checkpoint.read(path)
    torch.save(vars(checkpoint()) | {"recorded": Evil()}, path)
    with pytest.raises(TrainingError, match="cannot be read"):
        Checkpoint.read(path)
    path.write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(TrainingError, match="cannot be read"):
        Checkpoint.read(path)
    assert not (tmp_path / "evil").exists()


# ---- log


def filled(folder: Path, steps: int) -> TrainingLog:
    log = TrainingLog(folder, 0)
    for step in range(1, steps + 1):
        log.add(step, VALUES, 0.5, 1e-3, 0.1)
    return log


def test_a_line_a_step(tmp_path: Path) -> None:
    rows = read_log(filled(tmp_path, 3).path)
    assert [row["step"] for row in rows] == ["1", "2", "3"] and tuple(rows[0]) == columns()
    assert float(rows[0]["total"]) == pytest.approx(1 / 3, rel=1e-8)
    assert rows[0]["identity"] == "", "a loss of weight 0 has no number"


@pytest.mark.parametrize("done", [0, 2, 3, 9])
def test_lines_after_the_checkpoint_are_dropped(tmp_path: Path, done: int) -> None:
    before = read_log(filled(tmp_path, 3).path)
    log = TrainingLog(tmp_path, done)
    assert read_log(log.path) == before[:done]
    log.add(done + 1, VALUES, 0.5, 1e-3, 0.1)
    assert [int(row["step"]) for row in read_log(log.path)] == [*range(1, min(done, 3) + 1), done + 1]


@pytest.mark.parametrize("cut", [1, 3, 8, 20, 30])
def test_a_last_line_cut_short_does_no_harm(tmp_path: Path, cut: int) -> None:
    """As a full disk leaves it; the line's step is after the checkpoint, so it is made again."""
    path = filled(tmp_path, 3).path
    text = path.read_bytes()
    path.write_bytes(text[:-cut])
    log = TrainingLog(tmp_path, 2)
    log.add(3, VALUES, 0.5, 1e-3, 0.1)
    assert path.read_bytes().replace(b"\r", b"") == text.replace(b"\r", b"")


def test_a_log_of_another_version_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(TrainingError, match=r"log\.csv is not a log of this version"):
        TrainingLog(tmp_path, 0)
    assert (tmp_path / "log.csv").read_text() == "step,loss\n1,2\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_named_by_the_log(tmp_path: Path) -> None:
    log = filled(tmp_path, 1)
    log.path.unlink()
    log.path.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"log\.csv cannot be written: No space left"):
        log.add(2, VALUES, 0.5, 1e-3, 0.1)


def test_values_are_those_of_computed_terms() -> None:
    terms = LossTerms(torch.tensor(0.25), None, None, None, torch.tensor(0.5), None, torch.tensor(0.375))
    assert loss_values(terms) == {"photometric": 0.25, "symmetry": 0.5, "total": 0.375}
    assert set(loss_values(replace(terms, identity=torch.tensor(1.0)))) < set(TERMS)


def test_plot(tmp_path: Path) -> None:
    log = filled(tmp_path, 3)
    log.draw()
    with Image.open(log.plot) as image:
        assert image.size == (1152, 216), "four losses fill one line"
    content = log.plot.read_bytes()
    log.draw()
    assert log.plot.read_bytes() == content
    draw_log([], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


# ---- preview


@torch.no_grad()
def test_preview_has_a_row_a_picture_and_all_poses_of_its_albedo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftim.completion import MeanCompletion

    monkeypatch.setattr(preview, "SIDE", SIDE)
    example = triplet(0).unpack()
    completion = MeanCompletion(renderer(), template())
    sheet = preview_sheet(example, completion, image_renderer())
    assert sheet.shape == (3, 3 * SIDE, 7 * SIDE)
    cells = sheet.view(3, 3, SIDE, 7, SIDE).permute(1, 3, 0, 2, 4)
    assert torch.equal(cells[:, 0], example.photo)
    assert torch.equal(cells[:, 1], example.partial.color)
    assert torch.equal(cells[1, 3], template())
    expected = image_renderer()(template()[None], example.fit[2], example.photo[2:]).overlay
    assert all(torch.equal(cells[row, 6], expected[0]) for row in range(3))
    write_sheet(sheet, tmp_path / "sheet.jpg")
    with Image.open(tmp_path / "sheet.jpg") as image:
        assert image.size == (7 * SIDE, 3 * SIDE)
