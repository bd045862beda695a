"""The albedo protocol: its photographs are whole, its scores are what they say."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.albedo.page import albedo_markdown, complete
from benchmark.albedo.photographs import FOLDER, TrueHead, load_heads
from benchmark.albedo.run import NAME, AlbedoResult
from benchmark.albedo.scores import AlbedoScores, alike, hidden_share, map_scores, small_face, summarise
from ftim.data.frll import load_frll
from ftim.data.photo_set import read_split
from ftim.data.rendered.render import TEST_ENVIRONMENTS
from ftim.errors import DatasetError
from ftim.metrics import load_lpips, psnr
from ftim.metrics.colour import typology_group

SIDE = 64
ROOT = Path(__file__).resolve().parents[1]


@cache
def heads() -> list[TrueHead]:
    return load_heads()


def random_map(seed: int) -> Tensor:
    return 0.2 + 0.5 * torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def everywhere() -> Tensor:
    return torch.ones(1, 1, SIDE, SIDE)


def test_photographs_are_sixty_unseen_heads_in_two_lights_each() -> None:
    assert len(heads()) == 120 and len({head.head for head in heads()}) == 60
    assert sum(bool(head.before) for head in heads()) == 40
    truths = [json.loads(path.read_text()) for path in sorted((FOLDER / "truth").glob("*.json"))]
    assert {truth["environment"] for truth in truths} <= set(TEST_ENVIRONMENTS)
    people = {truth["person"].split("-")[1] for truth in truths}
    assert people <= set(read_split("frll_validation")) and not people & set(read_split("frll_train"))
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    assert size < 15 * 2**20


def test_all_six_groups_of_skin_are_there() -> None:
    from ftim.metrics.colour import degrees_of

    groups = [typology_group(degrees_of(head.albedo, torch.ones(1, 1, 256, 256))[0]) for head in heads()[::2]]
    assert len(set(groups)) >= 5  # of the whole map here, ears and scalp included


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    copy = tmp_path / "set"
    shutil.copytree(FOLDER, copy)
    (copy / "photo" / "00a.jpg").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"00a\.jpg"):
        load_heads(copy)
    with pytest.raises(DatasetError, match="manifest"):
        load_heads(tmp_path)


def test_the_true_albedo_under_the_true_light_is_the_photograph() -> None:
    """Drawn by our renderer from the map: what is left are noise, blur, JPEG and the coarser light."""
    from ftim.morphable import load_open_head
    from ftim.render.image import ImageRenderer
    from ftim.render.rasterizer import default_rasterizer

    renderer = ImageRenderer(load_open_head(), default_rasterizer())
    values = []
    for head in heads()[2:40:6]:
        photo = torch.from_numpy(head.photo).permute(2, 0, 1)[None].float() / 255
        drawn = renderer.draw_lit(head.albedo, head.fit, photo)
        inner = torch.nn.functional.max_pool2d(1 - head.skin, 5, 1, 2) < 0.5
        mask = ((drawn.mask > 0.5) & inner).float()
        values.append(float(psnr(head.lit(drawn.image), photo, mask)))
    assert np.median(values) > 25


def test_the_truth_scores_best_and_tone_is_apart() -> None:
    truth, network = random_map(0), load_lpips()
    same = map_scores(truth, truth, everywhere(), everywhere(), network)
    assert same["tone"] == same["plain"] == pytest.approx(0, abs=1e-3) and same["ita"] == 0
    assert same["unseen"] is None
    linear = 0.7 * truth  # not exactly a factor in linear light, so a little is left
    darker = map_scores(linear, truth, everywhere(), everywhere(), network)
    assert darker["tone"] is not None and darker["plain"] is not None
    assert darker["tone"] > 8 > 3 > darker["plain"]
    torch.testing.assert_close(alike(truth, truth, everywhere()), truth, atol=1e-4, rtol=0)


def test_hidden_skin_is_nearer_to_the_truth_or_to_the_thing() -> None:
    truth, thing = torch.full((1, 3, SIDE, SIDE), 0.5), torch.full((1, 3, SIDE, SIDE), 0.5)
    thing[:, 0] = 0.1
    where = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    where[:20] = True
    mixed = truth.clone()
    mixed[..., :5, :] = thing[..., :5, :]
    share = hidden_share(mixed, truth, thing, where, everywhere())
    assert share == pytest.approx(0.75, abs=0.02)
    assert hidden_share(mixed, truth, thing, where & False, everywhere()) is None


def test_summary_tells_people_apart() -> None:
    def scores(group: int, ita: float) -> AlbedoScores:
        return AlbedoScores(5, 6, 2, 3, 2, None, 30, 0.1, ita, group, 4, 3, 25, None, 0.01)

    light, dark = torch.full((1, 3, SIDE, SIDE), 0.7), torch.full((1, 3, SIDE, SIDE), 0.3)
    face = everywhere()
    skins = {
        "0a": (0, *small_face(light, face)), "0b": (0, *small_face(0.98 * light, face)),
        "1a": (1, *small_face(dark, face)), "1b": (1, *small_face(1.02 * dark, face)),
    }  # fmt: skip
    summary = summarise({"0a": scores(0, 4), "0b": scores(0, 4), "1a": scores(5, 10), "1b": scores(5, 10)}, skins)
    assert summary["ita"] == 7 and summary["ita_spread"] == 3 and summary["unseen"] is None
    assert summary["within_between"] is not None and summary["within_between"] < 0.1
    alone = summarise({"0a": scores(0, 4)}, {"0a": skins["0a"]})
    assert alone["within_between"] is None


def test_page_is_of_the_stored_results() -> None:
    results = ROOT / "results"
    assert complete(results)
    page = albedo_markdown(results)
    for path in (results / NAME).glob("*.json"):
        assert f"| {AlbedoResult.read(path).method} (" in page
    assert page in (results / NAME / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif("not __import__('os').environ.get('FTIM_DATA')", reason="needs FTIM_DATA: the people of FRLL")
def test_no_training_person_is_in_the_set() -> None:
    frll = load_frll(None)
    assert not set(frll.people("train")) & set(frll.people("validation"))
