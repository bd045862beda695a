"""Figures from the JSON of the results alone."""

from __future__ import annotations

import warnings
from pathlib import Path

from benchmark.records import HEADINGS, METRICS, Result
from ftim.outputs import whole_file

BLOCK = "face"
"""Every protocol has it."""


def draw_distributions(results: list[Result], path: Path) -> None:
    """One panel a metric: the scores of all images in the face block, by method. Failures are left out."""
    import matplotlib as mpl
    import pandas as pd
    import seaborn as sns
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    frame = pd.DataFrame(
        [
            {"method": result.method, "metric": metric, "value": value}
            for result in results
            for row in result.rows
            if BLOCK in row.scores
            for metric in METRICS
            if (value := getattr(row.scores[BLOCK], metric)) is not None
        ],
        columns=["method", "metric", "value"],
    )
    methods = [result.method for result in results]
    # A figure of its own and no pyplot: nothing global is touched, and no display is needed.
    with mpl.rc_context({"font.size": 8}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="seaborn")  # its own use of matplotlib
        figure = Figure(figsize=(2.2 * len(METRICS), 0.6 + 0.5 * len(methods)), layout="constrained")
        FigureCanvasAgg(figure)
        for index, metric in enumerate(METRICS):
            axes = figure.add_subplot(1, len(METRICS), index + 1)
            part = frame[frame["metric"] == metric]
            if len(part):
                sns.boxplot(
                    part, x="value", y="method", order=methods, hue="method", hue_order=methods, legend=False,
                    fliersize=1.5, linewidth=0.8, width=0.6, palette="deep", ax=axes,
                )  # fmt: skip
            axes.set(xlabel=HEADINGS[metric], ylabel="")
            if index:
                axes.set_yticklabels([])
            sns.despine(ax=axes)
        with whole_file(path) as temporary:
            figure.savefig(temporary, dpi=120, metadata={"Software": None})
