"""A dressed head path-traced by Mitsuba 3 under an environment map and lamps: no picture of our own renderer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ftim.data.rendered.things import Thing
from ftim.extras import import_extra
from ftim.morphable.model import MorphableModel
from ftim.structures import Fit


@dataclass(frozen=True)
class Lamp:
    """A ball of light."""

    direction: np.ndarray
    """(3,) from the head, unit."""
    distance: float
    """Metres from the head."""
    radius: float
    irradiance: np.ndarray
    """(3,) on a surface of the head that faces it, times 1 / pi."""


@dataclass(frozen=True)
class Surface:
    """How skin shines: Mitsuba's principled BSDF."""

    roughness: float
    specular: float


def tracer() -> Any:
    """Mitsuba in its scalar variant, which every processor has. Raises ``MissingPackageError``."""
    mitsuba = import_extra("mitsuba", "render")
    mitsuba.set_variant("scalar_rgb")
    return mitsuba


def write_head(path: Path, model: MorphableModel, vertices: np.ndarray, normals: np.ndarray) -> None:
    """The head as OBJ with UVs, v up as that format has it."""
    uv = model.uv.numpy()
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
    lines += [f"vn {x:.5f} {y:.5f} {z:.5f}" for x, y, z in normals]
    lines += [f"vt {u:.6f} {1 - v:.6f}" for u, v in uv]
    pairs = zip(model.triangles.numpy() + 1, model.uv_triangles.numpy() + 1, strict=True)
    lines += ["f " + " ".join(f"{v}/{t}/{v}" for v, t in zip(*pair, strict=True)) for pair in pairs]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def write_thing(path: Path, vertices: np.ndarray, triangles: np.ndarray, colour: np.ndarray) -> None:
    """A mesh as PLY, with linear colours at its vertices."""
    names = ["x", "y", "z", "r", "g", "b"]
    rows = np.concatenate([vertices, colour], 1)
    head = ["ply", "format ascii 1.0", f"element vertex {len(rows)}"]
    head += [f"property float {name}" for name in names]
    head += [f"element face {len(triangles)}", "property list uchar int vertex_indices", "end_header"]
    body = [" ".join(f"{value:.6f}" for value in row) for row in rows]
    body += [f"3 {a} {b} {c}" for a, b, c in triangles]
    path.write_text("\n".join(head + body) + "\n", encoding="ascii")


def trace(
    model: MorphableModel, fit: Fit, albedo: np.ndarray, surface: Surface, things: list[Thing], sky: np.ndarray,
    lamps: list[Lamp], side: int, samples: int, seed: int, folder: Path,
) -> np.ndarray:  # fmt: skip
    """(side, side, 3) float32 linear radiance.

    Args:
        fit: batch of one, true geometry; its camera's focal length counts as a share of its side.
        albedo: (T, T, 3) linear. sky: (H, W, 3) radiance of the surroundings.
        folder: for the meshes.
    """
    mitsuba = tracer()
    rotation, translation = fit.rotation[0].numpy(), fit.translation[0].numpy()

    def placed(points: np.ndarray) -> np.ndarray:
        return points @ rotation.T + translation

    head = model.vertices(fit.identity, fit.expression)
    write_head(folder / "head.obj", model, placed(head[0].numpy()), model.normals(head)[0].numpy() @ rotation.T)
    bitmap = mitsuba.Bitmap(np.ascontiguousarray(albedo.astype(np.float32)))
    scene: dict[str, Any] = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 5},
        "sensor": {
            "type": "perspective",
            "fov": float(2 * np.rad2deg(np.arctan(fit.camera.width / 2 / float(fit.camera.focal)))),
            "to_world": mitsuba.ScalarTransform4f().look_at(origin=[0, 0, 0], target=[0, 0, -1], up=[0, 1, 0]),
            "film": {"type": "hdrfilm", "width": side, "height": side, "rfilter": {"type": "gaussian"}},
            "sampler": {"type": "independent", "sample_count": samples, "seed": seed},
        },
        "sky": {"type": "envmap", "bitmap": mitsuba.Bitmap(np.ascontiguousarray(sky.astype(np.float32)))},
        "head": {
            "type": "obj",
            "filename": str(folder / "head.obj"),
            "bsdf": {
                "type": "twosided",
                "bsdf": {
                    "type": "principled",
                    "base_color": {"type": "bitmap", "bitmap": bitmap, "raw": True},
                    "roughness": surface.roughness,
                    "specular": surface.specular,
                },
            },
        },
    }
    for number, thing in enumerate(things):
        path = folder / f"thing{number}.ply"
        write_thing(path, placed(thing.vertices), thing.triangles, thing.colour)
        scene[f"thing{number}"] = {
            "type": "ply",
            "filename": str(path),
            "bsdf": {
                "type": "twosided",
                "bsdf": {
                    "type": "principled",
                    "base_color": {"type": "mesh_attribute", "name": "vertex_color"},
                    "roughness": thing.roughness,
                    "specular": min(0.9, thing.reflectance / 0.08),
                },
            },
        }
    for number, lamp in enumerate(lamps):
        # A ball of radiance L and radius r at distance d gives the irradiance pi L (r / d)^2.
        radiance = lamp.irradiance * (lamp.distance / lamp.radius) ** 2
        scene[f"lamp{number}"] = {
            "type": "sphere",
            "center": [float(value) for value in translation + lamp.direction * lamp.distance],
            "radius": lamp.radius,
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": [float(v) for v in radiance]}},
        }
    picture = mitsuba.render(mitsuba.load_dict(scene), spp=samples, seed=seed)
    return np.nan_to_num(np.array(picture, dtype=np.float32)[..., :3]).clip(0, 1e3)
