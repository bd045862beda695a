"""One step of learning shared among the processes that torchrun has started, over gloo."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others' part of a step."""


def join_processes() -> tuple[int, int]:
    """Rank of this process and their number, (0, 1) when it is alone. Joins the others first, where there are any."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return 0, 1
    if not dist.is_initialized():
        dist.init_process_group("gloo", timeout=PATIENCE)
    return dist.get_rank(), count


def sum_gradients(network: nn.Module) -> None:
    """Each gradient becomes the sum over the processes; of a parameter without one it counts as 0."""
    parameters = [value for value in network.parameters() if value.requires_grad]
    flat = torch.cat(
        [(value.grad if value.grad is not None else torch.zeros_like(value)).reshape(-1) for value in parameters]
    )
    dist.all_reduce(flat)
    start = 0
    for value in parameters:
        value.grad = flat[start : start + value.numel()].view(value.shape).clone()
        start += value.numel()


def any_of(value: bool) -> bool:
    """Whether it is true in one of the processes: what one of them ends, all end after the same step."""
    flag = torch.tensor([float(value)])
    dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag)


def gather_values(values: dict[str, float]) -> dict[str, float]:
    """The named numbers of all processes."""
    parts: list[dict[str, float]] = [{} for _ in range(dist.get_world_size())]
    dist.all_gather_object(parts, values)
    return {name: value for part in parts for name, value in part.items()}
