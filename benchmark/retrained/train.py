"""Train a baseline on FTIM's training pictures.

    python -m benchmark.retrained.train --name deca --data ../data

Then ``python -m scripts.publish.baselines`` makes weights and cards of the finished runs.
"""

from __future__ import annotations

import json
import sys

import tyro

from benchmark.retrained.appearance import HeadPainter
from benchmark.retrained.basis import BASIS_PATH, SIDE, load_basis
from benchmark.retrained.config import BaselineConfig
from benchmark.retrained.lessons import warm_pictures
from benchmark.retrained.training import BaselineTrainer, School
from benchmark.retrained.weights import history, read_training
from benchmark.runner.provenance import commit
from ftim.assets import sha256_of
from ftim.completion.weights import weights_path
from ftim.errors import FtimError
from ftim.losses import LossWeights, load_loss_networks
from ftim.outputs import whole_file
from ftim.pipeline import Pipeline
from ftim.training.cache import ExampleCache
from ftim.training.cases import load_training_data
from ftim.training.config import TrainingConfig
from ftim.training.sampling import VIEWS, Sampler, pose_masks


def train_baseline(config: BaselineConfig, quiet: bool = False) -> BaselineTrainer:
    """A whole run on the CPU. Raises ``DatasetError``, ``AssetError``, ``TrainingError``, ``OutputError``."""
    pipeline = Pipeline.build(texture_size=SIDE)
    data = load_training_data(config.sources, config.data)
    cache = ExampleCache(config.cache, pipeline)
    skipped = cache.prepare(data.cases, quiet)
    triplets = [cache.read(case) for case in data.triplets if case.name not in skipped]
    portraits = [cache.read(case) for case in data.portraits if case.name not in skipped]
    masks = pose_masks(pipeline.uv, triplets[0].unpack().fit[VIEWS // 2])
    sampler = Sampler(triplets, portraits, masks, pipeline.model, TrainingConfig(seed=config.seed))
    networks = load_loss_networks(LossWeights())
    basis = load_basis()
    assert networks.facenet is not None
    warm = None
    if config.warm_steps:
        path = config.output / "warm_pictures.safetensors"
        warm = warm_pictures([*triplets, *portraits], pipeline, networks.facenet, basis, path)
    painter = HeadPainter(pipeline.uv, pipeline.image)
    trainer = BaselineTrainer(config, School(basis, painter, networks, sampler, warm), quiet)
    about = config.recorded() | {
        "stages": trainer.model.stages,
        "commit": commit(),
        "triplets": len(triplets),
        "portraits": len(portraits),
        "basis": sha256_of(BASIS_PATH),
        "completed by": sha256_of(weights_path("ftim")),
        "licences": data.licences,
    }
    if config.initial is not None:
        about["before"] = history(read_training(config.initial))
    with whole_file(config.folder / "config.json") as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    trainer.run()
    return trainer


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(BaselineConfig, description=__doc__)
    try:
        train_baseline(config)
    except (FtimError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
