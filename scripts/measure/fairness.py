"""Whom ftim serves worse: scores by the tone of people's skin, as ``results/fairness.json`` and ``.md``.

    FTIM_DATA=... python -m scripts.measure.fairness           # after the benchmark; some minutes on 2 cores
    python -m scripts.measure.fairness --page                  # the page anew from the JSON

On rendered heads the tone is known. On photographs it is what ftim says of it, which is wrong by some degrees itself
(*ITA* of the rendered heads): groups of neighbouring tones mix. Nobody wrote down the sex or the age of these people,
and this script does not guess them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import tyro
from tqdm import tqdm

from benchmark.albedo.run import AlbedoResult
from benchmark.runner.provenance import provenance
from benchmark.runner.records import Result
from benchmark.tables.pages import RESULTS
from ftim.data import PhotoFile, load_frll, load_official_portraits
from ftim.errors import FaceError, FtimError
from ftim.metrics import load_facenet, load_lpips, lpips_distance, psnr
from ftim.metrics.colour import ITA_GROUPS, srgb_to_lab, typology_angle, typology_group
from ftim.metrics.facenet import cosine, face_embedding
from ftim.outputs import whole_file
from ftim.photo import read_photo
from ftim.pipeline import Pipeline
from ftim.regressors import landmark_error

FILE = RESULTS / "fairness.json"
LEAST = 3
"""Photographs, or people, below which a group says nothing."""
GROUPS = (("light", (0, 1)), ("intermediate and tan", (2, 3)), ("brown and dark", (4, 5)))
"""ITA groups two by two: photographs are too few for six."""
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Config:
    """Settings of ``scripts.measure.fairness``."""

    page: bool = False
    """Only write the page."""


def photographs() -> Iterator[tuple[str, PhotoFile]]:
    """Nobody of them was trained on."""
    for photo in load_frll().photos("validation").photos:
        yield "FRLL, 12 validation people", photo
    for photo in load_official_portraits("validation").photos:
        yield "official portraits, 39 for validation", photo


@torch.no_grad()
def measure() -> dict[str, Rows]:
    """Rows by set; own view from the texture, and from the albedo under the fitted light."""
    pipeline, lpips, facenet = Pipeline.build(), load_lpips(), load_facenet()
    found: dict[str, Rows] = {}
    for name, photo in tqdm(list(photographs()), unit="photo"):
        try:
            view = pipeline.view(read_photo(photo.path))
        except FaceError:
            found.setdefault(name, []).append({"name": photo.name, "group": None})
            continue
        texture = pipeline.complete(view)
        _, _, tone = pipeline.toned(texture, view)
        angle = float(typology_angle(srgb_to_lab(tone.mean.exp()))[0])
        row: dict[str, Any] = {"name": photo.name, "group": typology_group(angle)}
        row["fit error"] = float(landmark_error(pipeline.model, view.face, view.fit).mean())
        drawn = pipeline.draw_albedo(texture, view, "skin")
        mask = (drawn.mask > 0.5).float()
        row["relit PSNR"] = float(psnr(drawn.image, view.photo, mask))
        row["relit LPIPS"] = float(lpips_distance(lpips, drawn.overlay, view.photo))
        pair = (face_embedding(facenet, picture) for picture in (drawn.overlay, view.photo))
        row["relit cosine"] = float(cosine(*pair))
        row["seen"] = float(view.partial.visibility.mean())
        found.setdefault(name, []).append({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()})
    return found


def known_heads() -> Rows:
    """Of the albedo protocol."""
    rows = AlbedoResult.read(RESULTS / "rendered" / "ftim.json").rows
    names = {"tone": "dE with tone", "plain": "dE", "ita": "ITA error", "relit": "relit PSNR"}
    return [
        {"name": name, "group": row["group"]} | {title: row[key] for key, title in names.items()}
        for name, row in rows.items()
        if "reason" not in row
    ]


def other_views(photos: Rows) -> Rows:
    """FRLL's pairs of views, by the tone of their person's photographs (the middle one)."""
    tones: dict[str, list[int]] = {}
    for row in photos:
        if row["group"] is not None:
            tones.setdefault(row["name"].split("_")[0], []).append(row["group"])
    rows: Rows = []
    for pair in Result.read(RESULTS / "frll" / "ftim.json").rows:
        person = pair.name.split("_")[0]
        if pair.reason is None and person in tones and "unseen" in pair.scores:
            groups = sorted(tones[person])
            face, unseen = pair.scores["face"], pair.scores["unseen"]
            values = {"face PSNR": face.psnr, "face cosine": face.cosine, "unseen PSNR": unseen.psnr}
            rows.append({"name": pair.name, "group": groups[len(groups) // 2]} | values)
    return rows


def page(content: dict[str, Any]) -> str:
    """Markdown."""
    told = (__doc__ or "").split("\n\n")[2].replace("\n", " ").strip()
    parts = ["# Whom it serves worse", told, "Made from fairness.json."]
    for name, rows in content["sets"].items():
        parts.append(f"**{name}**\n\n" + table(rows))
    parts.append(
        "ITA groups: light above 41 degrees, intermediate and tan 10 to 41, brown and dark below 10. The largest gaps "
        "are those of the tone: where its network is not sure it answers with less than the whole difference from the "
        "mean, so that the palest skin becomes darker and the darkest paler. The fit does not look at tones. Errors in "
        "sRGB are smaller on dark skin because its values are: compare dE and cosine between groups, not PSNR."
    )
    return "\n\n".join(parts) + "\n"


def table(rows: Rows) -> str:
    """Means by group."""
    columns = [name for name in rows[-1] if name not in ("name", "group")]
    lines = ["| skin | n | " + " | ".join(columns) + " |", "|---|---:|" + "---:|" * len(columns)]
    for title, numbers in GROUPS:
        inside = [row for row in rows if row["group"] in numbers]
        cells = [f"{fmean(row[name] for row in inside):.3f}" if len(inside) >= LEAST else "–" for name in columns]
        lines.append(f"| {title} | {len(inside)} | " + " | ".join(cells) + " |")
    if missing := sum(row["group"] is None for row in rows):
        lines.append(f"\n{missing} without a usable face.")
    return "\n".join(lines)


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    config = tyro.cli(Config, description=__doc__)
    try:
        if not config.page:
            sets = {"Rendered heads, true tone": known_heads()} | measure()
            sets["FRLL, other views"] = other_views(sets["FRLL, 12 validation people"])
            about = provenance(torch.device("cpu"))
            write(FILE, json.dumps({"groups": ITA_GROUPS, "provenance": about, "sets": sets}, indent=1) + "\n")
        write(FILE.with_suffix(".md"), page(json.loads(FILE.read_text(encoding="utf-8"))))
    except (FtimError, OSError) as error:
        sys.exit(f"error: {error}")


def write(path: Path, text: str) -> None:
    """Through a temporary name."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
