"""The albedo protocol: every method's albedo of each photograph, scored, written and told."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from benchmark.albedo.photographs import FOLDER, LICENCE, TrueHead, load_heads
from benchmark.albedo.scores import AlbedoScores, hidden_share, map_scores, small_face, summarise
from benchmark.methods import Method, build_method, choose_methods, note_of
from benchmark.methods.base import CompletionMethod
from benchmark.runner.provenance import data_hash, provenance
from ftim.completion.base import delight
from ftim.completion.fill import region_atlas
from ftim.device import choose_device
from ftim.errors import FaceError, FtimError
from ftim.filters import shrink
from ftim.metrics import load_lpips, psnr
from ftim.morphable.model import Region
from ftim.outputs import whole_file
from ftim.pipeline import Pipeline
from ftim.structures import Face, Texture, View
from ftim.tone import ToneMover, photographed_tone, with_tone

if TYPE_CHECKING:
    from lpips import LPIPS

NAME = "rendered"
SCHEMA = "albedo 1"
SIDE = 256
"""Of the maps that are compared."""


@dataclass(frozen=True)
class AlbedoResult:
    """One method's file."""

    method: str
    source: str
    note: str
    provenance: dict[str, Any]
    summary: dict[str, float | None]
    rows: dict[str, dict[str, Any]]
    """By photograph: its scores, or {"reason": why there are none}."""

    def write(self, path: Path) -> None:
        """As JSON."""
        with whole_file(path) as temporary:
            text = json.dumps({"schema": SCHEMA} | dataclasses.asdict(self), indent=1)
            temporary.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> AlbedoResult:
        """Raises ``FtimError`` for a file of another kind."""
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("schema", None) != SCHEMA:
            raise FtimError(f"{path} is no result of the albedo protocol")
        return cls(**values)


