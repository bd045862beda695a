"""Iterating over work in threads: order, errors, laziness, and the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from ftim.errors import FtimError, PhotoError
from ftim.many import AHEAD, in_order


def test_results_keep_their_order_and_errors_their_place() -> None:
    def work(number: int) -> int:
        time.sleep(0.01 * (5 - number % 5))
        if number == 3:
            raise PhotoError("torn")
        return number * 10

    results = list(in_order(work, range(12), workers=3))
    assert [r for r in results if not isinstance(r, FtimError)] == [10 * n for n in range(12) if n != 3]
    assert isinstance(results[3], PhotoError)


def test_items_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    found = in_order(lambda number: number, source(), workers=2)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    assert len(taken) <= 3 + AHEAD * 2
    found.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ftim")]


def test_a_mistake_ends_the_iteration() -> None:
    def work(number: int) -> float:
        return 1 / (number - 2)

    found = in_order(work, range(100), workers=2)
    assert [next(found), next(found)] == [-0.5, -1.0]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_each_worker_has_one_thread_and_the_caller_as_many_as_before() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert list(in_order(lambda _: torch.get_num_threads(), range(6), workers=2)) == [1] * 6
        assert torch.get_num_threads() == 3
        seen: list[int] = []
        later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert seen == [3]
    finally:
        torch.set_num_threads(before)
