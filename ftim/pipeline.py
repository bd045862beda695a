"""The whole path: photo -> Face -> Fit -> PartialTexture -> Texture -> Rendering."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, Self, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.build import (
    DEFAULT_COMPLETION,
    Regressor,
    RegressorName,
    SkinMaskName,
    build_completion,
    build_regressor,
    build_skin_mask,
)
from ftim.completion.base import Completion
from ftim.detector import FaceDetector, detect_face
from ftim.device import choose_device
from ftim.errors import FaceError, PhotoError, SettingsError
from ftim.face import CROP_SIZE, align, recut_in
from ftim.face_check import FaceCheck
from ftim.finder import FaceFinder, FoundFace
from ftim.identity import identity_distances
from ftim.merge import merge_views
from ftim.morphable import MorphableModel, load_open_head
from ftim.morphable.model import INSIDE_MOUTH, OPENINGS, Region
from ftim.morphable.template import load_template_albedo
from ftim.photo import Photograph
from ftim.photo_input import Photo, name_of, to_photograph
from ftim.reconstruction import Reconstruction
from ftim.regressors.landmarks import LandmarkRegressor
from ftim.render.image import ImageRenderer
from ftim.render.rasterizer import Rasterizer, default_rasterizer
from ftim.render.visibility import grow
from ftim.skin import SkinMask, skin_mask
from ftim.structures import Face, Fit, PartialTexture, Rendering, Texture
from ftim.tone import part_mask, skin_tone, with_tone
from ftim.uv import UvRenderer

TEXTURE_SIZE = 512
LARGEST_CROP = 1280
"""Pixels: crops of larger faces are reduced to it; the largest texture has no room for more."""
STAGES: tuple[str, ...] = (
    "finding the face", "fitting the head", "lifting the skin", "completing the texture", "drawing the head",
)  # fmt: skip
"""What ``Pipeline.reconstruct_together`` does, in order."""
MOUTH_RIM = 1.5
"""Pixels of a crop of ``CROP_SIZE`` around teeth and tongue that are the photograph's too: no fit of lips is exact."""
Cover = Literal["skin", "full"]
"""What an overlay draws over: the skin that the photograph shows, or all of the face with the hair, glasses and hands
before it."""
Tell = Callable[[str], None]
"""Is told each stage when it begins."""
MOST_VIEWS = 3
"""Left, front and right, as FTIM is trained."""


