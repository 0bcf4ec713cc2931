"""Receiving 500 CT instances from DCMTK's storescu, beside Orthanc and two plain Storage SCPs."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.instances import write_series
from benchmarks.node import (
    AE_TITLE,
    NO_DELAY,
    SENDER,
    Node,
    pynetdicom_storescp,
    resident_mib,
    storescp,
)
from benchmarks.results import Result
from deploy.local_pacs import OrthancPacs
from deploy.processes import LOOPBACK, LocalProcess, find_dcmtk, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_COUNT = 500
_PARALLEL = (1, 8)
_ENCODINGS = {"native": "", "JPEG-LS": "-xt"}
_US, _APART, _ORTHANC = "lesionmark", "lesionmark, listener.processes = 2", "Orthanc"
_HOW = f"""\
{_COUNT} CT instances of 512 KiB (native; about half of it in lossless JPEG-LS) from DCMTK's \
`storescu` with `TCP_NODELAY=1`, in seconds for all of them, over one and over eight parallel \
associations. lesionmark runs whole, with its work queue, and answers Success when the bytes, \
the name and the folder of an instance are on disk; Orthanc calls fsync for the bytes; the two \
plain SCPs do not wait for the disk."""


@dataclass(frozen=True)
class Receiver:
    """One Storage SCP that runs."""

    name: str
    ae_title: str
    port: int
    process: LocalProcess


def measure(folder: Path, rounds: int) -> Result:
    """All receivers in turn, `rounds` times."""
    data = {
        name: write_series(folder / name, _COUNT, compressed=bool(option))
        for name, option in _ENCODINGS.items()
    }
    times: dict[tuple[str, str, int], list[float]] = {}
    with ExitStack() as running:
        receivers = _start_all(folder, running)
        before = resident_mib(receivers[0].process.pid or 0)
        for _ in range(rounds):
            for encoding, paths in data.items():
                for parallel in _PARALLEL:
                    for receiver in receivers:
                        took = send(paths, receiver, parallel, _ENCODINGS[encoding])
                        times.setdefault((receiver.name, encoding, parallel), []).append(took)
        after = resident_mib(receivers[0].process.pid or 0)
    return _result(times, [receiver.name for receiver in receivers], (before, after), rounds)


def send(paths: Sequence[Path], to: Receiver, parallel: int, option: str = "") -> float:
    """Send them all, each sender its share, under new UIDs; seconds from start to end."""
    options = ["+IR", str(_COUNT), *([option] if option else [])]
    address = ["-aet", SENDER, "-aec", to.ae_title, LOOPBACK, str(to.port)]
    program = find_dcmtk("storescu") or "storescu"
    began = perf_counter()
    senders = [
        subprocess.Popen(
            [program, *options, *address, *map(str, paths[share::parallel])],
            env=os.environ | NO_DELAY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for share in range(parallel)
    ]
    for sender in senders:
        said, _ = sender.communicate()
        if sender.returncode:
            raise RuntimeError(f"storescu to {to.name}: {said[-300:]}")
    return perf_counter() - began


def _start_all(folder: Path, running: ExitStack) -> list[Receiver]:
    # The series stay open: this is about receiving, not about the work that follows.
    quiet = {"completion": {"quiet_period_s": 3600.0, "cap_s": 7200.0}}
    node = Node(folder / "lesionmark", ("NOBODY", free_port()), tables=quiet)
    own = quiet | {"listener": {"processes": 2}}
    apart = Node(folder / "apart", ("NOBODY", free_port()), tables=own)
    orthanc = OrthancPacs(folder / "orthanc")
    ports = free_port(), free_port()
    receivers = [
        Receiver(_US, AE_TITLE, node.port, node.process),
        Receiver(_APART, AE_TITLE, apart.port, apart.process),
        Receiver(_ORTHANC, orthanc.ae_title, orthanc.dicom_port, orthanc.process),
        Receiver("storescp (DCMTK)", AE_TITLE, ports[0], storescp(folder / "dcmtk", ports[0])),
        Receiver(
            "storescp (pynetdicom)",
            AE_TITLE,
            ports[1],
            pynetdicom_storescp(folder / "pynetdicom", ports[1]),
        ),
    ]
    for receiver in receivers:
        receiver.process.start()
        # In good order: a listener of its own ends with its node.
        running.callback(receiver.process.stop)
    return receivers


def _result(
    times: dict[tuple[str, str, int], list[float]],
    names: list[str],
    resident: tuple[float, float],
    rounds: int,
) -> Result:
    cases = [(encoding, parallel) for encoding in _ENCODINGS for parallel in _PARALLEL]
    columns = ("", *(f"{encoding}, {_associations(n)}" for encoding, n in cases))
    rows = [(name, *(_spread(times[name, *case]) for case in cases)) for name in names]
    ratios = {(us, *case): _ratio(times, us, case) for us in (_US, _APART) for case in cases}
    rows += [
        (f"Orthanc / {us}", *(f"{ratios[us, *case]:.2f}" for case in cases)) for us in (_US, _APART)
    ]
    return Result(
        "Receiving",
        f"{_HOW} {rounds} rounds.",
        columns,
        tuple(rows),
        (
            "The last rows are medians of the ratios of each round; above 1 lesionmark is faster.",
            f"lesionmark had {resident[0]:.0f} MiB in memory before, {resident[1]:.0f} MiB after "
            f"{rounds * len(cases) * _COUNT} instances.",
        ),
        {f"{us}: {encoding} {n}": ratio for (us, encoding, n), ratio in ratios.items()},
    )


def _ratio(times: dict[tuple[str, str, int], list[float]], us: str, case: tuple[str, int]) -> float:
    pairs = zip(times[_ORTHANC, *case], times[us, *case], strict=True)
    return median(theirs / ours for theirs, ours in pairs)


def _spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _associations(count: int) -> str:
    return "1 association" if count == 1 else f"{count} associations"
