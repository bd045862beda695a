"""The baselines' models: shapes, what they begin with, what they can change, and what their losses look at."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmark.retrained.appearance import Appearance
from benchmark.retrained.basis import SIDE, AlbedoBasis, load_basis, save_basis
from benchmark.retrained.build import BASELINES, build_baseline
from benchmark.retrained.model import Baseline
from ftim.errors import ModelFileError
from tests.small_school import COMPONENTS, basis, example, inputs, lesson, painter, pipeline

STAGES = [(name, stage) for name in BASELINES for stage in (("coarse", "detail") if name == "deca" else ("main",))]


def model_of(name: str) -> Baseline:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_baseline(name, basis(), painter())


def test_an_albedo_of_the_basis_is_projected_to_its_coefficients() -> None:
    generator = torch.Generator().manual_seed(3)
    coefficients = torch.randn(2, COMPONENTS, generator=generator)
    torch.testing.assert_close(
        basis().project(basis().albedo(coefficients), COMPONENTS), coefficients, rtol=0, atol=1e-3
    )


def test_components_are_those_of_the_people() -> None:
    """A basis fitted to albedos of three orthogonal components spans them, strongest first, one sigma each."""
    generator = torch.Generator().manual_seed(4)
    texel = torch.arange(0, 400, 2)
    directions, _ = torch.linalg.qr(torch.randn(600, 3, generator=generator))
    scores = torch.randn(200, 3, generator=generator) * torch.tensor([3.0, 2.0, 1.0])
    albedos = (0.5 + scores @ directions.T).unflatten(1, (3, -1))
    found = AlbedoBasis.fit(albedos, torch.full((3, 20, 20), 0.1), texel, 3)
    spread = found.components.flatten(1).norm(dim=1)
    expected = torch.linalg.eigvalsh(scores.T.cov(correction=0)).flip(0).sqrt()
    torch.testing.assert_close(spread, expected, rtol=1e-3, atol=0)
    outside = torch.ones(400, dtype=torch.bool)
    outside[texel] = False
    assert (found.mean.flatten(1)[:, outside] == 0.1).all()
    recovered = found.mean.flatten(1)[:, texel] + torch.einsum(
        "k,kcn->cn", found.project(found_image(albedos[:1], texel), 3)[0], found.components
    )
    torch.testing.assert_close(recovered, albedos[0], rtol=0, atol=1e-3)


def found_image(albedos: torch.Tensor, texel: torch.Tensor) -> torch.Tensor:
    image = torch.full((len(albedos), 3, 400), 0.1)
    image[:, :, texel] = albedos
    return image.view(-1, 3, 20, 20)


def test_a_basis_survives_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "basis.safetensors"
    save_basis(basis(), {"people": "nobody"}, path)
    loaded = load_basis(path)
    torch.testing.assert_close(loaded.components, basis().components, rtol=1e-3, atol=1e-4)
    assert (loaded.texel == basis().texel).all()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"basis.safetensors cannot be read.*scripts\.bake\.albedo_basis"):
        load_basis(path)


@pytest.mark.parametrize("name", BASELINES)
def test_before_anything_is_learnt_it_is_the_mean_under_the_fitted_light(name: str) -> None:
    model = model_of(name).eval()
    with torch.no_grad():
        appearance = model(inputs())
    assert appearance.albedo.shape == (3, 3, SIDE, SIDE) and appearance.light.shape == (3, 9, 3)
    torch.testing.assert_close(appearance.albedo, basis().mean.expand(3, -1, -1, -1), rtol=0, atol=1e-6)
    assert not appearance.light.any()
    with torch.no_grad():
        drawn = painter()(appearance, example().fit, example().photo)
        plain = pipeline().image(appearance.albedo, example().fit, example().photo)
    # With detail the shading is taken at texels, without at pixels.
    torch.testing.assert_close(
        drawn.image, plain.image, rtol=0, atol=0.03 if appearance.displacement is not None else 0
    )


@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_a_stage_learns_all_that_is_its_own_and_nothing_else(name: str, stage: str) -> None:
    model = model_of(name).train()
    awaken(model)
    terms = model.losses(lesson(), stage)
    assert all(torch.isfinite(term) and term.ndim == 0 for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    own = set(model.learnt_in(stage))
    reached = {value for value in model.parameters() if value.grad is not None and value.grad.any()}
    assert reached == own


def awaken(model: Baseline) -> None:
    """Small weights in the layers that begin at 0, as if something had been learnt."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in model.parameters():
            if not value.any():
                value.copy_(0.02 * torch.randn(value.shape, generator=generator))


@pytest.mark.parametrize("name", BASELINES)
def test_learning_brings_the_picture_nearer(name: str) -> None:
    """A few steps on one lesson lower the photometric loss of the first stage."""
    model = model_of(name).train()
    stage = model.stages[0]
    optimizer = torch.optim.Adam(model.learnt_in(stage), lr=1e-3)
    values = []
    for _ in range(6):
        terms = model.losses(lesson(), stage)
        values.append(float(terms["photometric"].detach()))
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert min(values[3:]) < 0.97 * values[0]


@pytest.mark.parametrize("name", BASELINES)
def test_the_warm_up_is_zero_at_its_target(name: str) -> None:
    model = model_of(name)
    at_rest = model.warm_up(inputs(), torch.zeros(3, COMPONENTS))
    away = model.warm_up(inputs(), torch.ones(3, COMPONENTS))
    assert float(at_rest.detach()) < 1e-9 and float(away.detach()) == pytest.approx(1.0, rel=0.05)


def test_offsets_move_the_head() -> None:
    """A head lifted by offsets is drawn as many pixels higher as the camera says."""
    fit = example().fit[1]
    albedo = basis().mean[None]
    lifted = torch.zeros(1, len(pipeline().model.template), 3)
    lifted[:, :, 1] = 0.01
    grey = torch.zeros(1, 3, 224, 224)
    rows = torch.arange(224.0)[:, None]
    heights = []
    for offsets in (None, lifted):
        mask = painter()(Appearance(albedo, torch.zeros(1, 9, 3), None, offsets), fit, grey).mask[0, 0]
        heights.append(float((mask * rows).sum() / mask.sum()))
    assert heights[0] - heights[1] == pytest.approx(0.01 * 360 / 0.52, rel=0.15)
