"""Where the network runs, in which precision, and how much memory it gets there."""

from __future__ import annotations

import ctypes
import platform
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

import torch

from plugin import Facts
from plugin.errors import WrongSetting

#: Kinds of device, the fastest first, and "auto" for the first that is there.
KINDS: Final = ("auto", "cuda", "mps", "cpu")
#: Voxels that the network computes at a time, where memory is not short; about 1 GB of maps.
VOXELS = 2**23
#: What allocators say that raise no error of their own class.
_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED")
#: Numbers of mallopt's parameters (malloc.h of glibc).
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


@dataclass
class Room:
    """How much fits into the memory of a device; learned by running out of it."""

    #: Voxels that the network computes at a time.
    voxels: int = VOXELS


def choose(kind: str) -> torch.device:
    """The device for a setting. Raises WrongSetting when there is none of that kind here."""
    if kind not in KINDS:
        names = ", ".join(f'"{name}"' for name in KINDS)
        raise WrongSetting(f"device: must be one of {names} (it is {kind!r})")
    here = available()
    if kind != "auto" and kind not in here:
        raise WrongSetting(f'device: there is no "{kind}" here (there is {", ".join(here)})')
    return torch.device(here[0] if kind == "auto" else kind)


def available() -> list[str]:
    """The kinds of device that this machine has, the fastest first."""
    has = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    return [kind for kind in KINDS if has.get(kind)]


def facts(device: torch.device, model: str, weights_sha256: str) -> Facts:
    """What runs on a device, and how much of its memory is in use."""
    name, total, used = platform.machine(), None, None
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        free, total = torch.cuda.mem_get_info(device)
        used = total - free
    elif device.type == "mps":
        total, used = torch.mps.recommended_max_memory(), torch.mps.driver_allocated_memory()
    return Facts(model, weights_sha256, device.type, name, total, used)


def precision(device: torch.device) -> AbstractContextManager[object]:
    """Half precision where the device computes it faster than single precision.

    It is emulated, and slower, on processors without AVX-512 BF16; on MPS nobody has measured it.
    """
    if device.type == "cuda":
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.autocast("cuda", torch.bfloat16 if has_bf16 else torch.float16)
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()


def is_out_of_memory(error: Exception) -> bool:
    """Whether an allocator had too little; only that of CUDA has an error for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _NO_MEMORY)


def keep_memory() -> None:
    """Let glibc keep what one layer has freed for the next one; elsewhere nothing.

    By default it returns blocks of this size to the system at once and asks for them again,
    zeroed page by page. Threads share one arena, because those of their own hold at most 64 MiB.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_ARENA_MAX, 1)):
            mallopt(parameter, value)


def return_memory() -> None:
    """Give the system back what is kept and not used, until the next series."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
