"""Turn finished runs of ``benchmark/retrained/train.py`` into weights that ship: half precision, cards, curves.

    python -m scripts.publish.baselines runs/baselines/deca runs/baselines/deng
    python -m scripts.publish.baselines            # the cards anew, after the benchmark has made new results

The averaged weights go to benchmark/retrained/data/<method>.safetensors, the card beside them, the curve to
results/figures/training_<method>.png, its numbers, averaged over 20 steps, to results/training/<method>.csv. Where a
run went on from weights that shipped, the curve of the run before is kept under the same name with `_first` at its end.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from benchmark.retrained.basis import BASIS_PATH
from benchmark.retrained.basis import KIND as BASIS_KIND
from benchmark.retrained.build import BASELINES
from benchmark.retrained.training import TERMS
from benchmark.retrained.weights import KIND, baseline_path, history, save_baseline, total_steps
from benchmark.tables.pages import RESULTS
from ftim.assets import sha256_of
from ftim.errors import FtimError, TrainingError
from ftim.network_files import read_about, read_network
from ftim.outputs import whole_file
from ftim.training.checkpoint import Checkpoint
from ftim.training.log import draw_log, read_log
from scripts.publish.weights import scores, thinned

WHAT = {
    "deca": "The texture model of DECA (Feng et al. 2021): linear albedo and light regressed from the photograph, and "
    "a UV displacement that changes the shading.",
    "deng": "The texture model of Deng et al. 2019: linear albedo of 80 coefficients and light regressed from the "
    "photograph.",
    "chen": "The texture model of Chen et al. 2020: linear albedo, and a UV image-to-image network that adds a "
    "displacement and a residual of the albedo.",
    "tran": "The texture model of Tran et al. 2019: nonlinear decoders for albedo and shape, each a proxy and a "
    "residual.",
}
HARM = """## Who may be harmed

- A drawn face is no evidence of what a person looks like: never use it to identify anyone.
- Training people are mostly young adults of a few regions and members of one parliament; others get worse results.
- The encoder starts from an identity network that was trained on faces of public figures; its biases are in here.
"""


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.publish.baselines``."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Folders of finished runs; without any, only the cards are written."""


def publish(folder: Path) -> str:
    """Weights and curve of one run; its name. Raises ``TrainingError`` for a run that is not finished."""
    checkpoint = Checkpoint.read(folder / "checkpoint.pt")
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rows = read_log(folder / "log.csv", TERMS)
    later = about["detail_steps"] * (len(about["stages"]) - 1)
    steps = about["warm_steps"] + about["steps"] + later
    if checkpoint.step != steps:
        raise TrainingError(f"{folder} has {checkpoint.step} of {steps} steps: finish it first")
    name = str(about["name"])
    save_baseline(baseline_path(name), checkpoint.average, about | {"minutes": round(checkpoint.seconds / 60, 1)})
    draw_log(rows, RESULTS / "figures" / f"training_{name}.png", TERMS)
    with whole_file(RESULTS / "training" / f"{name}.csv") as temporary:
        temporary.write_text(thinned(rows, TERMS), encoding="utf-8")
    return name


def told(run: dict[str, Any]) -> str:
    """One run's steps, in words."""
    parts = []
    if run["warm_steps"]:
        parts.append(f"{run['warm_steps']} of {run['warm_batch']} pictures without drawing")
    if run["steps"]:
        parts.append(f"{run['steps']} of three pictures")
    parts += [f"{run['detail_steps']} in the stage `{stage}`" for stage in run["stages"][1:]]
    return f"{', '.join(parts)} ({run['minutes']} minutes, commit {run['commit'][:7]})"


def card(name: str) -> str:
    """The model card of shipped weights, from the file itself and the committed results."""
    path = baseline_path(name)
    file = read_network(path, KIND)
    training = file.about["training"]
    count = sum(value.numel() for value in file.tensors.values())
    data = "\n".join(f"- `{key}`: {value}" for key, value in training["licences"].items())
    steps = "; then from there ".join(told(run) for run in history(training))
    return f"""# {name}

{WHAT[name]} Re-implemented and retrained on the open head (source: *retrained*), a row of Table 1; not the authors'
code or weights. Made by `scripts/publish/baselines.py`; used by `benchmark/methods/registry.py`.

| | |
|---|---|
| file | `{path.name}`, {path.stat().st_size / 1e6:.1f} MB, float16, {count:,} parameters, sha256 `{sha256_of(path)}` |
| albedo basis | `{BASIS_PATH.name}`, sha256 `{training["basis"]}` |
| steps, seed | {steps}. {total_steps(training)} in all, seed {training["seed"]} |
| losses | docs/baselines.md |
| code | commit {training["commit"]} |
| weights averaged over | the last {1 / (1 - training["ema"]):.0f} steps or so (EMA {training["ema"]}) |

## Data

{training["triplets"]} triplets, {training["portraits"]} portraits; never CelebA, a validation person, a test portrait.

{data}

## Scores

{scores(name)}

## Limits

- Trained in minutes on about a thousand photographs; the authors' own networks saw hundreds of times as many. What this
  row measures is the texture model under equal conditions, not the best that its authors reached.
- Shape, pose and camera are the shared fit's.

{HARM}
Licence of the weights: CC BY 4.0, as the FRLL and webmorph photographs ask, with the credit of LICENSES.md.
"""


def basis_card() -> str:
    """The card of the albedo basis."""
    about = read_about(BASIS_PATH, BASIS_KIND)
    data = "\n".join(f"- `{key}`: {value}" for key, value in about["licences"].items())
    return f"""# albedo_basis

Mean and {about["components"]} principal components of facial albedo on the open head: the linear model of the baselines
`deca`, `deng` and `chen`. Made by `scripts/bake/albedo_basis.py`.

| | |
|---|---|
| file | `{BASIS_PATH.name}`, {BASIS_PATH.stat().st_size / 1e6:.1f} MB, float16, sha256 `{sha256_of(BASIS_PATH)}` |
| learnt from | {about["textures"]} textures of 256 x 256: {about["people"]} |
| completed by | FTIM, weights of sha256 `{about["completed by"]}` |
| variance held | {about["variance"]:.1%} |
| code | commit {about["commit"]} |

## Data

{data}

## Limits

- The textures were completed by FTIM from one photograph each: what was not seen is FTIM's guess.
- The light was taken out against one template, so most of a person's skin tone is in the light and not in the basis.

{HARM}
Licence: CC BY 4.0, as the FRLL and webmorph photographs ask, with the credit of LICENSES.md.
"""


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(Config, description=__doc__)
    try:
        for folder in config.runs:
            print(f"published {publish(folder)}")
        for name in BASELINES:
            if baseline_path(name).is_file():
                with whole_file(baseline_path(name).with_suffix(".md")) as temporary:
                    temporary.write_text(card(name), encoding="utf-8")
        with whole_file(BASIS_PATH.with_suffix(".md")) as temporary:
            temporary.write_text(basis_card(), encoding="utf-8")
    except (FtimError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
