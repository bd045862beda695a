"""One run in several processes, as torchrun starts them: who works on what, and where all wait for each other.

The processes talk over gloo, on CPUs and GPUs alike: they exchange a few texts, the rows lie in files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from ftim.device import choose_device
from ftim.errors import FtimError

T = TypeVar("T")

PATIENCE = timedelta(hours=48)
"""How long a process that is ready waits for the others."""
_TELLERS = "benchmark/tellers"
"""Counts the processes that have said why the run ends."""


class ProcessesError(FtimError):
    """Processes that cannot work together, such as more of them than GPUs."""


class PeerError(FtimError):
    """Another process of the run has ended before its time."""

    told: bool = False
    """Whether that process says why itself."""


@dataclass(frozen=True)
class Processes:
    """This process among those of the run. By default it is alone, and nothing is exchanged.

    Every process must come to ``gather``, ``wait``, ``from_first`` and the end of ``agreed`` in the same order. Each of
    them raises ``PeerError`` when another process has ended.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    """Among the processes on this machine."""

    @classmethod
    def current(cls) -> Processes:
        """As ``joined`` has found them."""
        if not (dist.is_available() and dist.is_initialized()):
            return ALONE
        rank = dist.get_rank()
        return cls(rank, dist.get_world_size(), int(os.environ.get("LOCAL_RANK", rank)))

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes results and speaks."""
        return self.rank == 0

    def part(self, items: Sequence[T]) -> list[T]:
        """The items of this process: one in ``count``."""
        return list(items[self.rank :: self.count])

    def gather(self, value: T) -> list[T]:
        """The values of all processes, in their order, in each of them."""
        if self.count == 1:
            return [value]
        values: list[T] = [value] * self.count
        try:
            dist.all_gather_object(values, value)
        except RuntimeError as error:  # what gloo raises when a connection ends
            raise PeerError(
                "another process of this run has ended before its time. Finished images are kept: "
                "run again with --resume"
            ) from error
        return values

    def wait(self) -> None:
        """Until all processes are here."""
        self.gather(None)

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """An expected error in the block of one process ends all; the first one that has an error tells it."""
        caught: Exception | None = None
        try:
            yield
        except (FtimError, ValueError) as error:
            if self.count == 1 or isinstance(error, PeerError):
                raise
            caught = error
        failed = self.gather(caught is not None)
        if True not in failed:
            return
        if caught is not None and failed.index(True) == self.rank:
            raise caught
        peer = PeerError("another process of this run has an error")
        peer.told = True
        raise peer from caught

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, in all of them."""
        value: T | None = None
        with self.agreed():
            value = make() if self.is_first else None
        made = self.gather(value)[0]
        return made  # type: ignore[return-value]  # None only where T allows it

    def take_device(self, name: str) -> torch.device:
        """``auto``, ``cuda`` or another of PyTorch's names -> the device of this process, made current if a GPU.

        Without a number, each process on a machine gets a GPU of its own. Raises ``ProcessesError`` when there are too
        few, ``SettingsError`` for a device that is not there.
        """
        name = choose_device(name)
        if name != "cuda" or self.count == 1:
            return torch.device(name)
        if self.local_rank >= torch.cuda.device_count():
            raise ProcessesError(
                f"process {self.local_rank + 1} of this machine has no GPU of its own, there are "
                f"{torch.cuda.device_count()}: start at most as many processes, or name one GPU for all of them with "
                "--device cuda:0"
            )
        device = torch.device("cuda", self.local_rank)
        torch.cuda.set_device(device)
        return device


ALONE = Processes()


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun has started; alone where it has not.

    When the block of one process ends with an error, so do those of the others: the process that has the error raises
    it, and only where none could (it was killed) does another one raise ``PeerError``; the rest exit without a word.
    Raises ``ValueError`` when the environment is incomplete.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield ALONE
        return
    store, rank, count = next(rendezvous("env://"))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=PATIENCE)
    try:
        yield Processes.current()
        Processes.current().wait()  # none leaves while another works: when one fails at its end, torchrun ends the rest
    except BaseException as error:
        told = False
        with suppress(RuntimeError):  # the store may have gone with its process
            told = store.add(_TELLERS, 1) > 1
        if isinstance(error, PeerError) and (told or error.told):
            raise SystemExit(1) from error
        raise
    finally:
        dist.destroy_process_group()
