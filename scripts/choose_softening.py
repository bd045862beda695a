"""How far the gains of detail are lowered after training, measured cross-view on training people.

    FTIM_DATA=... python scripts/choose_softening.py runs/train2/ftim     # writes results/softening.json

L_mrf asks for detail. Detail from the other half of the face that lies a texel beside its place costs PSNR and SSIM
more than it brings in LPIPS, and maps larger than the network's own add more of it. So the logits of the gains are
lowered: by the largest of ``AMOUNTS`` at which unseen skin still has a lower LPIPS than mirroring gives (docs/paper.md,
S28). Then those of seen skin: by the largest of ``SEEN_AMOUNTS`` at which the whole face has a lower one (S30).
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import tyro

from benchmark.evaluate import Evaluation
from benchmark.forms import averaged
from benchmark.methods import Method, build_method
from benchmark.protocols import CrossViewProtocol
from benchmark.provenance import provenance
from benchmark.scoring import Scorer
from benchmark.work_log import WorkLog
from ftim.data import load_frll
from ftim.errors import FtimError
from ftim.outputs import whole_file
from ftim.pipeline import Pipeline
from ftim.training.checkpoint import Checkpoint
from ftim.training.initial import softened

AMOUNTS = (0.0, 0.5, 1.0, 1.5)
SEEN_AMOUNTS = (0.0, 1.0, 2.0, 3.0)
SAMPLE = slice(3, 60, 8)
"""Of the training people, eight."""
METRICS = ("psnr", "ssim", "lpips")


@dataclass(frozen=True)
class Config:
    """Settings of ``choose_softening.py``."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a finished run of ``ftim train``."""
    data: Path | None = None
    """Folder of the Face Research Lab London Set; by default under FTIM_DATA."""
    limit: int | None = None
    """Only the first so many triplets."""
    json: Path = Path("results/softening.json")


def name_of(amount: float, seen: float = 0.0) -> str:
    """Of a method."""
    return f"softened-{amount:g}-{seen:g}"


def choose(scores: dict[str, dict[str, float]]) -> float:
    """The largest amount that keeps LPIPS below that of ``mirror``; 0 when none does."""
    good = [amount for amount in AMOUNTS if scores[name_of(amount)]["lpips"] < scores["mirror"]["lpips"]]
    return max(good, default=0.0)


def choose_seen(scores: dict[str, dict[str, float]], amount: float) -> float:
    """The same for seen skin, whose scores are those of the whole face."""
    least = scores["mirror"]["lpips"]
    return max((seen for seen in SEEN_AMOUNTS if scores[name_of(amount, seen)]["lpips"] < least), default=0.0)


def run(config: Config) -> dict[str, Any]:
    """Measure and write. Raises ``FtimError``."""
    frll = load_frll(config.data)
    people = frll.people("train")[SAMPLE]
    pipeline = Pipeline.build()
    scorer = Scorer.build(torch.device("cpu"))
    checkpoint = Checkpoint.read(config.run / "checkpoint.pt")
    protocol = CrossViewProtocol(frll, people, pipeline, scorer, config.limit)

    def measure(names: tuple[str, ...], pairs: list[tuple[float, float]]) -> dict[str, WorkLog]:
        methods: list[Method] = [build_method(name, pipeline) for name in names]
        for amount, seen in pairs:
            changed = replace(checkpoint, average=softened(checkpoint.average, amount, seen))
            methods.append(replace(averaged(changed, pipeline), name=name_of(amount, seen)))
        with tempfile.TemporaryDirectory() as folder:
            logs = {m.name: WorkLog(Path(folder) / f"{m.name}.jsonl", {"method": m.name}, False) for m in methods}
            Evaluation(pipeline, protocol, scorer, methods, logs, None, 1).run()
        return logs

    logs = measure(("mean", "mirror"), [(amount, 0.0) for amount in AMOUNTS])
    chosen = choose({name: means(log, "unseen") for name, log in logs.items()})
    logs |= measure((), [(chosen, seen) for seen in SEEN_AMOUNTS if seen])
    unseen, face = ({name: means(log, block) for name, log in logs.items()} for block in ("unseen", "face"))
    report = {
        "people": list(people),
        "unseen skin": unseen,
        "face": face,
        "chosen": chosen,
        "chosen for seen skin": choose_seen(face, chosen),
        "provenance": provenance(torch.device("cpu")),
    }
    with whole_file(config.json) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def means(log: WorkLog, block: str) -> dict[str, float]:
    """Of a block, over all pairs that have it."""
    found = [row.scores[block] for row in log.rows.values() if block in row.scores]
    return {metric: round(fmean(getattr(scores, metric) for scores in found), 4) for metric in METRICS}


def main() -> None:
    """Run and print; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(Config, description=__doc__)
    try:
        report = run(config)
    except FtimError as error:
        sys.exit(f"error: {error}")
    for block in ("unseen skin", "face"):
        print(block)
        for name, scores in report[block].items():
            print(f"  {name:16}" + "".join(f"{metric} {value:8.4f}   " for metric, value in scores.items()))
    print(f"chosen: {report['chosen']:g}, {report['chosen for seen skin']:g}; written to {config.json}")


if __name__ == "__main__":
    main()