class AlbedoProtocol:
    """Scores albedos of the committed photographs."""

    def __init__(self, pipeline: Pipeline, network: LPIPS, heads: list[TrueHead]) -> None:
        self.pipeline, self.network, self.heads = pipeline, network, heads
        self.scale = pipeline.uv.size // SIDE
        regions = region_atlas(pipeline.model, pipeline.uv.atlas)
        face = (regions == int(Region.FACE)).float()[None, None]
        self.face = (shrink(face, self.scale) > 0.99).float()
        self.mover = ToneMover(pipeline.uv)
        by_head: dict[int, list[TrueHead]] = {}
        for head in heads:
            by_head.setdefault(head.head, []).append(head)
        self.others = {head.name: next((o for o in by_head[head.head] if o is not head), None) for head in heads}

    def views(self) -> dict[str, View | FaceError]:
        """Of all photographs, by name; shared by the methods."""
        found: dict[str, View | FaceError] = {}
        for head in tqdm(self.heads, desc="rendered photographs", unit="photo"):
            try:
                found[head.name] = self.pipeline.view(head.photo)
            except FaceError as error:
                found[head.name] = error
        return found

    @torch.no_grad()
    def score(self, method: Method, views: dict[str, View | FaceError]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Rows and summary of one method."""
        assert isinstance(method, CompletionMethod)
        rows: dict[str, Any] = {}
        scored: dict[str, AlbedoScores] = {}
        skins: dict[str, tuple[int, Tensor, Tensor]] = {}
        for head in tqdm(self.heads, desc=method.name, unit="photo"):
            view = views[head.name]
            if isinstance(view, FaceError):
                rows[head.name] = {"reason": f"{type(view).__name__}: {view}"}
                continue
            texture = method.complete(view)
            albedo = self.toned(method, texture, view)
            scored[head.name] = self._score(head, view, texture, albedo)
            skins[head.name] = (head.head, *small_face(albedo, self.face))
            rows[head.name] = {
                name: round(value, 5) if isinstance(value, float) else value
                for name, value in dataclasses.asdict(scored[head.name]).items()
            }
        return rows, summarise(scored, skins)

    def toned(self, method: CompletionMethod, texture: Texture, view: View) -> Tensor:
        """(1, 3, 256, 256) the albedo that a user gets: of FTIM with the tone that the network tells, of references
        with the photograph's own colours, of ``mean`` the template itself."""
        if method.name == "mean":
            whole = texture.albedo
        elif method.source == "reference":
            atlas = self.pipeline.uv.atlas
            shading = self.pipeline.uv.shading_at(view.fit, torch.arange(len(atlas.texel)))
            weight = view.partial.confidence.flatten()[atlas.texel]
            tone = photographed_tone(shading, weight)[None]
            whole = with_tone(texture, view.fit, tone, self.mover.teeth, self.mover.openings)[0].albedo
        else:
            whole = self.pipeline.toned(texture, view)[0].albedo
        return shrink(whole, self.scale).clamp(0, 1)

    def _score(self, head: TrueHead, view: View, texture: Texture, albedo: Tensor) -> AlbedoScores:
        seen = shrink(view.partial.visibility, self.scale)
        values = map_scores(albedo, head.albedo, self.face, seen, self.network)
        other = self.others[head.name]
        relit = None
        if other is not None:
            drawn = self.pipeline.image.draw_lit(albedo, other.fit, torch.zeros_like(other.skin).expand(-1, 3, -1, -1))
            photo = torch.from_numpy(other.photo).permute(2, 0, 1)[None].float() / 255
            relit = float(psnr(other.lit(drawn.image), photo, ((drawn.mask > 0.5) & (other.skin > 0.5)).float()))
        # Things in the map: what the fit sees at a texel, and whether that is the head.
        shown = self._lifted(head.skin, view)
        covers = self._lifted(head.covers, view)
        everything = self.pipeline.uv(view.photo, view.fit)
        thing = shrink(delight(everything.color, self.pipeline.uv.shading(view.fit)), self.scale)
        there = shrink(everything.visibility, self.scale)[0, 0] > 0.99
        hidden = there & (covers > 0.99) & (shown < 0.01) & (self.face[0, 0] > 0)
        share = hidden_share(shrink(texture.albedo, self.scale).clamp(0, 1), head.albedo, thing, hidden, self.face)
        given_up = None
        if texture.skin is not None:
            skin = shrink(texture.skin, self.scale)[0, 0]
            true = (seen[0, 0] > 0.99) & (shown > 0.99) & (self.face[0, 0] > 0)
            given_up = float((skin < 0.5)[true].float().mean()) if true.any() else None
        untouched, drawn_share = self._overlay(head, view, texture)
        rest = {"relit": relit, "hidden": share, "given_up": given_up, "untouched": untouched, "drawn": drawn_share}
        return AlbedoScores(**values, **rest)  # type: ignore[arg-type]

    def _lifted(self, mask: Tensor, view: View) -> Tensor:
        """(256, 256): a mask of the photograph as the fit takes it into the map."""
        crop = self._crop(mask, view.face)
        return shrink(self.pipeline.uv(crop.expand(-1, 3, -1, -1), view.fit).color[:, :1], self.scale)[0, 0]

    @staticmethod
    def _crop(mask: Tensor, face: Face) -> Tensor:
        """(1, 1, S, S) of a mask of the photograph (1, 1, H, W)."""
        scale, left, top = face.crop_to_photo[0].tolist()
        side, (height, width) = face.image.shape[-1], mask.shape[-2:]
        place = (torch.arange(side) + 0.5) * scale
        x, y = (place + left) / width * 2 - 1, (place + top) / height * 2 - 1
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]
        return F.grid_sample(mask, grid, mode="bilinear", align_corners=False)

    def _overlay(self, head: TrueHead, view: View, texture: Texture) -> tuple[float | None, float | None]:
        """``untouched`` and ``drawn``."""
        covered = self.pipeline.draw(texture, view, "skin").mask[0, 0] > 0.5
        whole = self.pipeline.draw(texture, view, "full").mask[0, 0] > 0.5
        skin, covers = (self._crop(mask, view.face)[0, 0] for mask in (head.skin, head.covers))
        things, bare = whole & (covers > 0.99) & (skin < 0.01), whole & (skin > 0.99)
        untouched = float((~covered)[things].float().mean()) if things.sum() > 30 else None
        return untouched, float(covered[bare].float().mean()) if bare.any() else None


def run_albedo(
    folder: Path, methods: str, device: str, limit: int | None, say: Callable[[str], None], heads: Path = FOLDER
) -> list[AlbedoResult]:
    """Score, and write ``<folder>/rendered/<method>.json``. Methods without an albedo map are left out, and said."""
    where = choose_device(device)
    pipeline = Pipeline.build(str(where))
    names = choose_methods(methods, lambda _: None)
    built = [build_method(name, pipeline) for name in names if _has_map(name)]
    if left := [name for name in names if not _has_map(name)]:
        say(f"The albedo protocol leaves out {', '.join(left)}: their albedo has no map of the whole head")
    true = load_heads(heads, limit)
    protocol = AlbedoProtocol(pipeline, load_lpips(device=where), true)
    views = protocol.views()
    about = provenance(torch.device(where)) | {
        "data": {
            "name": NAME, "licence": LICENCE, "photos": len(true),
            "sha256": data_hash(heads / "photo" / f"{head.name}.jpg" for head in true),
        }
    }  # fmt: skip
    results = []
    for method in built:
        rows, summary = protocol.score(method, views)
        results.append(AlbedoResult(method.name, method.source, note_of(method.name), about, summary, rows))
        results[-1].write(folder / NAME / f"{method.name}.json")
    return results


def _has_map(name: str) -> bool:
    from ftim.build import COMPLETIONS

    return name in COMPLETIONS
