"""What a compared method is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from ftim.completion import Completion
from ftim.pipeline import Pipeline
from ftim.structures import Face, Fit, PartialTexture, Rendering, Texture

Source = Literal["official", "retrained", "reported", "reference"]
"""Whose numbers: the authors' own weights; ours, as their paper describes the method; copied from a paper; or a simple
method that shows what the numbers mean."""


class Method(Protocol):
    """One row of the table. A module of ``benchmark.methods`` has ``build(pipeline) -> Method``."""

    @property
    def name(self) -> str:
        """Short, lower case; also the name of the module and of the result file."""
        ...

    @property
    def source(self) -> Source: ...

    def reconstruct(self, face: Face, fit: Fit, partial: PartialTexture) -> Rendering:
        """A batch of faces -> their renderings, laid over ``face.image``.

        The fit and the partial texture are those that every method gets; a method with its own fit ignores them.
        Raises ``FtimError`` for a face that it cannot do: this becomes a row with the reason.
        """
        ...


@runtime_checkable
class TextureMethod(Method, Protocol):
    """A method whose head can be seen from elsewhere (cross-view)."""

    def transfer(
        self, face: Face, fit: Fit, partial: PartialTexture, inputs: list[int], outputs: list[int]
    ) -> Rendering:
        """A batch of views of one person -> what each view ``inputs[i]`` gave, drawn as ``outputs[i]`` shows the head.

        The pose, expression, camera and light are those of the fit of ``outputs[i]``; only its photograph's pixels
        outside the drawn head are used.
        """
        ...


class OwnHead(Protocol):
    """Reconstructs faces on a head and with a fit of its own."""

    def reconstruct(self, face: Face) -> Rendering: ...


@dataclass(frozen=True)
class OwnHeadMethod:
    """An official method: from the photograph alone, without the shared fit and partial texture."""

    name: str
    head: OwnHead
    source: Source = "official"

    def reconstruct(self, face: Face, fit: Fit, partial: PartialTexture) -> Rendering:
        """See ``Method``."""
        return self.head.reconstruct(face)


@dataclass(frozen=True)
class CompletionMethod:
    """A completion on the shared head: differs from its like only in what it fills the texture with."""

    name: str
    source: Source
    completion: Completion
    pipeline: Pipeline
    own_view: bool = False
    """Draw the photograph's own view with all seen skin (docs/paper.md, S29)."""

    def complete(self, partial: PartialTexture, fit: Fit) -> Texture:
        """See ``Completion``."""
        return self.completion(partial, fit)

    def reconstruct(self, face: Face, fit: Fit, partial: PartialTexture) -> Rendering:
        """Completed and drawn as ``Pipeline.reconstruct`` does: over hair and glasses as well."""
        texture = self.complete(partial, fit)
        if self.own_view:
            return self.pipeline.render_own(texture, partial, fit, face)
        return self.pipeline.render(texture, fit, face)

    def transfer(
        self, face: Face, fit: Fit, partial: PartialTexture, inputs: list[int], outputs: list[int]
    ) -> Rendering:
        """The albedo under the fitted light of the other photograph."""
        return self.pipeline.render(self.complete(partial, fit)[inputs], fit[outputs], face[outputs])
