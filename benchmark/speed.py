"""How long what you call takes: a photograph, many, the files of a result, the command line, and the parts of it.

    python benchmark/speed.py
    python benchmark/speed.py --threads 1 --stages "detect,fit"

Each thing runs several times after a warm-up that compiles the kernels; the median counts. A machine's clock and load
differ between days, so a time is also given in yardsticks, a fixed piece of PyTorch's work timed in the same run, and
these are compared with the published ones. PyTorch3D is measured where it can be imported. Without ``--publish`` the
result goes to results/local/speed/.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # started as a file, Python looks for modules beside it and not in the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    import ftim  # noqa: F401 - it says how PyTorch's threads wait, before PyTorch is imported

import torch
import tyro
from tqdm import tqdm

from benchmark.runner.provenance import ROOT, provenance
from benchmark.runner.records import write_text
from benchmark.timing.measure import YARDSTICK, Timing, in_yardsticks, measure
from benchmark.timing.processes import measure_processes
from benchmark.timing.stages import AIMS, RASTERISE, build_stages
from ftim.device import use_threads
from ftim.errors import FtimError, SettingsError
from ftim.pipeline import Pipeline
from ftim.render.pytorch3d_rasterizer import pytorch3d_available

PUBLISHED = ROOT / "results" / "speed.json"
LOCAL = ROOT / "results" / "local" / "speed" / "speed.json"


@dataclass(frozen=True)
class SpeedConfig:
    """What to time, and how."""

    threads: int = 2
    """CPU threads of torch."""
    texture_size: int = 512
    """Side of the texture in texels."""
    repeats: int = 15
    """Timed runs of a stage; the median counts. Slow stages stop after ``seconds``."""
    seconds: float = 20.0
    """No further runs of a stage begin after so long."""
    limit: int | None = None
    """Only so many photographs for ``reconstruct_many``."""
    device: str = "cpu"
    stages: str = "all"
    """all, or names separated by commas."""
    processes: bool = True
    """Time the command line as well."""
    publish: bool = False
    """Write results/speed.json, the maintainers' figures."""


def ratios(timings: list[Timing]) -> dict[str, float]:
    """How many times as long as ours each slow twin and each other rasteriser takes."""
    medians = {timing.name: timing.median for timing in timings}
    pairs = [(name, name.split(",")[0]) for name in medians if name.endswith((", slow twin", ", PyTorch3D"))]
    return {f"{name} / {ours}": round(medians[name] / medians[ours], 2) for name, ours in pairs if ours in medians}


def report(config: SpeedConfig, timings: list[Timing], processes: dict[str, float]) -> dict[str, Any]:
    """What is written: settings, provenance, milliseconds a photograph, ratios. No path of this machine."""
    rows = [
        {**asdict(timing), "median": round(timing.median, 3), "fastest": round(timing.fastest, 3)} for timing in timings
    ]
    return {
        "unit": "milliseconds a photograph",
        "settings": {name: value for name, value in asdict(config).items() if name != "publish"},
        "pytorch3d": pytorch3d_available(),
        "stages": rows,
        "yardsticks": in_yardsticks(timings),
        "ratios": ratios(timings),
        "command line": processes,
        "provenance": provenance(torch.device(config.device)),
    }


def run(config: SpeedConfig) -> dict[str, Any]:
    """Time the chosen stages and write the report. Raises ``FtimError``."""
    use_threads(config.threads)
    pipeline = Pipeline.build(config.device, texture_size=config.texture_size)
    stages = build_stages(pipeline, config.limit)
    names = [stage.name for stage in stages]
    chosen = names if config.stages == "all" else [YARDSTICK, *config.stages.split(",")]
    if unknown := set(chosen) - set(names):
        raise SettingsError(f"there is no stage {', '.join(sorted(unknown))}; choose among {'; '.join(names)}")
    bar = tqdm([stage for stage in stages if stage.name in chosen], unit="stage")
    timings = []
    for stage in bar:
        bar.set_description(stage.name)
        timings.append(measure(stage, config.repeats, config.seconds, config.device))
    result = report(config, timings, measure_processes() if config.processes else {})
    write_text(PUBLISHED if config.publish else LOCAL, json.dumps(result, indent=2) + "\n")
    return result


def table(result: dict[str, Any], published: dict[str, Any]) -> str:
    """For the terminal: each time, its aim, and by how much its yardsticks differ from the published ones."""
    before = published.get("yardsticks", {})
    lines = [f"{'milliseconds a photograph':52}{'median':>9}{'fastest':>9}"]
    for row in result["stages"]:
        name = row["name"]
        notes = [f"aim {AIMS[name]:g}"] if name in AIMS else []
        if before.get(name) and result["yardsticks"].get(name):
            notes.append(f"{result['yardsticks'][name] / before[name] - 1:+.0%} against the published")
        lines.append(f"{name:52}{row['median']:9.1f}{row['fastest']:9.1f}   {'; '.join(notes)}".rstrip())
    lines += [f"{name}: {ratio:.1f}" for name, ratio in result["ratios"].items()]
    lines += [f"ftim reconstruct, {name}: {value:g}" for name, value in result["command line"].items()]
    if not result["pytorch3d"]:
        lines.append(f"PyTorch3D is not installed: {RASTERISE} is not compared with it.")
    return "\n".join(lines)


def main() -> None:
    """Run and print; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(SpeedConfig, description=__doc__)
    published = json.loads(PUBLISHED.read_text(encoding="utf-8")) if PUBLISHED.is_file() else {}
    try:
        result = run(config)
    except FtimError as error:
        sys.exit(f"error: {error}")
    print(f"\n{config.threads} thread(s), {result['provenance']['device']}")
    print(table(result, published))


if __name__ == "__main__":
    main()
