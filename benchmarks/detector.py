"""How fast the shipped detector is, and how much memory it takes, beside MONAI's RetinaNet.

    python -m benchmarks.detector                    # 300 slices of 512 x 512, both detectors
    python -m benchmarks.detector --alone            # without MONAI (extra "bench")
    python -m benchmarks.detector --alone --slices 2000 --slice-mm 0.5 --repeat 1

From a volume in memory to bookmarks or boxes. The two take turns, so that what else the machine
does weighs on both alike, and the ratio is that of pairs.
"""

from __future__ import annotations

import resource
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Final

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.chest import chest
from benchmarks.work import Count, Speed, Work, speed, synchronise
from plugin.analysis import DEFAULT_THRESHOLD
from plugin.detector.device import KINDS, choose
from plugin.detector.learned import shipped
from plugin.measure import measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin.detector.learned import LearnedDetector
    from plugin.volume import Volume

#: Linux: writing 5 here lets the peak of the resident memory start anew (proc(5)).
_CLEAR: Final = Path("/proc/self/clear_refs")
GIB: Final = 2**30

out = Console()


@dataclass(frozen=True)
class Run:
    """One run of one detector."""

    #: From start to end, s.
    wall_s: float
    #: Of all cores together, s.
    cpu_s: float
    #: The most that the process had in memory, with the volume, bytes.
    resident: int
    #: The most that was allocated on a CUDA device, bytes.
    device: int
    #: Bookmarks or boxes.
    found: int


@dataclass(frozen=True)
class Contender:
    """A detector that takes part."""

    #: For a person.
    name: str
    #: From a volume to the number of lesions.
    find: Callable[[Volume], int]


def main() -> None:
    """Time, count, print."""
    arguments = _arguments()
    device = choose(arguments.device)
    volume, name = chest(arguments.slices, arguments.slice_mm)
    contenders = _contenders(device, 0 if arguments.alone else arguments.patch_slices)
    rows, columns = volume.hu.shape[1:]
    out.print(f"{arguments.slices} slices of {rows} x {columns} ({name}) on {_describe(device)}")
    runs = [_turn(contenders, volume, device) for _ in range(arguments.repeat)]
    out.print(_table(contenders, runs))
    if arguments.work:
        _print_work(contenders, volume, device)


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.detector", description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--slice-mm", type=float, default=1.0, help="distance of slices, mm")
    parser.add_argument("--repeat", type=int, default=3, help="turns of each detector")
    parser.add_argument("--device", choices=KINDS, default="auto")
    parser.add_argument("--alone", action="store_true", help="without MONAI")
    parser.add_argument(
        "--patch-slices", type=int, default=192, help="voxels along z that MONAI sees at a time"
    )
    parser.add_argument(
        "--work", action="store_true", help="count arithmetic, traffic and memory in one more run"
    )
    return parser.parse_args()


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def _contenders(device: torch.device, patch_slices: int) -> list[Contender]:
    """Ours, and with `patch_slices` MONAI's."""
    detector = shipped(device.type)
    detector.warm_up()
    ours = Contender("lesionmark", lambda volume: _bookmarks(detector, volume))
    if not patch_slices:
        return [ours]
    if find_spec("monai") is None:
        raise SystemExit("monai is not installed: pip install '.[bench]', or use --alone")
    from benchmarks import retinanet

    theirs = retinanet.build(device, patch_slices)
    return [ours, Contender("MONAI", lambda volume: retinanet.detect(theirs, volume, device))]


def _bookmarks(detector: LearnedDetector, volume: Volume) -> int:
    """What a series is analysed for: lesions that are reported, measured."""
    found = detector.detect(volume, DEFAULT_THRESHOLD)
    return len([measure(each.mask, each.offset, volume) for each in found])


def _turn(contenders: list[Contender], volume: Volume, device: torch.device) -> list[Run]:
    """Each detector once."""
    return [_timed(each, volume, device) for each in contenders]


def _timed(contender: Contender, volume: Volume, device: torch.device) -> Run:
    _forget_peak(device)
    wall, cpu = perf_counter(), process_time()
    found = contender.find(volume)
    synchronise(device)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    on_device = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return Run(wall, cpu, _peak_resident(), on_device, found)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    if _CLEAR.exists():
        _CLEAR.write_text("5", encoding="ascii")


def _peak_resident() -> int:
    """Since it was forgotten on Linux, since the start elsewhere; bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (line,) = (x for x in status.read_text(encoding="ascii").splitlines() if "VmHWM" in x)
    return int(line.split()[1]) * 1024


def _table(contenders: list[Contender], runs: list[list[Run]]) -> Table:
    """Medians of the turns, and the ratio to the first detector turn by turn."""
    table = Table("detector", "s", "CPU s", "GiB resident", "GiB device", "found", "times ours")
    for index, contender in enumerate(contenders):
        own = [turn[index] for turn in runs]
        table.add_row(
            contender.name,
            f"{median(run.wall_s for run in own):.2f}",
            f"{median(run.cpu_s for run in own):.2f}",
            f"{max(run.resident for run in own) / GIB:.2f}",
            f"{max(run.device for run in own) / GIB:.2f}",
            str(own[0].found),
            f"{median(turn[index].wall_s / turn[0].wall_s for turn in runs):.1f}"
            f" (CPU {median(turn[index].cpu_s / turn[0].cpu_s for turn in runs):.1f})",
        )
    return table


def _print_work(contenders: list[Contender], volume: Volume, device: torch.device) -> None:
    can = speed(device)
    out.print(f"best here: {can.flops / 1e12:.2f} Tflop/s bf16, {can.bytes / 1e9:.1f} GB/s copied")
    table = Table("detector", "Tflop", "GB moved", "GiB tensors at a time", "floor s", "s / floor")
    for contender in contenders:
        work = _count(contender, volume, device, can)
        run = _timed(contender, volume, device)
        table.add_row(
            contender.name,
            f"{work.flops / 1e12:.2f}",
            f"{work.bytes / 1e9:.1f}",
            f"{work.peak / GIB:.2f}",
            f"{work.floor_s:.2f}",
            f"{run.wall_s / work.floor_s:.2f}",
        )
    out.print(table)


def _count(contender: Contender, volume: Volume, device: torch.device, can: Speed) -> Work:
    count = Count(device, can)
    with count:
        contender.find(volume)
    return count.work


if __name__ == "__main__":
    main()
