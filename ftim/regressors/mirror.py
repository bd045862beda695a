"""Mirror images of faces and fits: what a photograph flipped left to right would have given."""

from __future__ import annotations

from dataclasses import replace

import torch

from ftim.landmarks import LANDMARK_MIRROR
from ftim.morphable.expressions import EXPRESSION_MIRROR
from ftim.morphable.model import MorphableModel
from ftim.render.shading import SH_MIRROR
from ftim.structures import Face, Fit


def mirror_fit(fit: Fit, model: MorphableModel) -> Fit:
    """The fit of the flipped crop: with M = diag(-1, 1, 1), rotation M R M and translation M t.

    The principal point x becomes W - x, the light loses its sign where its basis function is odd in x, and
    identity and expression are mirrored by the model. Applied twice it gives the fit back.
    """
    flip = fit.rotation.new_tensor([-1.0, 1.0, 1.0])
    principal = torch.stack([fit.camera.width - fit.camera.principal[:, 0], fit.camera.principal[:, 1]], dim=-1)
    return Fit(
        identity=model.mirror_identity(fit.identity),
        expression=model.mirror_expression(fit.expression),
        rotation=fit.rotation * flip[:, None] * flip,
        translation=fit.translation * flip,
        light=fit.light * fit.light.new_tensor(SH_MIRROR)[:, None],
        camera=replace(fit.camera, principal=principal),
    )


def mirror_face(face: Face) -> Face:
    """The face flipped within its square: crop, validity, landmarks and expression scores.

    ``crop_to_photo`` stays, so pasting the result back puts the mirror image where the face was.
    """
    side = face.image.shape[-1]
    landmarks = face.landmarks[:, list(LANDMARK_MIRROR)]
    return replace(
        face,
        image=face.image.flip(-1),
        valid=face.valid.flip(-1),
        landmarks=torch.stack([side - landmarks[..., 0], landmarks[..., 1]], dim=-1),
        blendshapes=face.blendshapes[:, list(EXPRESSION_MIRROR)],
    )
