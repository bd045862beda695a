"""Weights of the tone network that ship, and their model card.

python -m scripts.publish.tone FILE        # of ftim/training/tone_command.py
python -m scripts.publish.tone             # the card anew, after the benchmark has made new results
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from safetensors import safe_open

from benchmark.albedo.run import AlbedoResult
from benchmark.tables.pages import RESULTS
from ftim.assets import sha256_of
from ftim.data.frll import LICENCE
from ftim.errors import FtimError
from ftim.outputs import whole_file
from ftim.tone_network import TONE_PATH, load_tone


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.publish.tone``."""

    weights: Annotated[Path | None, tyro.conf.Positional] = None
    """A finished run's file."""


def card() -> str:
    """The model card, from the file itself and the committed results."""
    network = load_tone()
    with safe_open(str(TONE_PATH), framework="pt") as file:
        training = json.loads(file.metadata()["about"])["training"]
    count = sum(value.numel() for value in network.state_dict().values())
    size = f"{TONE_PATH.stat().st_size / 1e6:.1f} MB, {count:,} parameters"
    return f"""# tone

The network that tells the tone of a face's skin from all that its photograph shows (`ftim/tone_network.py`). Made by
`scripts/publish/tone.py`.

| | |
|---|---|
| file | `{TONE_PATH.name}`, {size}, sha256 `{sha256_of(TONE_PATH)}` |
| steps, seed | {training["steps"]} of 32 crops, {training["epochs"]} epochs, seed {training["seed"]} |
| code | commit {training.get("commit", "unknown")} |

## Data

{training["heads"]} rendered heads (docs/decisions.md, S38), whose skins are those of FRLL's 70 training people and
webmorph's 40, under 13 environment maps; and {training["real"]} crops of photographs of training people, most of them
under altered exposure and white balance. Never CelebA, a validation person, or a photograph of the tables.

- `frll-train`: {LICENCE}
- `official-portraits-train`: public domain in the United States (17 USC 105): official portraits of members of the
  United States Congress
- `webmorph`: CC BY 4.0; webmorphR.stim by Lisa DeBruine

## Scores

{scores()}

## Limits

- One photograph hardly tells skin from light. Where it tells nothing the answer is the mean of the training skins; the
  deviation beside it is smaller than the true error by a third on heads that were not trained on.
- Very light skin comes out darker than it is, very dark skin lighter: results/fairness.md.
- What real skin measures is a choice of ours (S32), as is how often each tone was shown. Of training portraits the
  photograph's own tone is taken to be true: the skin in an ordinary, well exposed photograph keeps about its colours.

## Who may be harmed

- People whose skin is far from the mean of the training skins get another tone than their own. Never take the answer
  for a measurement of a person, and never sort people by it.

Licence of the weights: CC BY 4.0, as the FRLL and webmorph photographs ask, with the credit of LICENSES.md.
"""


def scores() -> str:
    """Of the albedo protocol, beside the template's tone and the photograph's."""
    lines = ["| | dE (CIEDE2000) ↓ | ITA error ↓ | spread ↓ |", "|---|---:|---:|---:|"]
    for name, title in (("ftim", "told"), ("mirror", "the photograph's own colours"), ("mean", "one for everybody")):
        path = RESULTS / "rendered" / f"{name}.json"
        if path.is_file():
            summary = AlbedoResult.read(path).summary
            lines.append(f"| {title} | {summary['tone']:.2f} | {summary['ita']:.1f} | {summary['ita_spread']:.1f} |")
    title = "Median difference of the face's albedo, tone included, on 120 path-traced photographs:"
    return "\n".join([title, "", *lines])


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(Config, description=__doc__)
    try:
        if config.weights is not None:
            load_tone(config.weights)
            with whole_file(TONE_PATH) as temporary:
                temporary.write_bytes(config.weights.read_bytes())
        with whole_file(TONE_PATH.with_suffix(".md")) as temporary:
            temporary.write_text(card(), encoding="utf-8")
    except (FtimError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