class Pipeline:
    """The stages with their models. Batches go through ``fit``, ``partial``, a completion, and ``draw_texture``."""

    def __init__(
        self,
        model: MorphableModel,
        template: Tensor,
        rasterizer: Rasterizer,
        size: int,
        texture_size: int,
        skin_mask: SkinMask = skin_mask,
        regressor: Regressor | None = None,
    ) -> None:
        """model and template (3, texture_size, texture_size) must be on one device; size is the crop's side.

        ``regressor`` fits this model; by default it is the landmark fit.
        """
        self.model = model
        self.template = template
        self.rasterizer = rasterizer
        self.size = size
        self.skin_mask = skin_mask
        self.detector = FaceDetector()
        self.regressor = regressor or LandmarkRegressor(model, rasterizer, template)
        self.uv = UvRenderer(model, rasterizer, texture_size)
        self.image = ImageRenderer(model, rasterizer)
        check = FaceCheck(self.image, template, self.detector.small_faces)
        self.finder = FaceFinder(self.detector, self.regressor, check, size, self.device)
        self._completions: dict[str, Completion] = {}

    @classmethod
    def build(
        cls,
        device: str = "cpu",
        size: int = CROP_SIZE,
        texture_size: int = TEXTURE_SIZE,
        skin: SkinMaskName = "embedded",
        regressor: RegressorName = "landmarks",
    ) -> Self:
        """The embedded default: open head, landmark fit, our template, the default rasteriser, skin by colour.

        ``skin="bisenet"`` finds skin with a network instead. Its weights are for non-commercial use; raises
        ``AssetError`` when you have not fetched them. ``regressor="deca"`` fits by DECA on FLAME, whose files are
        licensed to you (docs/official.md); raises ``OfficialFileError`` when they are missing or wrong, and
        ``SettingsError`` for a device that is not there (``choose_device``).
        """
        device = choose_device(device)
        model, template = load_open_head().to(device), load_template_albedo(texture_size).to(device)
        rasterizer = default_rasterizer()
        return cls(
            model,
            template,
            rasterizer,
            size,
            texture_size,
            build_skin_mask(skin, device),
            build_regressor(regressor, model, rasterizer, template),
        )

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.template.device

    def face(self, photo: np.ndarray, index: int = 0) -> Face:
        """The crop of one face of a photo (H, W, 3) uint8, turned upright; 0 is the largest. Raises ``FaceError``."""
        return align(*detect_face(photo, index, self.detector).upright(photo), self.size).to(self.device)

    @torch.no_grad()
    def fit(self, face: Face) -> tuple[Fit, Tensor]:
        """Fit each face by itself; returns the fit, its light measured on visible skin, and the skin (B, 1, S, S)."""
        return self._with_skin(face, self.regressor(face))

    @torch.no_grad()
    def fit_together(self, face: Face) -> tuple[Fit, Tensor]:
        """As ``fit`` for several photos of one person, who keeps one identity."""
        return self._with_skin(face, self.regressor.fit_together(face))

    def _with_skin(self, face: Face, fit: Fit) -> tuple[Fit, Tensor]:
        skin = self.skin_mask(face, fit, self.model, self.rasterizer) * face.valid
        return self.regressor.relight(face, fit, skin), skin

    @torch.no_grad()
    def partial(self, face: Face, fit: Fit, skin: Tensor) -> PartialTexture:
        """UV Render: what the camera saw of the skin."""
        return self.uv(face.image, fit, skin)

    @torch.no_grad()
    def draw_texture(self, texture: Texture, fit: Fit, face: Face, cover: Tensor | None = None) -> Rendering:
        """Image Render: the photograph's own view, drawn from the texture, laid over the crop inside the photograph.

        ``cover`` (B, 1, S, S) in [0, 1] says what of the crop may be covered; the whole drawn face when None.
        """
        return self.image.draw_lit(texture.texture, fit, face.image, _inside(face, cover))

    @torch.no_grad()
    def draw_albedo(self, texture: Texture, fit: Fit, face: Face, cover: Tensor | None = None) -> Rendering:
        """As ``draw_texture``, of the albedo under the fit's nine harmonics: any view, any light, any fit."""
        return self.image(texture.albedo, fit, face.image, _inside(face, cover))

    @torch.no_grad()
    def skin_cover(self, fit: Fit, skin: Tensor) -> Tensor:
        """(B, 1, S, S) what the overlay covers: the skin, without what an open mouth shows, which the photograph has
        better than any map; feathered by a pixel or two of a crop of ``CROP_SIZE``."""
        scale = skin.shape[-1] / CROP_SIZE
        mouth = grow(self.image.shows(fit, INSIDE_MOUTH), round(MOUTH_RIM * scale))
        rim = 2 * round(scale) + 1
        outside = F.avg_pool2d(1 - mouth, rim, stride=1, padding=rim // 2, count_include_pad=False)
        return skin * outside

    @torch.no_grad()
    def toned(self, texture: Texture, partial: PartialTexture, fit: Fit) -> tuple[Texture, Fit]:
        """The skin's tone in the albedo and no longer in the light, for files and other light (``ftim.tone``)."""
        teeth, openings = (part_mask(self.model, self.uv.atlas, part) for part in ((Region.TEETH,), OPENINGS))
        return with_tone(texture, fit, skin_tone(self.uv.shading(fit), partial, openings), teeth, openings)

    def completion(self, name: str) -> Completion:
        """A completion by its name, one of ``ftim.build.COMPLETIONS``, loaded once. Raises ``SettingsError`` for
        another."""
        if name not in self._completions:
            self._completions[name] = build_completion(name, self.uv, self.template)
        return self._completions[name]

    def sharpened(self, photo: Photograph, face: Face, fit: Fit, skin: Tensor) -> tuple[Face, Fit, Tensor]:
        """A face with its fit and skin at the resolution of its photograph, up to ``LARGEST_CROP``.

        A batch of one; never smaller than it was. What is unwrapped and drawn from it has the photograph's detail.
        """
        side = round(float(face.crop_to_photo[0, 0]) * face.image.shape[-1] * photo.reduction)
        side = min(max(side, face.image.shape[-1]), LARGEST_CROP)
        if side == face.image.shape[-1]:
            return face, fit, skin
        larger = F.interpolate(skin, (side, side), mode="bilinear", align_corners=False)
        return recut_in(photo, face, side), replace(fit, camera=fit.camera.resized(side, side)), larger

    def reconstruct(
        self,
        photo: Photo,
        completion: str = DEFAULT_COMPLETION,
        index: int = 0,
        cover: Cover = "skin",
        found: FoundFace | None = None,
    ) -> Reconstruction:
        """One photograph (see ``ftim.photo_input.Photo``) through the whole path, at its own resolution.

        ``found`` is a face that ``finder`` has found; ``photo`` and ``index`` are then not asked. Raises ``PhotoError``
        for a file that is no photograph, ``FaceError`` for one without a usable face.
        """
        faces = None if found is None else [found]
        return self.reconstruct_together([photo], completion, [index], cover=cover, found=faces)

    @torch.no_grad()
    def reconstruct_together(
        self,
        photos: Sequence[Photo],
        completion: str = DEFAULT_COMPLETION,
        indices: Sequence[int] | None = None,
        tell: Tell = lambda stage: None,
        cover: Cover = "skin",
        found: Sequence[FoundFace] | None = None,
    ) -> Reconstruction:
        """One to three photographs of one person, taken at one moment, into one texture.

        The first photograph's pose, expression and light are the result's; the others add the skin that they show.
        The result's albedo has the tone that the skin has in the photograph (``ftim.tone``).

        A photograph that shows the face on its side or on its head is turned first, and so are the results.
        ``tell`` is called with each of ``STAGES`` when it begins. ``cover`` says what the overlay is drawn over: the
        skin alone leaves hair, glasses and hands of the photograph where they are. ``found`` are faces that ``finder``
        has found, one a photograph; ``photos`` and ``indices`` are then not asked.

        Raises:
            SettingsError: no photograph, more than ``MOST_VIEWS``, or a ``completion`` or ``cover`` that there is not.
            PhotoError: a file that is no photograph. FaceError: one without a usable face. Of several photographs the
                error says which.
        """
        if not 1 <= len(photos) <= MOST_VIEWS:
            raise SettingsError(f"1 to {MOST_VIEWS} photographs of one person, got {len(photos)}")
        if cover not in get_args(Cover):
            raise SettingsError(f"cover is {' or '.join(get_args(Cover))}, not {cover!r}")
        complete = self.completion(completion)
        finding, fitting, lifting, completing, drawing = STAGES
        tell(finding)
        faces = []
        for place, (photo, index) in enumerate(zip(photos, indices or [0] * len(photos), strict=True)):
            with _photo_named(photo, place, len(photos)):
                faces.append(found[place] if found else self.finder.one(to_photograph(photo), index))
        tell(fitting)
        together = Face.concatenate([item.face for item in faces])
        apart_fit = Fit.concatenate([item.fit for item in faces])
        if len(faces) == 1:
            fit, skin = self._with_skin(together, apart_fit)
        else:
            fit, skin = self.fit_together(together)
        apart = identity_distances(self.model, apart_fit.identity) if len(faces) > 1 else ()
        tell(lifting)
        sharp = [self.sharpened(item.photo, item.face, fit[i], skin[i : i + 1]) for i, item in enumerate(faces)]
        partials = [self.partial(*view) for view in sharp]
        partial, (face, fit_of_first, skin_of_first) = partials[0], sharp[0]
        if len(faces) > 1:
            partial = merge_views(PartialTexture.concatenate(partials), self.uv.shading(fit), 0)
        tell(completing)
        texture = complete(partial, fit_of_first)
        tell(drawing)
        covered = self.skin_cover(fit_of_first, skin_of_first) if cover == "skin" else None
        rendering = self.draw_texture(texture, fit_of_first, face, covered)
        texture, own_fit = self.toned(texture, partials[0], fit_of_first)
        photo, least = faces[0].photo, min(item.confidence for item in faces)
        return Reconstruction(
            photo.pixels, face, own_fit, skin_of_first, partial, texture, rendering, self.model, together, apart,
            least, photo.turn, photo.reduction, photo.complete,
        )  # fmt: skip


@contextmanager
def _photo_named(photo: Photo, place: int, count: int) -> Iterator[None]:
    """Makes an error of one photograph of several say which it was."""
    try:
        yield
    except (PhotoError, FaceError) as error:
        if count == 1:
            raise
        name = name_of(photo)
        which = f" ({name})" if name and name not in str(error) else ""
        raise type(error)(f"photograph {place + 1} of {count}{which}: {error}") from error


def _inside(face: Face, cover: Tensor | None) -> Tensor:
    return face.valid if cover is None else face.valid * cover
