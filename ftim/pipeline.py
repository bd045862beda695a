"""The whole path: photo -> View (Face, Fit, skin, PartialTexture) -> Texture -> Rendering."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Self, get_args

import numpy as np
import torch
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
from ftim.errors import FtimError, SettingsError
from ftim.face import CROP_SIZE, align
from ftim.face_check import FaceCheck
from ftim.finder import FaceFinder, FoundFace
from ftim.identity import identity_distances
from ftim.many import in_order
from ftim.merge import merge_views
from ftim.morphable import MorphableModel, load_open_head
from ftim.morphable.template import load_template_albedo
from ftim.overlay import Cover, draw_albedo, draw_overlay
from ftim.photo import Photograph
from ftim.photo_input import Photo, photo_named, to_photograph
from ftim.reconstruction import Reconstruction
from ftim.regressors.landmarks import LandmarkRegressor
from ftim.render.image import ImageRenderer
from ftim.render.rasterizer import Rasterizer, default_rasterizer
from ftim.render.surface import RasterizedHead, rasterize_head
from ftim.sharp import sharpened
from ftim.skin import SkinMask, skin_mask
from ftim.structures import Face, Fit, PartialTexture, Rendering, Texture, View
from ftim.tone import ToneMover
from ftim.tone_network import Tone
from ftim.uv import UvRenderer

TEXTURE_SIZE = 512
STAGES = ("finding the face", "fitting the head", "lifting the skin", "completing the texture")
"""What ``Pipeline.reconstruct_together`` does, in order."""
Tell = Callable[[str], None]
"""Is told each stage when it begins."""
MOST_VIEWS = 3
"""Left, front and right, as FTIM is trained."""


class Pipeline:
    """The stages with their models: ``view``, ``complete``, ``draw``. Batches of crops begin with ``views``.

    The same photograph gives the same result on the same processor with the same number of threads; elsewhere values
    differ in their last bits, and by less than a step of 8 bits where a processor has bfloat16 (``ftim.device``). One
    pipeline may be called from several threads at once.

    >>> import ftim
    >>> pipeline = ftim.Pipeline.build(texture_size=256)
    >>> view = pipeline.view(photo)
    >>> texture = pipeline.complete(view)
    >>> tuple(pipeline.draw(texture, view).overlay.shape) == tuple(view.photo.shape)
    True
    """

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
        self._toned = ToneMover(self.uv)

    @classmethod
    def build(
        cls,
        device: str = "auto",
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
        mask, fitter = build_skin_mask(skin, device), build_regressor(regressor, model, rasterizer, template)
        return cls(model, template, rasterizer, size, texture_size, mask, fitter)

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.template.device

    def face(self, photo: np.ndarray, index: int = 0) -> Face:
        """The crop of one face of a photo (H, W, 3) uint8, turned upright; 0 is the largest. Raises ``FaceError``."""
        return align(*detect_face(photo, index, self.detector).upright(photo), self.size).to(self.device)

    @torch.no_grad()
    def views(self, face: Face, together: bool = False) -> View:
        """Crops fitted, their skin found and unwrapped, at the crops' resolution: a batch of B.

        ``together`` says that they are of one person, who keeps one identity.
        """
        fit = self.regressor.fit_together(face) if together else self.regressor(face)
        fit, skin = self._lit(face, fit, rasterize_head(self.model, self.rasterizer, fit))
        return View(face, fit, skin, self.uv(face.image, fit, skin))

    @torch.no_grad()
    def view(self, photo: Photo, index: int = 0, found: FoundFace | None = None) -> View:
        """One face of a photograph with its fit, skin and partial texture, at the photograph's own resolution.

        ``found`` is a face that ``finder`` has found; ``photo`` and ``index`` are then not asked. Raises ``PhotoError``
        and ``FaceError``.
        """
        found = found or self.finder.one(to_photograph(photo), index)
        fit, skin = self._lit(found.face, found.fit, found.head)
        return self._sharp(found.photo, found.face, fit, skin)

    def complete(self, view: View, completion: str = DEFAULT_COMPLETION) -> Texture:
        """What the views do not show, by a completion's name. Raises ``SettingsError`` for another."""
        with torch.no_grad():
            return self.completion(completion)(view.partial, view.fit)

    def draw(self, texture: Texture, view: View, cover: Cover | Tensor = "full") -> Rendering:
        """The photographs' own views, drawn from the texture (``ftim.overlay.draw_overlay``)."""
        return draw_overlay(self.image, texture, view, cover)

    def draw_albedo(self, texture: Texture, view: View, cover: Cover | Tensor = "full") -> Rendering:
        """As ``draw``, of the albedo under the fits' nine harmonics (``ftim.overlay.draw_albedo``)."""
        return draw_albedo(self.image, texture, view, cover)

    def toned(self, texture: Texture, view: View, others: Sequence[View] = ()) -> tuple[Texture, Fit, Tone]:
        """The skin's tone in the albedo and no longer in the light, for files and other light (``ftim.tone``).

        ``others`` are further views of the person. Also returns the tone, and how sure the photographs are of it.
        """
        tone = self._toned.judged(texture, view, self._toned.tone([view, *others]))
        return *self._toned(texture, view.fit, tone), tone

    def _lit(self, face: Face, fit: Fit, head: RasterizedHead | None) -> tuple[Fit, Tensor]:
        """The fit with its light measured on visible skin, and the skin (B, 1, S, S)."""
        skin = self.skin_mask(face, fit, self.model, self.rasterizer, head=head) * face.valid
        return self.regressor.relight(face, fit, skin), skin

    def _sharp(self, photo: Photograph, face: Face, fit: Fit, skin: Tensor) -> View:
        """A view of one face at the resolution of its photograph, as far as the texture can hold it."""
        face, fit, skin = sharpened(photo, face, fit, skin, self.uv.size)
        head = rasterize_head(self.model, self.rasterizer, fit)
        return View(face, fit, skin, self.uv(face.image, fit, skin, head), head)

    def completion(self, name: str) -> Completion:
        """A completion by its name, one of ``ftim.COMPLETIONS``, loaded once. Raises ``SettingsError`` for another."""
        if name not in self._completions:
            self._completions[name] = build_completion(name, self.uv, self.template)
        return self._completions[name]

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

        >>> import ftim
        >>> pipeline = ftim.Pipeline.build(texture_size=256)
        >>> result = pipeline.reconstruct(photo, completion="mirror")
        >>> sorted(result.parameters())[:3]
        ['camera', 'crop', 'expression']
        """
        return self.reconstruct_together([photo], completion, [index], cover=cover, found=[found] if found else None)

    def reconstruct_many(
        self,
        photos: Iterable[Photo],
        completion: str = DEFAULT_COMPLETION,
        cover: Cover = "skin",
        workers: int | None = None,
    ) -> Iterator[Reconstruction | FtimError]:
        """The largest face of each of many photographs, in their order, several at once.

        A photograph that cannot be used gives the error that ``reconstruct`` would raise in its place, so that none is
        lost and the others go on. ``workers`` is how many are worked on at once, by default as many as PyTorch has
        threads; each result is ready to be drawn and saved. Raises ``SettingsError`` for a completion that there is
        not.

        >>> import ftim
        >>> pipeline = ftim.Pipeline.build(texture_size=256)
        >>> for result in pipeline.reconstruct_many([photo, b"no photograph"], completion="mirror"):
        ...     print("failed" if isinstance(result, ftim.FtimError) else "a head")
        a head
        failed
        """
        if workers is not None and workers < 1:
            raise SettingsError(f"workers is 1 or more, not {workers}")
        self.completion(completion)
        count = workers or torch.get_num_threads()
        return in_order(lambda photo: self.reconstruct(photo, completion, cover=cover), photos, count)

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
        self.completion(completion)  # a wrong name is told before the work
        finding, fitting, lifting, completing = STAGES
        tell(finding)
        faces = []
        for place, (photo, index) in enumerate(zip(photos, indices or [0] * len(photos), strict=True)):
            with photo_named(photo, place, len(photos)):
                faces.append(found[place] if found else self.finder.one(to_photograph(photo), index))
        tell(fitting)
        together = Face.concatenate([item.face for item in faces])
        apart = Fit.concatenate([item.fit for item in faces])
        several = len(faces) > 1
        if several:
            fit, skin = self._lit(together, self.regressor.fit_together(together), None)
        else:
            fit, skin = self._lit(together, apart, faces[0].head)
        tell(lifting)
        views = [self._sharp(item.photo, item.face, fit[i], skin[i : i + 1]) for i, item in enumerate(faces)]
        view = views[0]
        if several:
            partials = PartialTexture.concatenate([item.partial for item in views])
            view = replace(view, partial=merge_views(partials, self.uv.shading(fit), 0))
        tell(completing)
        texture = self.complete(view, completion)
        texture, own_fit, tone = self.toned(texture, views[0], views[1:])
        photo = faces[0].photo
        return Reconstruction(
            fit=own_fit, texture=texture, renderer=self.image, photo=photo.pixels, face=view.face, skin=view.skin,
            partial=view.partial, views=together, cover=cover, confidence=min(item.confidence for item in faces),
            identity_distances=identity_distances(self.model, apart.identity) if several else (),
            turn=photo.turn, reduction=photo.reduction, complete=photo.complete, rasterized=view.head, tone=tone,
        )  # fmt: skip
