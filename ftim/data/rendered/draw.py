"""Drawing a dressed head under lights: matt shading with cast shadow, gloss, and what is skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.data.rendered.light import Lights
from ftim.data.rendered.things import Lens, Thing, joined
from ftim.morphable.model import MorphableModel
from ftim.render.interpolate import interpolate
from ftim.render.rasterizer import Fragments, Rasterizer
from ftim.structures import Camera, Fit

SHADOW_SIDE = 256
REACH = 0.24
"""Metres around the head that shadow maps hold."""
BIAS = 0.003
"""Metres: surfaces nearer to each other do not shade each other."""
WRAP = (0.16, 0.07, 0.05)
"""How far light of each colour creeps around skin into shadow."""
TAPS = ((0.35, 0.1), (-0.2, 0.45), (0.1, -0.5), (-0.55, -0.3), (0.75, -0.55), (-0.7, 0.7), (0.6, 0.8), (-0.9, -0.75))


@dataclass(frozen=True)
class Drawing:
    """Pictures of one head, (H, W) and (H, W, 3), linear."""

    radiance: np.ndarray
    albedo: np.ndarray
    """Of the head alone, as if nothing were before it; 0 beside it."""
    skin: np.ndarray
    """In [0, 1]: how much of the pixel shows the head itself."""
    head: np.ndarray
    """In [0, 1]: how much of it the head would cover, with nothing before it."""


@dataclass(frozen=True)
class Skin:
    """How the head's own surface shines."""

    albedo: Tensor
    """(3, T, T) linear."""
    roughness: Tensor
    """(1, T, T)."""
    reflectance: Tensor
    """(1, T, T), at normal incidence."""
    bump: Tensor
    """(3, T, T) added to the normals."""


def draw_head(
    model: MorphableModel, rasterizer: Rasterizer, fit: Fit, skin: Skin, things: list[Thing], lenses: list[Lens],
    lights: Lights, background: np.ndarray,
) -> Drawing:  # fmt: skip
    """One head.

    Args:
        fit: batch of one; its light is not used, its camera is the picture's.
        background: (H, W, 3) linear.
    """
    camera = fit.camera
    vertices = model.vertices(fit.identity, fit.expression)
    normals = model.normals(vertices)
    rotation, translation = fit.rotation, fit.translation
    posed = vertices @ rotation.mT + translation[:, None]
    head_normals = normals @ rotation.mT
    own, count = model.triangles, len(model.triangles)
    head_only = rasterizer(camera.project(posed), own, camera.height, camera.width)

    points, triangles, colour, gloss, all_normals = posed[0], own, None, None, head_normals[0]
    if things:
        more, faces, tones, glossy = joined(things)
        other = torch.from_numpy(more) @ rotation[0].mT + translation[0]
        worn_triangles = torch.from_numpy(faces)
        triangles = torch.cat([own, worn_triangles + len(points)])
        all_normals = torch.cat([all_normals, vertex_normals(other, worn_triangles)])
        points = torch.cat([points, other])
        colour, gloss = torch.from_numpy(tones), torch.from_numpy(glossy)
    fragments = rasterizer(camera.project(points[None]), triangles, camera.height, camera.width)

    picture = torch.from_numpy(background.reshape(-1, 3).copy()).float()
    pixel = torch.nonzero(fragments.covered.flatten())[:, 0]
    face = fragments.face.flatten()[pixel]
    weights = fragments.barycentric.view(-1, 3)[pixel]
    corners = triangles[face]
    at = (points[corners] * weights[..., None]).sum(1)
    normal = F.normalize((all_normals[corners] * weights[..., None]).sum(1), dim=-1)
    is_head = face < count
    albedo, rough, reflectance = torch.zeros(len(pixel), 3), torch.zeros(len(pixel)), torch.zeros(len(pixel))
    uv = (model.uv[model.uv_triangles[face[is_head]]] * weights[is_head][..., None]).sum(1)
    maps = torch.cat([skin.albedo, skin.roughness, skin.reflectance, skin.bump])
    values = F.grid_sample(maps[None], uv[None, None] * 2 - 1, align_corners=False, padding_mode="border")[0, :, 0].T
    albedo[is_head], rough[is_head], reflectance[is_head] = values[:, :3], values[:, 3], values[:, 4]
    wet = model.openings[face[is_head]]
    normal[is_head] = F.normalize(normal[is_head] + values[:, 5:] * ~wet[:, None], dim=-1)
    rough[is_head] = torch.where(wet, 0.2, rough[is_head])
    if colour is not None and gloss is not None:
        start = len(posed[0])
        worn = corners[~is_head] - start
        albedo[~is_head] = (colour[worn] * weights[~is_head][..., None]).sum(1)
        shiny = gloss[worn[:, 0]]
        rough[~is_head], reflectance[~is_head] = shiny[:, 0], shiny[:, 1]
    view = F.normalize(-at, dim=-1)
    # What turns away from the camera is seen from behind: a sheet has two sides.
    normal = torch.where(
        (normal * view).sum(-1, keepdim=True) < 0, normal - 2 * (normal * view).sum(-1, keepdim=True) * view, normal
    )
    wrap = torch.tensor(WRAP) * is_head[:, None]
    matt, shine = shade_points(at, normal, view, rough, reflectance, wrap, lights, points, triangles, rasterizer)
    picture[pixel] = albedo * matt + shine
    bare = torch.zeros(camera.height * camera.width)
    bare[pixel] = is_head.float()

    shape = (camera.height, camera.width)
    radiance, shown = picture.view(*shape, 3), bare.view(shape)
    for lens in lenses:
        radiance, shown = look_through(lens, radiance, shown, fragments, fit, rasterizer, lights)
    whole = interpolate(head_only, model.uv[None], model.uv_triangles)
    plain = F.grid_sample(skin.albedo[None], whole.permute(0, 2, 3, 1) * 2 - 1, align_corners=False)[0]
    covers = head_only.covered[0].float()
    return Drawing(radiance.numpy(), (plain * covers).permute(1, 2, 0).numpy(), shown.numpy(), covers.numpy())


