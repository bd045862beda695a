"""Turn a finished run into weights that ship: half precision, a model card, and its training curve.

    python -m scripts.publish.weights runs/train/*
    python -m scripts.publish.weights --cards      # the cards anew, after the benchmark has made new results

The averaged weights of ``checkpoint.pt`` go to ftim/completion/data/<preset>.safetensors, the card beside them, the
curve to results/figures/training_<preset>.png, its numbers, averaged over 20 steps, to results/training/<preset>.csv.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from benchmark.methods.base import note_of
from benchmark.runner.provenance import commit
from benchmark.runner.records import Result
from benchmark.tables.pages import RESULTS
from ftim.assets import sha256_of
from ftim.completion.settings import settings_from_json
from ftim.completion.weights import SHIPPED, load_weights, save_weights, weights_path
from ftim.errors import FtimError, TrainingError
from ftim.outputs import whole_file
from ftim.training.checkpoint import Checkpoint
from ftim.training.log import TERMS, TRUTH_TERMS, columns, draw_log, read_log

CHUNK = 20
"""Steps that a line of the committed log averages."""
WHAT = {
    "ftim": "FTIM as this project has it, trained with all six losses.",
    "ftim_no_sym_mrf": "FTIM trained without the symmetry and ID-MRF losses: the second row of Table 2.",
    "image_to_image": "A plain encoder and decoder in the place of FTIM (no template, no parameters, no symmetric "
    "prior), trained with all six losses: the first row of Table 2.",
}
TABLES = (
    ("table1", "overlay", "CelebA, overlay, from the texture"),
    ("table1", "face", "CelebA, face, from the texture"),
    ("table1", "relit_face", "CelebA, face, albedo relit"),
    ("frll", "face", "FRLL cross-view, face"),
    ("frll", "unseen", "FRLL cross-view, unseen skin"),
)


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.publish.weights``."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Folders of finished runs."""
    cards: bool = False
    """Only write the cards of the shipped weights anew."""


def publish(folder: Path) -> str:
    """Weights and curve of one run; its name. Raises ``TrainingError`` for a run that is not finished."""
    checkpoint = Checkpoint.read(folder / "checkpoint.pt")
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if checkpoint.step != checkpoint.recorded["steps"]:
        raise TrainingError(f"{folder} has {checkpoint.step} of {checkpoint.recorded['steps']} steps: finish it first")
    settings = settings_from_json(checkpoint.recorded["form"])
    name = str(checkpoint.recorded["preset"])
    training = about | {"minutes": round(checkpoint.seconds / 60, 1), "commit": about.get("commit", commit())}
    save_weights(weights_path(name), checkpoint.average, settings, training)
    publish_curve(folder, name, checkpoint.recorded)
    return name


def publish_curve(folder: Path, name: str, recorded: dict[str, Any]) -> None:
    """Plot and numbers of a run's log, under a name."""
    terms = (*TERMS, *TRUTH_TERMS) if recorded.get("rendered_pictures") else TERMS
    rows = read_log(folder / "log.csv", terms)
    draw_log(rows, RESULTS / "figures" / f"training_{name}.png", terms)
    with whole_file(RESULTS / "training" / f"{name}.csv") as temporary:
        temporary.write_text(thinned(rows, terms), encoding="utf-8")


def thinned(rows: list[dict[str, str]], terms: tuple[str, ...] = TERMS) -> str:
    """CSV of means over ``CHUNK`` steps, each line at its last step."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(terms)[:-1])
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        means = []
        for column in (*terms, "gradient", "rate"):
            values = [float(row[column]) for row in part if row[column]]
            means.append(f"{sum(values) / len(values):.6g}" if values else "")
        writer.writerow([part[-1]["step"], *means])
    return text.getvalue()


def card(name: str) -> str:
    """The model card of shipped weights, from the file itself and the committed results."""
    path = weights_path(name)
    loaded = load_weights(path)
    training = loaded.training
    count = sum(value.numel() for value in loaded.network.state_dict().values())
    losses = ", ".join(f"{key} {value:g}" for key, value in training["losses"].items())
    form = ", ".join(f"{key} {value}" for key, value in training["form"].items())
    data = "\n".join(f"- `{key}`: {value}" for key, value in training["licences"].items())
    size = f"{path.stat().st_size / 1e6:.1f} MB, float16, {count:,} parameters"
    return f"""# {name}

