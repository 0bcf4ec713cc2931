"""What the C-STORE handler adds to the time that the disk needs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks.instances import write_series
from benchmarks.node import AE_TITLE, SENDER
from benchmarks.receive import Receiver, send
from benchmarks.results import Result
from deploy.processes import LocalProcess, free_port
from dicom_node.arriving import Marks
from dicom_node.audit import Trail
from dicom_node.config_tables import Listener as Settings
from dicom_node.config_tables import Sender
from dicom_node.durable import add_durably
from dicom_node.listener import Listener, Notices
from dicom_node.live import fixed
from dicom_node.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.durable import Buffer

_COUNT = 300
_HOW = f"""\
The same listener within the benchmark's own process, {_COUNT} native instances over one \
association: the time of the handler for one instance, and how much of it the disk took \
(writing, and fsync of file and folder)."""


@dataclass
class _Clock:
    """Times of every instance, seconds."""

    disk: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


class _TimedListener(Listener):
    """Notes how long the handler takes."""

    clock: _Clock

    def handle_store(self, event: Any) -> int:
        """Keep one instance, by the clock."""
        began = perf_counter()
        status = super().handle_store(event)
        self.clock.whole.append(perf_counter() - began)
        return status


def measure(folder: Path) -> Result:
    """Send to a listener whose disk is timed apart."""
    clock = _Clock()

    def timed(target: Path, *pieces: Buffer) -> bool:
        began = perf_counter()
        try:
            return add_durably(target, *pieces)
        finally:
            clock.disk.append(perf_counter() - began)

    with patch("dicom_node.spool.add_durably", timed):
        _receive(folder, clock)
    return _result(clock)


def _receive(folder: Path, clock: _Clock) -> None:
    paths = write_series(folder / "native", _COUNT)
    port = free_port()
    settings = Settings(port=port, sender=(Sender(ae_title=SENDER),), disk_reserve_mb=0)
    spool, marks = Spool(folder / "spool"), Marks(folder / "arriving")
    trail = Trail(AE_TITLE, None, lambda: datetime.now(UTC))
    notices = Notices(*[lambda _: None] * 3)
    _TimedListener.clock = clock
    sop_classes = frozenset({"1.2.840.10008.5.1.4.1.1.2"})
    listener = _TimedListener(fixed(settings), spool, sop_classes, notices, trail, marks)
    listener.start()
    itself = LocalProcess("itself", [], log=folder / "log", answers=lambda: True)
    sender = threading.Thread(
        target=send, args=(paths, Receiver("itself", AE_TITLE, port, itself), 1)
    )
    sender.start()
    sender.join()
    listener.stop(5)
    marks.close()


def _result(clock: _Clock) -> Result:
    own = [whole - disk for whole, disk in zip(clock.whole, clock.disk, strict=True)]
    parts = (("disk", clock.disk), ("everything else in the handler", own))
    rows = tuple(
        (name, f"{_ms(values, 0.5):.2f}", f"{_ms(values, 0.9):.2f}") for name, values in parts
    )
    return Result(
        "The handler beside the disk",
        _HOW,
        ("", "median, ms", "90 % are below, ms"),
        rows,
        numbers={"own ms": _ms(own, 0.5), "disk ms": _ms(clock.disk, 0.5)},
    )


def _ms(values: list[float], share: float) -> float:
    """The time below which that share of the values lies, milliseconds."""
    return 1000 * sorted(values)[int(share * len(values))]
