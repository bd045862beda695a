"""The timing of stages, without the photographs that the real run needs."""

from __future__ import annotations

import json
import time

from benchmark.speed import SpeedConfig, Stage, Timing, measure, ratios, report


def test_times_are_medians_for_a_photograph() -> None:
    pauses = iter([0.2, 0.02, 0.06, 0.02, 0.02, 0.02])
    timing = measure(Stage("wait", lambda: time.sleep(next(pauses)), photos=2), SpeedConfig(repeats=5))
    # The first run is the warm-up; of the others one is slow.
    assert timing.runs == 5
    assert 10 <= timing.fastest <= timing.median < 20


def test_slow_stages_are_cut_short() -> None:
    timing = measure(Stage("wait", lambda: time.sleep(0.05), photos=1), SpeedConfig(repeats=100, seconds=0.2))
    assert 1 <= timing.runs <= 4


def test_report_is_json_with_ratios_and_provenance() -> None:
    timings = [
        Timing("rasterise", 2.0, 1.9, 15, 16),
        Timing("rasterise-torch-twin", 500.0, 490.0, 3, 1),
        Timing("unwrap", 30.0, 29.0, 15, 16),
    ]
    assert ratios(timings) == {"rasterise-torch-twin / rasterise": 250.0}
    assert ratios(timings[2:]) == {}
    written = json.loads(json.dumps(report(SpeedConfig(), timings)))
    assert [row["name"] for row in written["stages"]] == ["rasterise", "rasterise-torch-twin", "unwrap"]
    assert written["provenance"]["device"].startswith("cpu")
    assert "output" not in written["settings"]
