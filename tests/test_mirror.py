"""Mirror images of fits and faces."""

from __future__ import annotations

from dataclasses import fields, replace

import torch

from ftim.landmarks import LANDMARK_MIRROR
from ftim.morphable.expressions import EXPRESSIONS
from ftim.morphable.open_head import load_open_head
from ftim.regressors.mirror import mirror_face, mirror_fit
from ftim.render.image import ImageRenderer
from ftim.render.pose import pose_head
from ftim.render.rasterizer import default_rasterizer
from ftim.structures import Face, Fit
from tests.synthetic_head import synthetic_fit, synthetic_head


def lopsided_fit(model, size: int = 96) -> Fit:
    """A fit in which nothing is symmetric."""
    fit = synthetic_fit(model, size=size, turn=0.4)
    generator = torch.Generator().manual_seed(0)
    return replace(
        fit,
        identity=torch.randn(fit.identity.shape, generator=generator) * 0.5,
        expression=torch.rand(fit.expression.shape, generator=generator) * 0.3,
        translation=torch.tensor([[0.02, 0.01, -1.0]]),
        light=fit.light + torch.randn(fit.light.shape, generator=generator) * 0.2,
        camera=replace(fit.camera, principal=torch.tensor([[size * 0.45, size * 0.55]])),
    )


def test_mirrored_head_is_the_head_in_a_mirror() -> None:
    for model in (synthetic_head(), load_open_head()):
        fit = lopsided_fit(model)
        vertices = pose_head(model, fit).vertices
        mirrored = pose_head(model, mirror_fit(fit, model)).vertices
        expected = vertices[:, model.vertex_mirror] * torch.tensor([-1.0, 1.0, 1.0])
        # The bases are symmetric to a tenth of a millimetre, being stored in half precision.
        assert (mirrored - expected).norm(dim=-1).max() < 3e-4


def test_mirrored_fit_draws_the_flipped_picture() -> None:
    model = synthetic_head()
    fit = lopsided_fit(model)
    draw = ImageRenderer(model, default_rasterizer())
    row = torch.arange(64)
    texture = (0.5 + 0.4 * torch.sin(row / 5)).expand(1, 3, 64, 64) * (0.6 + 0.4 * torch.sin(row / 7))[:, None]
    photo = torch.zeros(1, 3, 96, 96)
    image = draw(texture, fit, photo).image
    mirrored = draw(texture.flip(-1), mirror_fit(fit, model), photo).image
    assert image.std() > 0.05
    assert (image - mirrored.flip(-1)).abs().mean() < 0.5 / 255
    assert (image - image.flip(-1)).abs().mean() > 5 / 255


def test_mirrored_twice_is_the_same() -> None:
    model = load_open_head()
    fit = lopsided_fit(model)
    again = mirror_fit(mirror_fit(fit, model), model)
    for field in fields(Fit):
        if field.name != "camera":
            torch.testing.assert_close(getattr(again, field.name), getattr(fit, field.name))
    torch.testing.assert_close(again.camera.principal, fit.camera.principal)


def test_mirrored_face() -> None:
    generator = torch.Generator().manual_seed(0)
    face = Face(
        image=torch.rand(2, 3, 32, 32, generator=generator),
        valid=(torch.rand(2, 1, 32, 32, generator=generator) > 0.2).float(),
        landmarks=torch.rand(2, 478, 2, generator=generator) * 32,
        blendshapes=torch.rand(2, 52, generator=generator),
        crop_to_photo=torch.tensor([[2.0, 10.0, 20.0]] * 2),
    )
    mirrored = mirror_face(face)
    left, right = EXPRESSIONS.index("eyeBlinkLeft"), EXPRESSIONS.index("eyeBlinkRight")
    assert torch.equal(mirrored.blendshapes[:, left], face.blendshapes[:, right])
    # The outer corner of the right eye becomes that of the left.
    assert LANDMARK_MIRROR[33] == 263
    torch.testing.assert_close(mirrored.landmarks[:, 263, 0], 32 - face.landmarks[:, 33, 0])
    torch.testing.assert_close(mirrored.landmarks[:, 263, 1], face.landmarks[:, 33, 1])
    assert torch.equal(mirrored.image[..., 0], face.image[..., -1])
    again = mirror_face(mirrored)
    for field in fields(Face):
        torch.testing.assert_close(getattr(again, field.name), getattr(face, field.name))
