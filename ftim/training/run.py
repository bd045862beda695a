"""``ftim train``: data, cache, networks, and the loop."""

from __future__ import annotations

import json
import sys

from ftim.data.rendered.render import folder_digest
from ftim.device import choose_device
from ftim.errors import DatasetError, SettingsError
from ftim.losses import load_loss_networks
from ftim.outputs import whole_file
from ftim.pipeline import Pipeline
from ftim.provenance import code_commit
from ftim.training.cache import ExampleCache
from ftim.training.cases import load_training_data
from ftim.training.config import TrainingConfig
from ftim.training.initial import read_initial
from ftim.training.processes import join_processes
from ftim.training.rendered import RenderedLessons
from ftim.training.sampling import VIEWS, Sampler, pose_masks
from ftim.training.trainer import Stage, Trainer


def train(config: TrainingConfig, quiet: bool = False) -> Trainer:
    """A whole run; returns the trainer after its last step.

    Raises ``DatasetError``, ``AssetError``, ``CacheEntryError``, ``TrainingError``, ``OutputError``.
    """
    if (config.rendered_pictures > 0) != (config.rendered is not None):
        raise SettingsError("rendered heads need both --rendered FOLDER and --rendered-pictures, 1 or more")
    device = choose_device(config.device)
    data = load_training_data(config.sources, config.data, config.triplets)
    # Crops are cut and fitted on the CPU, so that a cache is the same wherever it was made.
    pipeline = Pipeline.build(texture_size=config.form.size, regressor=config.regressor)
    cache = ExampleCache(config.cache, pipeline)
    skipped = cache.prepare(data.cases, quiet)
    triplets = [cache.read(case) for case in data.triplets if case.name not in skipped]
    portraits = [cache.read(case) for case in data.portraits if case.name not in skipped]
    if not triplets:
        raise DatasetError("no triplet has a usable face in all three views: there is nothing to learn from")
    if skipped and not quiet:
        print(f"left out, no usable face: {', '.join(sorted(skipped))}", file=sys.stderr)
    if device != "cpu":
        pipeline = Pipeline.build(device, texture_size=config.form.size)
    front = triplets[0].unpack(device).fit[VIEWS // 2]
    masks = pose_masks(pipeline.uv, front)
    sampler = Sampler(triplets, portraits, masks.to("cpu"), pipeline.model, config, device)
    networks = load_loss_networks(config.losses, device)
    rendered = None
    if config.rendered is not None:
        rendered = RenderedLessons(config.rendered, config.rendered_pictures, config.seed, pipeline.uv)
    stage = Stage(pipeline.uv, pipeline.image, pipeline.template, networks, sampler, rendered)
    trainer = Trainer(config, stage, quiet)
    about = config.recorded() | {
        "commit": code_commit(),
        "triplets": len(triplets),
        "portraits": len(portraits),
        "skipped": skipped,
        "licences": data.licences,
    }
    if rendered is not None:
        assert config.rendered is not None
        about["rendered heads"] = {"count": len(rendered.files), "sha256": folder_digest(config.rendered)}
    if config.initial is not None:
        about["steps before"] = read_initial(config.initial).steps
    if join_processes()[0] == 0:
        with whole_file(config.folder / "config.json") as temporary:
            temporary.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    trainer.run()
    return trainer
