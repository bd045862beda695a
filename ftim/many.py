"""Many photographs, one head each: several at once, each on one thread of the processor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

from ftim.errors import FtimError

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 2
"""Photographs a worker that are begun before the first is asked for."""


def in_order(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R | FtimError]:
    """``work`` of each item, in the items' order; the ``FtimError`` that it raised in the place of its result.

    Items are taken as they are needed, ``AHEAD`` a worker, so that there may be any number of them. Each worker is a
    thread on which PyTorch uses one thread: small operations gain nothing from more. Other errors end the iteration.

    >>> from ftim.many import in_order
    >>> list(in_order(lambda number: number * number, range(4), workers=2))
    [0, 1, 4, 9]
    """

    def guarded(item: T) -> R | FtimError:
        try:
            return work(item)
        except FtimError as error:
            return error

    threads = torch.get_num_threads()
    source = iter(items)
    running: deque[Future[R | FtimError]] = deque()
    with ThreadPoolExecutor(workers, "ftim", torch.set_num_threads, (1,)) as pool:
        try:
            running.extend(pool.submit(guarded, item) for item in islice(source, AHEAD * workers))
            # What a thread asks for holds for itself, and for threads that begin later: those shall have what they had.
            torch.set_num_threads(threads)
            while running:
                result = running.popleft().result()
                running.extend(pool.submit(guarded, item) for item in islice(source, 1))
                yield result
        finally:
            for future in running:
                future.cancel()
            torch.set_num_threads(threads)