def vertex_normals(points: Tensor, triangles: Tensor) -> Tensor:
    """(N, 3), (M, 3) -> (N, 3) unit, area-weighted."""
    a, b, c = points[triangles].unbind(1)
    each = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(points)
    for corner in range(3):
        total.index_add_(0, triangles[:, corner], each)
    return F.normalize(total, dim=-1)


def shade_points(
    at: Tensor, normal: Tensor, view: Tensor, rough: Tensor, reflectance: Tensor, wrap: Tensor, lights: Lights,
    points: Tensor, triangles: Tensor, rasterizer: Rasterizer,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """What N surface points shine back: (N, 3) as a factor of their albedo, and (N, 3) as gloss.

    Gloss is GGX with Smith's visibility and Schlick's Fresnel term (Walter et al. 2007).

    Args:
        at, normal, view: (N, 3) in camera space. rough, reflectance: (N,). wrap: (N, 3).
        points, triangles: of all that casts shadow.
    """
    matt, shine = torch.zeros_like(at), torch.zeros_like(at)
    alpha = rough.square().clamp_min(0.02)
    facing = (normal * view).sum(-1).clamp_min(1e-3)
    centre = points[: len(points)].mean(0)
    middle = at.mean(0) if len(at) else centre
    directions, colours = torch.from_numpy(lights.directions), torch.from_numpy(lights.colour)
    frames = torch.stack([light_frame(direction) for direction in directions])
    flat = torch.einsum("lij,nj->lni", frames, points - middle)
    scale = SHADOW_SIDE / (2 * REACH)
    projected = torch.stack(
        [flat[..., 0] * scale + SHADOW_SIDE / 2, flat[..., 1] * scale + SHADOW_SIDE / 2, 5 - flat[..., 2]], -1
    )
    depths = rasterizer(projected, triangles, SHADOW_SIDE, SHADOW_SIDE).depth
    bounce = torch.zeros(3)
    for number, direction in enumerate(directions):
        cosine = (normal * direction).sum(-1)
        lit = torch.nonzero(cosine > -0.2)[:, 0]
        bounce += colours[number] * cosine.clamp_min(0).mean()
        if not len(lit):
            continue
        place = (at[lit] - middle) @ frames[number].T
        free = unshadowed(depths[number], place, cosine[lit], float(lights.blur[number]) * scale, scale)
        here = cosine[lit][:, None]
        soft = wrap[lit]
        diffuse = ((here + soft).clamp_min(0) / (1 + soft).square()) * free[:, None] * colours[number]
        matt.index_add_(0, lit, diffuse)
        front = torch.nonzero(cosine[lit] > 0)[:, 0]
        index = lit[front]
        half = F.normalize(view[index] + direction, dim=-1)
        nh = (normal[index] * half).sum(-1).clamp(0, 1)
        vh = (view[index] * half).sum(-1).clamp(0, 1)
        nl, nv, a = cosine[index], facing[index], alpha[index]
        spread = a.square() / (torch.pi * (nh.square() * (a.square() - 1) + 1).square())
        k = (rough[index] + 1).square() / 8
        masking = 0.25 / ((nl * (1 - k) + k) * (nv * (1 - k) + k))
        fresnel = reflectance[index] + (1 - reflectance[index]) * (1 - vh).pow(5)
        value = (spread * masking * fresnel * nl * free[front] * torch.pi)[:, None] * colours[number]
        shine.index_add_(0, index, value)
    return matt + 0.12 * bounce, shine


def light_frame(direction: Tensor) -> Tensor:
    """(3,) -> (3, 3) with rows right, up and towards the light."""
    helper = direction.new_tensor([0.0, 1.0, 0.0] if abs(float(direction[1])) < 0.9 else [1.0, 0.0, 0.0])
    right = F.normalize(torch.linalg.cross(helper, direction), dim=0)
    return torch.stack([right, torch.linalg.cross(direction, right), direction])


def unshadowed(depth: Tensor, place: Tensor, cosine: Tensor, blur: float, scale: float) -> Tensor:
    """(N,) in [0, 1]: how much of one light reaches points at ``place`` (N, 3) in its frame.

    Args:
        depth: (S, S) of the shadow map. blur: texels. scale: texels a metre.
    """
    side = depth.shape[0]
    own = 5 - place[:, 2]
    slope = ((1 - cosine.square()).clamp_min(0).sqrt() / cosine.clamp_min(0.2)).clamp(max=4)
    bias = BIAS + slope * (blur + 1) / scale * 0.6
    total = torch.zeros_like(own)
    for x, y in TAPS:
        column = (place[:, 0] * scale + side / 2 + x * blur).long().clamp(0, side - 1)
        row = (place[:, 1] * scale + side / 2 + y * blur).long().clamp(0, side - 1)
        total += (depth.view(-1)[row * side + column] + bias >= own).float()
    return total / len(TAPS)


def look_through(
    lens: Lens, radiance: Tensor, shown: Tensor, fragments: Fragments, fit: Fit, rasterizer: Rasterizer, lights: Lights
) -> tuple[Tensor, Tensor]:
    """The picture (H, W, 3) and its skin (H, W) with a lens before them."""
    camera: Camera = fit.camera
    points = torch.from_numpy(lens.vertices).float() @ fit.rotation[0].mT + fit.translation[0]
    triangles = torch.from_numpy(lens.triangles)
    seen = rasterizer(camera.project(points[None]), triangles, camera.height, camera.width)
    before = (seen.covered & (seen.depth < fragments.depth))[0]
    if not before.any():
        return radiance, shown
    weights = seen.barycentric[0][before]
    corners = triangles[seen.face[0][before]]
    normals = torch.from_numpy(lens.normals).float() @ fit.rotation[0].mT
    normal = F.normalize((normals[corners] * weights[..., None]).sum(1), dim=-1)
    at = (points[corners] * weights[..., None]).sum(1)
    view = F.normalize(-at, dim=-1)
    cosine = (normal * view).sum(-1, keepdim=True)
    mirrored = 2 * cosine * normal - view
    fresnel = lens.reflectance + (1 - lens.reflectance) * (1 - cosine.clamp(0, 1)).pow(5)
    glare = fresnel * torch.from_numpy(lights.look_up(mirrored.numpy()).astype(np.float32))
    tint = torch.from_numpy(np.asarray(lens.tint, np.float32))
    behind = radiance[before] * tint
    radiance, shown = radiance.clone(), shown.clone()
    radiance[before] = behind + glare
    clear = behind.sum(-1) / (behind + glare).sum(-1).clamp_min(1e-6)
    shown[before] = shown[before] * ((clear - 0.6) / 0.2).clamp(0, 1) * (float(tint.mean()) > 0.6)
    return radiance, shown
