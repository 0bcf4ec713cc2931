"""How much a run of torch computes and moves, and the shortest time in which a device can do it.

The floor is that of a roofline (Williams et al. 2009): an operation takes at least as long as its
arithmetic takes at the speed of a large matrix product, and at least as long as reading what goes
in and writing what comes out takes at the speed of a large copy, both measured here and now.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

if TYPE_CHECKING:
    from collections.abc import Callable

#: Edge of the matrices, and bytes of the copy, from which the speeds are measured.
EDGE, COPIED = 4096, 2**28
#: Times that each speed is measured; the best counts.
TRIES = 5


@dataclass(frozen=True)
class Speed:
    """What a device can do at best."""

    #: Multiplications and additions of bf16 matrices, 1/s.
    flops: float
    #: Read and written, bytes/s.
    bytes: float


@dataclass
class Work:
    """What a run did on its device."""

    #: Multiplications and additions.
    flops: int = 0
    #: Read and written by each operation as it is called, bytes.
    bytes: int = 0
    #: The most that its tensors held at a time, bytes; work space of libraries is not in it.
    peak: int = 0
    #: Shortest time for it, s.
    floor_s: float = 0.0


class Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the work of what runs inside on tensors of one type of device."""

    def __init__(self, device: torch.device, speed: Speed) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work = Work()
        self._device, self._speed = device.type, speed
        self._held: dict[int, int] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """One operation."""
        kwargs = kwargs or {}
        with self:  # what it is made of comes here by itself
            result = func.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
        result = func(*args, **kwargs)
        written = self._tensors(result)
        if written and not func.is_view:
            read = self._tensors((args, kwargs))
            moved = sum(each.numel() * each.element_size() for each in read + written)
            self._add(_flops(func, args, kwargs, result), moved)
            for each in written:
                self._hold(each)
        return result

    def _tensors(self, tree: object) -> list[Tensor]:
        leaves = (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
        return [leaf for leaf in leaves if leaf.device.type == self._device]

    def _add(self, flops: int, moved: int) -> None:
        self.work.flops += flops
        self.work.bytes += moved
        self.work.floor_s += max(flops / self._speed.flops, moved / self._speed.bytes)

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._held:
            self._held[key] = storage.nbytes()
            weakref.finalize(storage, self._held.pop, key, None)
        self.work.peak = max(self.work.peak, sum(self._held.values()))


def _flops(func: Any, args: Any, kwargs: Any, result: Any) -> int:
    count: Callable[..., int] | None = flop_registry.get(func.overloadpacket)
    return 0 if count is None else count(*args, **kwargs, out_val=result)


def speed(device: torch.device) -> Speed:
    """What a device does at best."""
    matrix = torch.rand(EDGE, EDGE, device=device).bfloat16()
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Speed(
        flops=2 * EDGE**3 / _best_s(lambda: torch.mm(matrix, matrix), device),
        bytes=2 * COPIED / _best_s(lambda: target.copy_(source), device),
    )


def _best_s(run: Callable[[], object], device: torch.device) -> float:
    def once() -> float:
        synchronise(device)
        began = perf_counter()
        run()
        synchronise(device)
        return perf_counter() - began

    once()
    return min(once() for _ in range(TRIES))


def synchronise(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    if device.type == "mps":
        torch.mps.synchronize()
