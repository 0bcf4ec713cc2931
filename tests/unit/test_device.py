"""Which device the network runs on, and what happens when its memory runs out."""

from __future__ import annotations

import platform
import resource
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import plugin
from plugin.detector import device, load
from plugin.detector.closeup import SHAPE, CloseUpNetwork
from plugin.detector.device import Room
from plugin.detector.lattice import Lattice
from plugin.detector.learned import LearnedDetector
from plugin.detector.network import Architecture, Network
from plugin.detector.response import chunk_length, respond
from plugin.errors import WrongSetting

if TYPE_CHECKING:
    from plugin.detector.network import Maps

SMALL = Architecture(channels=(8, 8, 16, 16), blocks=(1, 1, 1, 1))
GRID = Lattice((0, 0, 0), (2.0, 1.0, 1.0), (100, 16, 16), np.eye(3, 4))
#: More than any machine has.
TOO_MUCH = 2**60

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no glibc here")


@pytest.mark.parametrize(
    ("here", "chosen"),
    [({"cuda", "mps"}, "cuda"), ({"cuda"}, "cuda"), ({"mps"}, "mps"), (set(), "cpu")],
)
def test_the_fastest_device_is_chosen(
    monkeypatch: pytest.MonkeyPatch, here: set[str], chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in here)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in here)
    assert device.choose("auto").type == chosen
    assert device.choose("cpu").type == "cpu"
    for kind in here:
        assert device.choose(kind).type == kind


def test_a_device_that_is_not_there_is_named_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(WrongSetting, match=r'^device: there is no "cuda" here \(.* mps, cpu\)$'):
        device.choose("cuda")


@pytest.mark.parametrize("wrong", ["gpu", "", 0, None, ["cpu"]])
def test_an_unknown_device_is_a_wrong_setting(wrong: object) -> None:
    with pytest.raises(WrongSetting, match=r'^device: must be one of "auto", "cuda", "mps", "cpu"'):
        plugin.load({"module": "plugin.analysis", "device": wrong})


def test_the_setting_reaches_the_detector() -> None:
    analysis = plugin.load({"module": "plugin.analysis", "device": "cpu"})
    assert isinstance(analysis.detector, LearnedDetector)  # type: ignore[attr-defined]
    assert analysis.detector.device.type == "cpu"  # type: ignore[attr-defined]


class Cramped(Network):
    """Runs out of memory on more than `most` slices, as the allocator of the processor does."""

    def __init__(self, most: int) -> None:
        super().__init__(SMALL)
        self.most = most
        #: Slices of each call.
        self.calls: list[int] = []

    def forward(self, x: torch.Tensor) -> Maps:
        self.calls.append(x.shape[2])
        if x.shape[2] > self.most:
            torch.empty(TOO_MUCH, dtype=torch.uint8)
        return super().forward(x)


class Outliner(CloseUpNetwork):
    """Remembers what it was asked."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        #: Voxels (z, y, x) of each call.
        self.calls: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(tuple(x.shape[2:]))
        return super().forward(x)


def _cramped(most: int) -> Cramped:
    torch.manual_seed(0)
    network = Cramped(most).eval().requires_grad_(False)
    assert network.heads.bias is not None
    network.heads.bias[0] = 0.0  # sees lesions everywhere
    network.heads.weight[0] *= 60.0
    return network


def _hu() -> torch.Tensor:
    noise = np.random.default_rng(0).normal(-500, 300, (1, 1, *GRID.shape))
    return torch.from_numpy(noise.astype(np.float32))


def test_half_as_much_is_tried_when_memory_runs_out() -> None:
    network, room = _cramped(most=30), Room()

    found = respond(network, _hu(), GRID, room)

    assert max(network.calls[-5:]) <= 30 < network.calls[0]
    assert (device.VOXELS // room.voxels).bit_count() == 1
    expected = respond(_cramped(most=100), _hu(), GRID, Room(room.voxels))
    assert found
    assert found == expected


def test_what_there_is_room_for_is_remembered() -> None:
    network, room = _cramped(most=30), Room()
    respond(network, _hu(), GRID, room)
    network.calls.clear()
    respond(network, _hu(), GRID, room)
    assert max(network.calls) <= 30


def test_a_device_with_no_memory_at_all_is_an_error() -> None:
    network = _cramped(most=0)
    with pytest.raises(RuntimeError, match="memory"):
        respond(network, _hu(), GRID, Room())
    assert network.calls[-1] == 16  # eight slices, and at the beginning those on one side


@pytest.mark.parametrize(("edge", "length"), [(64, 48), (320, 48), (360, 48), (500, 16), (900, 8)])
def test_wide_slices_are_computed_in_shorter_chunks(edge: int, length: int) -> None:
    grid = Lattice((0, 0, 0), (2.0, 1.0, 1.0), (300, edge, edge), np.eye(3, 4))
    assert chunk_length(grid, Room()) == length


def test_other_errors_of_the_network_are_not_tried_again() -> None:
    network = _cramped(most=100)
    network.heads = torch.nn.Identity()  # the wrong number of channels
    with pytest.raises(RuntimeError, match="split"):
        respond(network, _hu(), GRID, Room())
    assert len(network.calls) == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_that_mean_too_little_memory(error: Exception, expected: bool) -> None:
    assert device.is_out_of_memory(error) is expected


def test_a_warm_up_leaves_the_room_as_it_is() -> None:
    network, outliner = _cramped(most=100), Outliner(SMALL)
    detector = LearnedDetector(network, outliner, torch.device("cpu"), "test")
    detector.warm_up()
    assert network.calls == [16]
    assert outliner.calls == [SHAPE]
    assert detector.room == Room()


#: Bytes of a block as large as the output of a layer.
BLOCK = 2**27


def _faults(found: list[int]) -> None:
    """Pages that the system hands out for each of three blocks, one after the other.

    Each is a little smaller than the one before, because room for its alignment is needed too.
    """
    for size in (BLOCK, BLOCK - 2**16, BLOCK - 2**17):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        block = torch.ones(size, dtype=torch.uint8)  # numpy asks for huge pages
        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
        del block


@glibc
def test_memory_is_kept_from_layer_to_layer_in_every_thread() -> None:
    device.keep_memory()
    found: list[int] = []
    thread = Thread(target=_faults, args=(found,))
    thread.start()
    thread.join()
    assert max(found[1:]) < BLOCK / resource.getpagesize() / 20


@glibc
def test_memory_is_given_back_after_a_series() -> None:
    device.keep_memory()
    _faults([])
    before = _resident()
    device.return_memory()
    assert _resident() < before - BLOCK / 2


def _resident() -> int:
    """Bytes of this process that are in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def test_elsewhere_than_on_glibc_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(device.ctypes, "CDLL", None)
    device.keep_memory()
    device.return_memory()
    assert load("cpu").version.startswith("lesionmark")
