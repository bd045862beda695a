"""The licensed files: which are missing, and what is said and done when one is not what it should be."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from benchmark.methods import build_method, missing_files
from ftim.errors import FtimError, OfficialFilesMissingError, OfficialLayoutError
from ftim.official import missing
from ftim.official.bfm import load_bfm
from ftim.official.deca_code import load_deca_networks
from ftim.official.deca_detail import load_detail_maps
from ftim.official.files import REQUIRED, OfficialMethod, require
from ftim.official.flame import EXPRESSIONS, SHAPES, load_flame
from ftim.official.flame_texture import load_flame_texture, load_flame_uv
from ftim.pipeline import Pipeline
from tests.official_files import (
    RunsCode,
    bfm_tree,
    deca_states,
    flame_parts,
    flame_tree,
    open_head,
    write_flame,
    write_head_template,
    write_texture,
)

Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize("method", ["deca", "deng", "deca-regressor"])
def test_every_missing_file_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: OfficialMethod) -> None:
    monkeypatch.delenv("FTIM_OFFICIAL", raising=False)
    assert missing(method) == list(REQUIRED[method])
    with pytest.raises(OfficialFilesMissingError, match="set FTIM_OFFICIAL") as caught:
        require(method)
    for file in REQUIRED[method]:
        for text in (*file.names, file.licence, file.home):
            assert text in str(caught.value)
    present, *absent = REQUIRED[method]
    (tmp_path / present.names[0]).touch()
    monkeypatch.setenv("FTIM_OFFICIAL", str(tmp_path))
    assert missing(method) == absent
    with pytest.raises(OfficialFilesMissingError) as caught:
        require(method)
    assert str(tmp_path) in str(caught.value) and present.names[0] not in str(caught.value)
    for file in absent:
        (tmp_path / file.names[-1]).touch()
    assert missing(method) == [] == missing(method, tmp_path)
    assert set(require(method)) == set(REQUIRED[method])


def test_methods_and_regressor_say_what_they_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTIM_OFFICIAL", str(tmp_path))
    assert len(missing_files("deca_official")) == 6
    assert missing_files("deng_official")[0].startswith("epoch_20.pth: Deng's network")
    pipeline = Pipeline.build(texture_size=64)
    for attempt in (
        lambda: build_method("deca_official", pipeline),
        lambda: build_method("deng_official", pipeline),
        lambda: Pipeline.build(regressor="deca", texture_size=64),
    ):
        with pytest.raises(OfficialFilesMissingError, match="licence") as caught:
            attempt()
        assert isinstance(caught.value, FtimError)
    with pytest.raises(ValueError, match="landmarks or deca"):
        Pipeline.build(regressor="flame", texture_size=64)  # type: ignore[arg-type]


def test_flame_is_read_as_python_2_wrote_it(tmp_path: Path) -> None:
    path, tree = tmp_path / "generic_model.pkl", flame_tree()
    write_flame(path, tree)
    assert b"chumpy.ch" in path.read_bytes() and b"_codecs" not in path.read_bytes()
    flame = load_flame(path)
    assert not any(name.startswith("chumpy") for name in sys.modules)
    np.testing.assert_allclose(flame.template.numpy(), tree["v_template"], atol=1e-7)
    np.testing.assert_allclose(flame.joint_weights.numpy(), tree["J_regressor"])
    np.testing.assert_allclose(flame.skin_weights.numpy(), tree["weights"])
    np.testing.assert_array_equal(flame.triangles.numpy(), tree["f"])
    assert flame.shape_basis.shape == (SHAPES, 5023, 3) and flame.expression_basis.shape == (EXPRESSIONS, 5023, 3)
    np.testing.assert_allclose(flame.shape_basis[0].numpy(), tree["shapedirs"][..., 0], atol=1e-7)
    np.testing.assert_allclose(flame.expression_basis[0].numpy(), tree["shapedirs"][..., 300], atol=1e-7)
    np.testing.assert_allclose(flame.pose_basis[20].numpy(), tree["posedirs"][..., 20], atol=1e-7)
    # Written anew by Python 3 without chumpy, it reads the same.
    path.write_bytes(pickle.dumps(tree, protocol=2))
    torch.testing.assert_close(load_flame(path).pose_basis, flame.pose_basis)
    path.unlink()  # 50 MB


def small_flame() -> dict[str, Any]:
    """The keys, with the large bases left out: they are looked at last."""
    return flame_tree() | {"shapedirs": np.zeros((2, 3, 400)), "posedirs": np.zeros((2, 3, 36))}


FLAME_FAULTS: dict[str, tuple[Change, str]] = {
    "missing key": (lambda tree: tree.pop("weights"), r"lacks \['weights'\]"),
    "unexpected key": (lambda tree: tree.update(hair=1), r"unexpected \['hair'\]"),
    "other joints": (lambda tree: tree.update(kintree_table=np.zeros((2, 5), dtype=np.int64)), "joints hang on"),
    "wrong shape": (lambda tree: None, r"shapedirs has shape \(2, 3, 400\)"),
    "no array": (lambda tree: tree.update(shapedirs="text"), "shapedirs is no array"),
}


@pytest.mark.parametrize("fault", FLAME_FAULTS)
def test_other_flame_files_are_refused(tmp_path: Path, fault: str) -> None:
    change, message = FLAME_FAULTS[fault]
    tree = small_flame()
    change(tree)
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(pickle.dumps(tree, protocol=2))
    with pytest.raises(OfficialLayoutError, match=message) as caught:
        load_flame(path)
    assert "generic_model.pkl" in str(caught.value) and "official file" in str(caught.value)


def test_damaged_flame_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "generic_model.pkl"
    write_flame(path, small_flame())
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-1], b"", b"rubbish", pickle.dumps([1, 2]), b"\x80\x02}."):
        path.write_bytes(content)
        with pytest.raises(OfficialLayoutError, match=r"generic_model\.pkl"):
            load_flame(path)


def test_no_pickle_runs_code(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    harm = RunsCode(marker)
    assert pickle.loads(pickle.dumps(harm)) == 3 and marker.exists()  # it would
    marker.unlink()
    path = tmp_path / "generic_model.pkl"
    rebuilt = b"\x80\x02ccopy_reg\n_reconstructor\ncpathlib\nPath\nc__builtin__\nobject\nN\x87R."
    contents = [pickle.dumps(item, protocol=2) for item in (harm, small_flame() | {"hair": harm}, np.array([harm]))]
    for content in (*contents, rebuilt, b"\x80\x02cscipy.sparse.csc\nos\n.", b"\x80\x02cchumpy.ch\nos\n."):
        path.write_bytes(content)
        with pytest.raises(OfficialLayoutError, match="Nothing in it was run"):
            load_flame(path)
    model = tmp_path / "deca_model.tar"
    for legacy in (False, True):
        torch.save(
            deca_states() | {"opt": harm} if not legacy else {"E_flame": harm},
            model,
            _use_new_zipfile_serialization=not legacy,
        )
        with pytest.raises(OfficialLayoutError, match="Nothing in it was run"):
            load_deca_networks(model)
    np.savez(tmp_path / "FLAME_texture.npz", vt=np.array([harm]), ft=np.zeros(3))
    with pytest.raises(OfficialLayoutError):
        load_flame_uv(tmp_path / "FLAME_texture.npz", torch.zeros(9976, 3))
    np.save(tmp_path / "fixed.npy", np.array([harm]))
    Image.new("RGB", (256, 256)).save(tmp_path / "mask.png")
    with pytest.raises(OfficialLayoutError):
        load_detail_maps(tmp_path / "mask.png", tmp_path / "fixed.npy")
    assert not marker.exists()


CHECKPOINT_FAULTS: dict[str, tuple[Change, str]] = {
    "missing part": (lambda tree: tree.pop("D_detail"), "not E_flame, E_detail, D_detail"),
    "no state": (lambda tree: tree.update(E_detail=[1]), "E_detail is no state dictionary"),
    "missing key": (lambda tree: tree["E_flame"].pop("layers.0.bias"), r"E_flame lacks \['layers.0.bias'\]"),
    "unexpected key": (lambda tree: tree["D_detail"].update(extra=torch.ones(1)), r"D_detail .*unexpected \['extra'\]"),
    "wrong shape": (
        lambda tree: tree["E_flame"].update({"layers.2.bias": torch.zeros(235)}),
        r"E_flame.layers.2.bias is \(235,\) torch.float32, expected \(236,\)",
    ),
    "wrong kind": (
        lambda tree: tree["E_detail"].update({"encoder.bn1.bias": torch.zeros(64, dtype=torch.float64)}),
        "float64, expected",
    ),
}


@pytest.mark.parametrize("fault", CHECKPOINT_FAULTS)
def test_other_checkpoints_are_refused(tmp_path: Path, fault: str) -> None:
    change, message = CHECKPOINT_FAULTS[fault]
    states = deca_states()
    change(states)
    torch.save(states, tmp_path / "deca_model.tar")
    with pytest.raises(OfficialLayoutError, match=message):
        load_deca_networks(tmp_path / "deca_model.tar")


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "deca_model.tar"
    torch.save(deca_states(), path)
    assert load_deca_networks(path).coarse.training is False
    torch.save(deca_states(), path, _use_new_zipfile_serialization=False)
    load_deca_networks(path)
    whole = path.read_bytes()
    torch.save(torch.zeros(3), path)
    single = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-100], b"", b"rubbish", single):
        path.write_bytes(content)
        with pytest.raises(OfficialLayoutError, match=r"deca_model\.tar"):
            load_deca_networks(path)


def test_either_texture_space_is_read(tmp_path: Path) -> None:
    first, second = tmp_path / "FLAME_albedo_from_BFM.npz", tmp_path / "FLAME_texture.npz"
    write_texture(first, "MU", "PC", 199, 1.0)
    write_texture(second, "mean", "tex_dir", 200, 255.0)
    texture = load_flame_texture(first)
    code = torch.zeros(1, 50)
    code[0, 0] = 2
    albedo = texture.albedo(code)
    column = (2 * torch.arange(256) + 0.5) / 512
    torch.testing.assert_close(albedo[0, 0], column.expand(256, 256))
    torch.testing.assert_close(albedo[0, 1], column[:, None].expand(256, 256))
    torch.testing.assert_close(albedo[0, 2], torch.full((256, 256), 0.2))
    torch.testing.assert_close(load_flame_texture(second).albedo(code), albedo)
    whole = second.read_bytes()
    second.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OfficialLayoutError, match="cannot be read"):
        load_flame_texture(second)
    np.savez(first, MU=np.zeros(3 * 512 * 512), PC=np.zeros((3, 199)))
    with pytest.raises(OfficialLayoutError, match=r"PC has shape \(3, 199\)"):
        load_flame_texture(first)
    np.savez(first, MU=np.zeros(3 * 512 * 512))
    with pytest.raises(OfficialLayoutError, match="it has no PC"):
        load_flame_texture(first)
    with zipfile.ZipFile(first, "w") as archive:
        archive.writestr("MU.npy", b"\x93NUMPY\x01\x00")
        archive.writestr("PC.npy", b"")
    with pytest.raises(OfficialLayoutError, match="cannot be read"):
        load_flame_texture(first)


def test_either_uv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "head_template.obj"
    write_head_template(path)
    uv = load_flame_uv(path, torch.zeros(9976, 3, dtype=torch.int64))
    _, triangles, chosen = flame_parts()
    head = open_head()
    torch.testing.assert_close(
        uv.uv[uv.uv_triangles[: len(chosen)]], head.uv[head.uv_triangles[chosen]], atol=1e-6, rtol=0
    )
    torch.testing.assert_close(uv.triangles[: len(chosen)], triangles)
    other = tmp_path / "FLAME_texture.npz"
    upward = uv.uv * torch.tensor([1.0, -1.0]) + torch.tensor([0.0, 1.0])
    np.savez(other, vt=upward.numpy(), ft=uv.uv_triangles.numpy().astype(np.uint32))
    again = load_flame_uv(other, uv.triangles)
    torch.testing.assert_close(again.uv, uv.uv, atol=1e-6, rtol=0)
    assert torch.equal(again.uv_triangles, uv.uv_triangles) and torch.equal(again.triangles, uv.triangles)
    for text in ("", "f 1/1 2/2 3/3\n", "v a b c\nvt x y\n", path.read_text().replace("f 1/1", "f 9999/1", 1)):
        path.write_text(text)
        with pytest.raises(OfficialLayoutError, match=r"head_template\.obj"):
            load_flame_uv(path, uv.triangles)
    np.savez(other, vt=upward.numpy())
    with pytest.raises(OfficialLayoutError, match="no vt and ft"):
        load_flame_uv(other, uv.triangles)


def test_other_detail_maps_are_refused(tmp_path: Path) -> None:
    mask, fixed = tmp_path / "uv_face_eye_mask.png", tmp_path / "fixed_displacement_256.npy"
    np.save(fixed, np.full((256, 256), 0.001))
    Image.new("RGB", (512, 512), (255, 0, 0)).save(mask)
    maps = load_detail_maps(mask, fixed)
    assert maps.mask.shape == (256, 256) and bool((maps.mask == 1).all())
    np.save(fixed, np.zeros((128, 256)))
    with pytest.raises(OfficialLayoutError, match=r"fixed_displacement_256\.npy"):
        load_detail_maps(mask, fixed)
    for content in (b"no picture", b""):
        mask.write_bytes(content)
        with pytest.raises(OfficialLayoutError, match=r"uv_face_eye_mask\.png"):
            load_detail_maps(mask, fixed)
    Image.new("RGB", (512, 256)).save(mask, "PNG")
    with pytest.raises(OfficialLayoutError, match="square"):
        load_detail_maps(mask, fixed)


def test_other_bfm_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "BFM_model_front.mat"
    tree = {name: value if value.size < 50_000 else np.zeros((2, 2)) for name, value in bfm_tree().items()}
    faults: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, r"meanshape has shape \(2, 2\)"),
        ({"tri": None}, r"lacks \['tri'\]"),
        ({"hair": np.zeros(3)}, r"unexpected \['hair'\]"),
        ({"keypoints": np.full((1, 68), 35710)}, "keypoints holds more than whole numbers from 1 to 35709"),
        ({"keypoints": np.zeros((1, 67))}, r"keypoints has shape \(67,\)"),
        ({"skinmask": "text"}, "skinmask is no array"),
    )
    for change, message in faults:
        savemat(path, {name: value for name, value in (tree | change).items() if value is not None})
        with pytest.raises(OfficialLayoutError, match=message):
            load_bfm(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"rubbish"):
        path.write_bytes(content)
        with pytest.raises(OfficialLayoutError, match=r"BFM_model_front\.mat cannot be read"):
            load_bfm(path)
