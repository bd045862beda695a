"""Figures from the JSON of the results alone."""

from __future__ import annotations

import warnings
from pathlib import Path

from benchmark.runner.records import HEADINGS, METRICS, RELIT, Result
from benchmark.tables import table1
from benchmark.tables.pages import blocks_of
from ftim.outputs import whole_file

FACES = ("face", f"{RELIT}face")
"""Every protocol has one of them."""
COLOURS = {"official": "#CC78BC", "retrained": "#56B4E9", "reference": "#949494", "ours": "#D55E00"}
"""Of boxes, by source; from seaborn's palette for the colour-blind."""


def shown_blocks(results: list[Result]) -> list[str]:
    """The paper's comparison shows all of its blocks; other tables the face, as often as it was drawn."""
    return [block for block in blocks_of(results) if block in FACES or results[0].table == table1.NAME]


def label(block: str) -> str:
    """Of an axis."""
    return f"{block.removeprefix(RELIT)}, albedo relit" if block.startswith(RELIT) else block


def draw_distributions(results: list[Result], path: Path) -> None:
    """A line of panels a block, one a metric: the scores of all images by method. Failures are left out.

    A box holds the middle half of the images, its whiskers reach to 5 and 95 %, and every image beyond is a dot.
    """
    import matplotlib as mpl
    import pandas as pd
    import seaborn as sns
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    name = table1.display_name if results[0].table == table1.NAME else str
    names = [name(method) for method in table1.table_order(result.method for result in results)]
    by_name = {name(result.method): result for result in results}
    kinds = {method: result.source for method, result in by_name.items()}
    colours = {method: COLOURS[kind] for method, kind in kinds.items()}
    blocks = shown_blocks(results)
    shown = {block: [method for method in names if block in by_name[method].blocks] for block in blocks}
    frame = pd.DataFrame(
        [
            {"method": name(result.method), "block": block, "metric": metric, "value": value}
            for result in results
            for row in result.rows
            for block in blocks
            if block in row.scores
            for metric in METRICS
            if (value := getattr(row.scores[block], metric)) is not None
        ],
        columns=["method", "block", "metric", "value"],
    )
    metrics = [metric for metric in METRICS if metric in set(frame["metric"])] or list(METRICS)
    # A figure of its own and no pyplot: nothing global is touched, and no display is needed.
    with mpl.rc_context({"font.size": 8}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="seaborn")  # its own use of matplotlib
        heights = [0.6 + 0.28 * len(shown[block]) for block in blocks]
        figure = Figure(figsize=(2.2 * len(metrics), 0.3 + sum(heights)), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(blocks), len(metrics), squeeze=False, height_ratios=heights)
        for block, line in zip(blocks, panels, strict=True):
            for metric, axes in zip(metrics, line, strict=True):
                part = frame[(frame["block"] == block) & (frame["metric"] == metric)]
                if not len(part) and axes is not line[0]:  # a score that this block does not have
                    axes.set_axis_off()
                    continue
                if len(part):
                    sns.boxplot(
                        part, x="value", y="method", order=shown[block], hue="method", hue_order=shown[block],
                        legend=False, whis=(5, 95), linewidth=0.7, width=0.65, palette=colours, saturation=1, ax=axes,
                        flierprops={"marker": ".", "markersize": 1.5, "alpha": 0.4},
                    )  # fmt: skip
                axes.set(xlabel=HEADINGS[metric], ylabel=label(block) if axes is line[0] else "")
                if axes is not line[0]:
                    axes.set_yticklabels([])
                axes.grid(axis="x", linewidth=0.4, alpha=0.5)
                axes.set_axisbelow(True)
                sns.despine(ax=axes)
        handles = [Patch(color=COLOURS[kind], label=kind) for kind in COLOURS if kind in kinds.values()]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
        with whole_file(path) as temporary:
            figure.savefig(temporary, dpi=120, metadata={"Software": None})
