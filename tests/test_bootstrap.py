"""Intervals of paired differences against what is known of them, and what is said of two methods."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmark.runner.records import Row, Scores
from benchmark.tables.bootstrap import RESAMPLES, Comparison, Interval, compare, groups, paired_interval, values
from tests.stored_results import stored


def names(count: int) -> list[str]:
    return [str(index) for index in range(count)]


def test_interval_of_a_normal_sample_is_that_of_its_mean() -> None:
    """1.96 standard errors on each side, with the spread that the bootstrap sees (its divisor is N)."""
    difference = np.random.default_rng(1).normal(0.3, 2.0, 2000)
    found = paired_interval(difference + 5, np.full(2000, 5.0), names(2000))
    assert found is not None
    half = 1.96 * difference.std() / math.sqrt(2000)
    assert found.difference == pytest.approx(difference.mean())
    assert found.high - found.difference == pytest.approx(half, rel=0.06)
    assert found.difference - found.low == pytest.approx(half, rel=0.06)


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of 200 samples, about 190: five standard deviations of that count are left on either side."""
    rng = np.random.default_rng(2)
    intervals = [paired_interval(rng.normal(1, 1, 60), np.zeros(60), names(60)) for _ in range(200)]
    hits = sum(item is not None and item.low < 1 < item.high for item in intervals)
    assert 175 <= hits <= 200


def test_two_groups_have_three_means() -> None:
    """Drawn are the first twice, both, or the second twice: in a quarter, a half and a quarter of the resamples."""
    found = paired_interval(np.array([0.0, 0, 0, 6]), np.zeros(4), ["a", "a", "a", "b"])
    assert found == Interval(1.5, 0.0, 6.0), "both ends come up far more often than 2.5 % of the time"


def test_rows_of_one_group_are_no_independent_witnesses() -> None:
    person = np.random.default_rng(3).normal(0, 1, 12).repeat(12)
    by_person = paired_interval(person, np.zeros(144), [str(index // 12) for index in range(144)])
    by_row = paired_interval(person, np.zeros(144), names(144))
    assert by_person is not None and by_row is not None
    assert by_person.high - by_person.low > 3 * (by_row.high - by_row.low), "by the root of twelve"


def test_the_same_numbers_give_the_same_interval() -> None:
    difference = np.random.default_rng(4).normal(0, 1, 50)
    first, second = (paired_interval(difference, np.zeros(50), names(50)) for _ in range(2))
    assert first == second
    assert RESAMPLES >= 2000


def test_rows_without_a_value_are_left_out() -> None:
    first = np.array([1.0, math.nan, 3.0, 5.0])
    second = np.array([0.0, 0.0, math.nan, 4.0])
    assert paired_interval(first, second, names(4)) == Interval(1.0, 1.0, 1.0)
    assert paired_interval(first[1:3], second[1:3], names(2)) is None
    assert paired_interval(first, second, ["a", "b", "b", "a"]) is None, "one group says nothing of others"
    with pytest.raises(ValueError, match="4"):
        paired_interval(first, second, names(3))


def test_a_constant_difference_is_sure_and_none_is_not() -> None:
    assert Interval(1.0, 1.0, 1.0).excludes_zero
    assert not Interval(0.0, 0.0, 0.0).excludes_zero
    assert not Interval(0.1, -0.1, 0.3).excludes_zero


def test_better_follows_the_direction_of_the_score() -> None:
    up, across = Interval(0.1, 0.05, 0.2), Interval(0.1, -0.05, 0.2)
    assert [Comparison(metric, up).verdict for metric in ("psnr", "cosine", "l1", "lpips", "dlib")] == [
        "better", "better", "worse", "worse", "worse",
    ]  # fmt: skip
    assert Comparison("psnr", across).verdict == "level"
    assert str(Comparison("psnr", Interval(-0.126, -0.2, 0.0501))) == "PSNR -0.13 [-0.20, +0.05]"


def test_methods_are_compared_row_by_row() -> None:
    better, worse = stored("table1", "ftim", 0.8), stored("table1", "mirror", 0.4)
    found = compare(better, worse, "face", "psnr")
    assert found is not None and found.verdict == "better"
    assert found.interval.difference == pytest.approx(1.6)
    assert found.interval.low == pytest.approx(found.interval.high), "all photographs differ by as much"
    assert compare(stored("frll", "ftim", 0.8), stored("frll", "mirror", 0.4), "unseen", "cosine") is None


def test_failures_are_the_worst_or_left_out() -> None:
    ours = stored("table1", "ftim", 0.8)
    failing = replace(ours, rows=(Row("a", "FaceError: no fit"), Row("b", None, {"overlay": Scores(0.1, 20, 1, 0, 1)}),
                                  ours.rows[2]))  # fmt: skip
    np.testing.assert_allclose(values(failing, "face", "l1", failures=True), [1, math.nan, 0.0605])
    np.testing.assert_allclose(values(failing, "face", "l1", failures=False), [math.nan, math.nan, 0.0605])
    found = compare(failing, ours, "face", "l1", failures=True)
    assert found is not None
    assert found.interval.difference == pytest.approx((1 - ours.rows[0].scores["face"].l1) / 2)  # type: ignore[operator]


def test_people_are_drawn_in_cross_view_and_photographs_elsewhere() -> None:
    pairs = ("006_smiling: front to left_3quarter", "006_neutral: front to left_3quarter", "018_neutral: x to y")
    assert groups(stored("frll", "ftim", 0.8, pairs)) == ["006", "006", "018"]
    assert groups(stored("table1", "ftim", 0.8, ("a_1", "a_2", "b"))) == ["a_1", "a_2", "b"]
