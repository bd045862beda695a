"""What a compared method is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from ftim.completion import Completion
from ftim.pipeline import Pipeline
from ftim.structures import Face, Rendering, Texture, View

Source = Literal["ours", "retrained", "official", "reported", "reference"]
"""Whose numbers: of FTIM as it is here; trained by us as a paper describes its method; the authors' own weights; copied
from a paper; or a simple method that shows what the numbers mean."""
Drawing = Literal["texture", "albedo"]
"""What of a ``Texture`` is drawn: the skin as the photograph shows it, or the skin without light, lit by the fit."""
EARLIER_DATA: tuple[str, ...] = ("chen", "deca", "deng", "ftim_no_sym_mrf", "image_to_image", "tran")
"""Methods whose weights learnt from other photographs than those of the others: results and tables say so."""


def note_of(method: str) -> str:
    """What a table says of a method besides its source; empty for most."""
    return "trained on earlier data" if method in EARLIER_DATA else ""


@dataclass(frozen=True)
class Drawings:
    """A batch of heads, each laid over its photograph twice."""

    texture: Rendering | None
    """From ``Texture.texture``; None for a method that makes no texture of the photograph."""
    albedo: Rendering
    """From the albedo under the fitted light, or what a model of faces draws."""

    @property
    def main(self) -> Rendering:
        """What a user would be shown."""
        return self.albedo if self.texture is None else self.texture


class Method(Protocol):
    """One row of the table; ``benchmark/methods/registry.py`` says how each is built."""

    @property
    def name(self) -> str:
        """Short, lower case; also the name of the result file."""
        ...

    @property
    def source(self) -> Source: ...

    @property
    def draws(self) -> tuple[Drawing, ...]:
        """Both, or the albedo alone for a method that makes no texture of the photograph."""
        ...

    def reconstruct(self, view: View) -> Drawings:
        """A batch of views -> their drawings, laid over the photographs; the textures are completed once.

        The view is the one that every method gets; a method with its own fit ignores all but the face.
        Raises ``FtimError`` for a face that it cannot do: this becomes a row with the reason.
        """
        ...


@runtime_checkable
class TextureMethod(Method, Protocol):
    """A method whose head can be seen from elsewhere (cross-view)."""

    def transfer(self, view: View, inputs: list[int], outputs: list[int]) -> Rendering:
        """A batch of views of one person -> what each view ``inputs[i]`` gave, drawn as ``outputs[i]`` shows the head.

        The albedo under pose, expression, camera and light of the fit of ``outputs[i]``; only its photograph's pixels
        outside the drawn head are used.
        """
        ...


class OwnHead(Protocol):
    """Reconstructs faces on a head and with a fit of its own."""

    def reconstruct(self, face: Face) -> Rendering: ...


@dataclass(frozen=True)
class OwnHeadMethod:
    """An official method: from the photograph alone, without the shared fit and partial texture. It draws a model's
    albedo, so it stands beside the albedo of the others."""

    name: str
    head: OwnHead
    source: Source = "official"
    draws: tuple[Drawing, ...] = ("albedo",)

    def reconstruct(self, view: View) -> Drawings:
        """See ``Method``."""
        return Drawings(None, self.head.reconstruct(view.face))


@dataclass(frozen=True)
class CompletionMethod:
    """A completion on the shared head: differs from its like only in what it fills the texture with."""

    name: str
    source: Source
    completion: Completion
    pipeline: Pipeline
    draws: tuple[Drawing, ...] = ("texture", "albedo")

    def complete(self, view: View) -> Texture:
        """See ``Completion``."""
        return self.completion(view.partial, view.fit)

    def reconstruct(self, view: View) -> Drawings:
        """Drawn over the whole face, as in the paper: over hair and glasses as well."""
        texture = self.complete(view)
        return Drawings(self.pipeline.draw(texture, view), self.pipeline.draw_albedo(texture, view))

    def transfer(self, view: View, inputs: list[int], outputs: list[int]) -> Rendering:
        """The albedo under the fitted light of the other photograph."""
        return self.pipeline.draw_albedo(self.complete(view)[inputs], view[outputs])
