"""Makes baselines by name."""

from __future__ import annotations

from benchmark.retrained.appearance import HeadPainter
from benchmark.retrained.basis import AlbedoBasis
from benchmark.retrained.chen import Chen
from benchmark.retrained.deca import Deca
from benchmark.retrained.deng import Deng
from benchmark.retrained.model import Baseline
from benchmark.retrained.tran import Tran

BASELINES: tuple[str, ...] = ("deca", "deng", "chen", "tran")


def build_baseline(name: str, basis: AlbedoBasis, painter: HeadPainter) -> Baseline:
    """With random weights where it is to learn. Raises ``ValueError`` for a name that is none."""
    if name == "deca":
        return Deca(basis)
    if name == "deng":
        return Deng(basis)
    if name == "chen":
        return Chen(basis, painter)
    if name == "tran":
        return Tran(basis, painter.uv_renderer.model)
    raise ValueError(f"there is no baseline {name!r}; there are {', '.join(BASELINES)}")
