"""Processes that train together: each on its own examples, all with the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, distributed
from torch.multiprocessing.spawn import start_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Peers:
    """One of the processes of a run, and what it does together with the others."""

    #: Number of this one, from 0.
    rank: int = 0
    #: How many there are.
    count: int = 1

    def average(self, values: Sequence[Tensor]) -> None:
        """Replace each of some tensors, which are of one device, by its mean over the peers."""
        if self.count == 1:
            return
        flat = torch.cat([value.reshape(-1) for value in values])
        distributed.all_reduce(flat)
        parts = torch.split(flat / self.count, [value.numel() for value in values])
        for value, part in zip(values, parts, strict=True):
            value.copy_(part.view_as(value))

    def agree(self, value: float) -> float:
        """What the first of the peers says."""
        said = torch.tensor(value, dtype=torch.float64)
        if self.count > 1:
            distributed.broadcast(said, src=0)
        return float(said)

    def share(self, items: Sequence[T], work: Callable[[T], R]) -> list[R]:
        """Work on every item, each peer on some; the results of all, in the order of the items."""
        done = [work(item) for item in items[self.rank :: self.count]]
        if self.count == 1:
            return done
        gathered: list[list[R]] = [[] for _ in range(self.count)]
        distributed.all_gather_object(gathered, done)
        return [gathered[i % self.count][i // self.count] for i in range(len(items))]


def together(count: int, work: Callable[[Peers], None]) -> None:
    """Do some work in `count` processes of one thread each, or in this one if that is 1.

    The processes see this one's memory as it is: what all need is prepared once, before. It must
    not have trained anything itself, nor started threads.
    """
    if count == 1:
        work(Peers())
        return
    with TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        arguments = (count, meeting, work)
        start_processes(_join, arguments, count, start_method="fork")  # type: ignore[no-untyped-call]


def _join(rank: int, count: int, meeting: str, work: Callable[[Peers], None]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)
    try:
        work(Peers(rank, count))
    finally:
        distributed.destroy_process_group()
