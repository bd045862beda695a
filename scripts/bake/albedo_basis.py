"""Principal components of the completed, de-lit textures of the training people, for the linear baselines.

    python -m scripts.bake.albedo_basis --data ../data

One texture a person and expression: FTIM's albedo of the front view, and its mirror image. Needs the fits that
``ftim train`` keeps (it makes them when they are missing).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from benchmark.retrained.basis import BASIS_PATH, SIDE, AlbedoBasis, save_basis
from benchmark.runner.provenance import commit
from ftim.assets import sha256_of
from ftim.completion.weights import weights_path
from ftim.pipeline import Pipeline
from ftim.render.visibility import grow
from ftim.training.cache import ExampleCache
from ftim.training.cases import load_training_data

GROWN = 4
"""Texels around the drawn parts of the head that belong to the model too."""


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.bake.albedo_basis``."""

    data: Path | None = None
    """Folder with frll, webmorph and official_portraits; by default FTIM_DATA."""
    cache: Path = Path("runs/cache")
    """Where fits and partial textures are kept."""
    components: int = 80
    """As many as Deng's model has."""
    output: Path = BASIS_PATH


def drawn_texels(pipeline: Pipeline) -> Tensor:
    """(N,) the texels that the face is drawn with, and some around them that show the head too."""
    atlas = pipeline.uv.atlas
    drawn = pipeline.image.draws(atlas.face).float()
    shown = atlas.image(torch.ones_like(drawn)[None, :, None])
    return torch.nonzero((grow(atlas.image(drawn[None, :, None]), GROWN) * shown).flatten())[:, 0]


def main() -> None:
    """Complete, decompose, write."""
    config = tyro.cli(Config, description=__doc__)
    pipeline = Pipeline.build(texture_size=SIDE)
    data = load_training_data(("frll", "webmorph", "official"), config.data)
    cache = ExampleCache(config.cache, pipeline)
    skipped = cache.prepare(data.cases)
    complete, texel = pipeline.completion("ftim"), drawn_texels(pipeline)
    cases = [case for case in data.cases if case.name not in skipped]
    albedos = []
    for case in tqdm(cases, unit="case"):
        example = cache.read(case).unpack()
        front = example[len(example) // 2]
        with torch.no_grad():
            albedo = complete(front.partial, front.fit).albedo.clamp(0, 1)
        albedos += [item.flatten(2)[0][:, texel] for item in (albedo, albedo.flip(-1))]
    basis = AlbedoBasis.fit(torch.stack(albedos), pipeline.template, texel, config.components)
    total = torch.stack(albedos).var(0, correction=0).sum()
    share = float(basis.components.square().sum() / total)
    about = {
        "textures": len(albedos),
        "people": f"{', '.join(data.licences)}; each texture and its mirror image",
        "components": config.components,
        "variance": round(share, 4),
        "completed by": sha256_of(weights_path("ftim")),
        "commit": commit(),
        "licences": data.licences,
    }
    save_basis(basis, about, config.output)
    print(f"{len(albedos)} textures, {len(texel)} texels, {config.components} components: {share:.1%} of the variance")


if __name__ == "__main__":
    main()
