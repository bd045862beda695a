"""What a run leaves to look at: a line a step as CSV, plotted as PNG, and for TensorBoard where asked."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from ftim.errors import OutputError, TrainingError
from ftim.extras import import_extra
from ftim.losses import LossTerms
from ftim.losses.truth import TruthTerms
from ftim.outputs import whole_file

TERMS = ("photometric", "uv_albedo", "identity", "id_mrf", "symmetry", "regularisation", "total")
"""FTIM's; another method's run names its own."""
TRUTH_TERMS = ("true_albedo", "true_detail", "true_perceptual", "true_skin", "true_total")
"""Of the rendered heads of a run that has some."""
SMOOTH = 50
"""Steps of the running mean that the plot shows."""


class TrainingLog:
    """``log.csv`` and ``log.png`` of a run's folder."""

    def __init__(self, folder: Path, done: int, tensorboard: bool = False, terms: tuple[str, ...] = TERMS) -> None:
        """Keeps the lines of the first ``done`` steps, drops later ones: they will be made again."""
        self.terms = terms
        self.path = folder / "log.csv"
        self.plot = folder / "log.png"
        kept = [row for row in read_log(self.path, terms) if int(row["step"]) <= done] if self.path.is_file() else []
        text = io.StringIO()
        writer = csv.DictWriter(text, columns(terms))
        writer.writeheader()
        writer.writerows(kept)
        with whole_file(self.path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")
        self._events = _event_writer(folder) if tensorboard else None

    def add(self, step: int, values: dict[str, float], gradient: float, rate: float, seconds: float) -> None:
        """One step. Raises ``OutputError`` on a full disk."""
        cells = [f"{values[name]:.9g}" if name in values else "" for name in self.terms]
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerow([step, *cells, f"{gradient:.6g}", f"{rate:.6g}", f"{seconds:.3f}"])
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror}. Make room there.") from error
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(f"loss/{name}", value, step)

    def draw(self) -> None:
        """Plot all terms so far."""
        draw_log(read_log(self.path, self.terms), self.plot, self.terms)


def loss_values(terms: LossTerms) -> dict[str, float]:
    """The losses of a step as numbers; those of weight 0 are absent."""
    values = {name: getattr(terms, name) for name in TERMS}
    return {name: float(value.detach()) for name, value in values.items() if value is not None}


def truth_values(terms: TruthTerms) -> dict[str, float]:
    """The losses of a step's rendered heads as numbers."""
    values = {name: getattr(terms, name.removeprefix("true_")) for name in TRUTH_TERMS}
    return {name: float(value.detach()) for name, value in values.items() if value is not None}


def columns(terms: tuple[str, ...] = TERMS) -> tuple[str, ...]:
    """Of the log of a run with these terms."""
    return ("step", *terms, "gradient", "rate", "seconds")


def read_log(path: Path, terms: tuple[str, ...] = TERMS) -> list[dict[str, str]]:
    """Rows by column. Raises ``TrainingError`` when the file is no log; a last line cut short is left out."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != columns(terms):
            raise TrainingError(f"{path} is not a log of this version. Move it away.")
        return [row for row in reader if None not in row.values() and row["step"].isdecimal() and row["seconds"]]


def draw_log(rows: list[dict[str, str]], path: Path, terms: tuple[str, ...] = TERMS) -> None:
    """One panel a loss: each step faint, the running mean over it."""
    import numpy as np

    agg, plot = (import_extra(f"matplotlib.{name}", "train") for name in ("backends.backend_agg", "figure"))

    names = [name for name in terms if any(row[name] for row in rows)]
    if not names:
        return
    lines = -(-len(names) // 4)
    figure = plot.Figure(figsize=(3.2 * 4, 2.4 * lines), layout="constrained")
    agg.FigureCanvasAgg(figure)
    for index, name in enumerate(names):
        axes = figure.add_subplot(lines, 4, index + 1)
        steps = np.array([int(row["step"]) for row in rows if row[name]])
        values = np.array([float(row[name]) for row in rows if row[name]])
        width = min(SMOOTH, len(values))
        axes.plot(steps, values, color="0.85", linewidth=0.5)
        axes.plot(steps[width - 1 :], np.convolve(values, np.ones(width) / width, "valid"), linewidth=1.2)
        top = float(np.quantile(values, 0.98))
        axes.set(title=name, xlabel="step", ylim=(0, top * 1.05 if top > 0 else 1))
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=90, metadata={"Software": None})


def _event_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainingError(
            "TensorBoard is not installed: pip install tensorboard, or leave --tensorboard away"
        ) from error
    return SummaryWriter(str(folder / "events"))