{WHAT[name]} Made by `scripts/publish/weights.py`; loaded by `Pipeline.build().completion("{name}")`.

| | |
|---|---|
| file | `{path.name}`, {size}, sha256 `{sha256_of(path)}` |
| form | {form} |
| steps, seed | {before(training)}{training["steps"]} of three pictures each, {training["minutes"]} minutes, \
seed {training["seed"]} |
| losses | {losses}; structural share {training["structure"]:g} of the photometric loss |
| code | commit {training["commit"]} |
| weights averaged over | the last {1 / (1 - training["ema"]):.0f} steps or so (EMA {training["ema"]}) |

## Data

{training["triplets"]} triplets, {training["portraits"]} portraits{rendered(training)}{earlier(name)}; never CelebA, \
a validation person, or a photograph of the tables.

{data}

## Scores

{scores(name)}

Development looked at the 12 validation people while forms were compared; CelebA was never used for a choice.

## Limits

{limits(training)}
- Works on maps of 256; larger maps take their finest detail from the photograph itself.

## Who may be harmed

- A filled-in face is no evidence of what a person looks like: never use it to identify anyone.
- Training people are mostly young adults of a few regions and members of one parliament. Others, in particular people
  with darker skin, older people, and people with scars, vitiligo or asymmetric faces, may get a worse or a falsely
  even face.
- A head made from a photograph can be used to imitate a person: ask before you publish one.

Licence of the weights: CC BY 4.0, as the FRLL and webmorph photographs ask, with the credit of LICENSES.md.
"""


def rendered(training: dict[str, Any]) -> str:
    """The rendered heads that taught besides, if any did."""
    heads = training.get("rendered heads")
    return f", {heads['count']} rendered heads whose albedo is known (docs/decisions.md, S38)" if heads else ""


def limits(training: dict[str, Any]) -> str:
    """What these weights cannot do."""
    made_up = (
        "- What the camera did not see is made up from the face's other half, the template and the training people."
    )
    if training.get("rendered heads"):
        return f"""{made_up}
- Light was learnt from heads of 110 people's skins under 13 environment maps and lamps: strong gloss, hard shadow and
  coloured light are taken out in part. Skin has no light inside it there, and none that bounces from other skin.
- Things before the face were learnt as simple shapes. What is as broad and as smooth as skin may pass for it."""
    return f"""{made_up}
- Trained on faces turned by up to about 45 degrees in studio light, and portraits from the front. Steeper views, hard
  light, hands and hair over the face give poor fillings.
- The residual light is learnt from studio light without truth: hard shadow and gloss stay in the albedo in part. Its
  tone is the photograph's: a face in the shade gets darker skin."""


def earlier(name: str) -> str:
    """Whether the photographs are others than those that weights are made of now."""
    return f", *{note}* (LICENSES.md)" if (note := note_of(name)) else ""


def before(training: dict[str, Any]) -> str:
    """The steps of the run that this one started from."""
    if "steps before" not in training:
        return ""
    return f"{training['steps before']} of earlier runs, whose curves end in `_first` and so on, and from there "


def scores(name: str) -> str:
    """A table of the committed results, or a sentence where there are none yet."""
    lines = []
    for table, block, title in TABLES:
        path = RESULTS / table / f"{name}.json"
        if path.is_file():
            result = Result.read(path)
            mean = result.summary[block].mean
            cosine = "–" if mean.cosine is None else f"{mean.cosine:.4f}"
            lines.append(
                f"| {title} | {mean.l1:.4f} | {mean.psnr:.2f} | {mean.ssim:.4f} | {mean.lpips:.4f} | {cosine} |"
            )
    if not lines:
        return "Not measured yet: `python benchmark/run.py --table 2`."
    return "| | L1 ↓ | PSNR ↑ | SSIM ↑ | LPIPS ↓ | cosine ↑ |\n|---|---:|---:|---:|---:|---:|\n" + "\n".join(lines)


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(Config, description=__doc__)
    try:
        for folder in config.runs:
            print(f"published {publish(folder)}")
        for name in SHIPPED:
            with whole_file(weights_path(name).with_suffix(".md")) as temporary:
                temporary.write_text(card(name), encoding="utf-8")
    except (FtimError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
