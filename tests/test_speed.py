"""The timing of stages, without the photographs that the real run needs."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pytest

from benchmark.speed import SpeedConfig, ratios, report, table
from benchmark.timing.measure import Stage, Timing, in_yardsticks, measure, yardstick
from benchmark.timing.processes import ran
from benchmark.timing.stages import with_face_of
from ftim.errors import FtimError
from tests.fake_studio import a_result


def test_times_are_medians_for_a_photograph() -> None:
    pauses = iter([0.2, 0.02, 0.06, 0.02, 0.02, 0.02])
    timing = measure(Stage("wait", lambda: time.sleep(next(pauses)), photos=2), repeats=5, seconds=20)
    # The first run is the warm-up; of the others one is slow.
    assert timing.runs == 5
    assert 10 <= timing.fastest <= timing.median < 20


def test_slow_stages_are_cut_short() -> None:
    timing = measure(Stage("wait", lambda: time.sleep(0.05)), repeats=100, seconds=0.2)
    assert 1 <= timing.runs <= 4


TIMINGS = [
    Timing("yardstick", 4.0, 3.9, 15, 1),
    Timing("rasterise", 2.0, 1.9, 15, 16),
    Timing("rasterise, slow twin", 500.0, 490.0, 3, 1),
    Timing("save", 30.0, 29.0, 15, 16),
]


def test_report_is_json_with_ratios_and_provenance() -> None:
    assert ratios(TIMINGS) == {"rasterise, slow twin / rasterise": 250.0}
    assert ratios(TIMINGS[2:]) == {}
    assert in_yardsticks(TIMINGS) == {"rasterise": 0.5, "rasterise, slow twin": 125.0, "save": 7.5}
    assert in_yardsticks(TIMINGS[1:]) == {}
    written = json.loads(json.dumps(report(SpeedConfig(), TIMINGS, {"one photograph, seconds": 3.0})))
    assert [row["name"] for row in written["stages"]][1:] == ["rasterise", "rasterise, slow twin", "save"]
    assert written["provenance"]["device"].startswith("cpu")
    page = table(written, {"yardsticks": {"save": 5.0}})
    assert "aim 200; +50% against the published" in page and "one photograph, seconds: 3" in page


def test_a_yardstick_is_work_that_takes_a_while() -> None:
    assert measure(yardstick(), repeats=2, seconds=5).fastest > 1


def test_faces_of_a_size() -> None:
    result = a_result()
    found = type("Found", (), {"photo": type("P", (), {"pixels": result.photo}), "box": (40.0, 60.0, 140.0, 200.0)})
    photo = with_face_of(found, 70, 160)  # type: ignore[arg-type]
    assert photo.shape == (160, 160, 3) and photo.dtype == np.uint8
    assert with_face_of(found, 70, None).shape[0] == result.photo.shape[0] // 2  # type: ignore[arg-type]


def test_processes_are_timed_from_outside() -> None:
    wait = [sys.executable, "-c", "import time; time.sleep(0.3)"]
    first, second = ran(wait, wait)
    assert first.seconds >= 0.3 and second.seconds >= 0.3 and 1 < first.megabytes < 200
    with pytest.raises(FtimError, match="boom"):
        ran([sys.executable, "-c", "raise SystemExit('boom')"])
