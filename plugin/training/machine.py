"""How precisely a run multiplies, and in how many processes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from plugin.training.config import InvalidConfig

#: Names of a configuration.
AUTO, SINGLE, HALF = "auto", "float32", "bfloat16"


def check_processes(count: int, device: torch.device) -> None:
    """Raises InvalidConfig for more than one process anywhere but on a CPU."""
    if count > 1 and device.type != "cpu":
        raise InvalidConfig(f"machine.processes: {count} need the CPU, not {device.type}")


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """What convolutions are computed in; weights, their average and losses stay in float32.

    bfloat16 needs no scaling of the loss, having the range of float32. Raises InvalidConfig.
    """
    if name not in (AUTO, SINGLE, HALF):
        raise InvalidConfig(f"machine.precision: {name} is not one of {AUTO}, {SINGLE}, {HALF}")
    half = name == HALF or (name == AUTO and _multiplies_half(device))
    return torch.bfloat16 if half else torch.float32


def _multiplies_half(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32; where it is emulated it is slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def mixed(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """The context in which the network is computed in that precision."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, precision)
