"""A device that is not there is a sentence, not PyTorch's traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import ftim
from benchmark.runner.distributed import ALONE
from ftim.cli import main
from ftim.device import choose_device
from ftim.errors import SettingsError
from ftim.pipeline import Pipeline


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_is_the_cpu_and_cuda_says_what_it_needs() -> None:
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    for name in ("cuda", "cuda:3"):
        with pytest.raises(SettingsError, match=f"device {name} needs an NVIDIA GPU .*choose auto or cpu"):
            choose_device(name)


@pytest.mark.usefixtures("two_gpus")
def test_gpus_are_counted() -> None:
    assert [choose_device(name) for name in ("auto", "cuda", "cuda:1")] == ["cuda", "cuda", "cuda:1"]
    with pytest.raises(SettingsError, match=r"no device cuda:2; this computer has 2 GPU\(s\), numbered from cuda:0"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "CUDA", "cuda:", "cuda:x", "cpu:0", "meta", "xla", ""])
def test_other_names_are_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(SettingsError, match=f"no device '{name}'; choose auto, cpu, cuda"):
        choose_device(name)


def test_apples_gpu_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="Apple's GPU"):
        choose_device("mps")


@pytest.mark.usefixtures("no_gpu")
def test_everything_that_takes_a_device_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"never read")
    for device in ("gpu", "cuda"):
        with pytest.raises(SettingsError, match="choose auto"):
            ftim.reconstruct(str(photo), device=device)
        with pytest.raises(SettingsError, match="choose auto"):
            Pipeline.build(device)
        with pytest.raises(SettingsError, match="choose auto"):
            ALONE.take_device(device)
        assert main(["reconstruct", str(photo), "-o", str(tmp_path / "out"), "--device", device]) == 1
        assert capsys.readouterr().err.startswith("ftim: ")
        assert main(["train", "--device", device]) == 1
        assert "choose auto" in capsys.readouterr().err


@pytest.mark.usefixtures("no_gpu")
def test_auto_works_in_python_too() -> None:
    assert Pipeline.build("auto", texture_size=256).device == torch.device("cpu")
