"""From the last C-STORE response to the report in Orthanc."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING

from pydicom import dcmread

from benchmarks.instances import write_series
from benchmarks.node import AE_TITLE, SENDER, Node
from benchmarks.results import Result
from deploy.local_pacs import OrthancPacs
from deploy.processes import LOOPBACK, wait_until
from dicom_node import delivery
from dicom_node.config_tables import Destination

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

_COUNT, _ROUNDS = 60, 3
#: The default of Orthanc.
_STABLE_AGE_S = 60
_HOW = f"""\
A series of {_COUNT} instances goes to the node, whose plugin takes no time of its own; the clock \
runs from the last C-STORE response until Orthanc holds the report. Beside it, what a program \
behind Orthanc waits for before it can even begin: Orthanc's event that a series is stable, at \
its default `StableAge` of {_STABLE_AGE_S} s."""


def measure(folder: Path) -> Result:
    """With the sender's own count, by the quiet period, and by Orthanc's StableAge."""
    with ExitStack() as running:
        orthanc = running.enter_context(OrthancPacs(folder / "orthanc"))
        asked = {"host": LOOPBACK, "port": orthanc.dicom_port, "ae_title": orthanc.ae_title}
        pool = running.enter_context(ThreadPoolExecutor(1))
        stable = pool.submit(_stable_age, folder / "stable")
        counted = _rounds(folder / "counted", orthanc, {"completion.query": asked})
        quiet = _rounds(folder / "quiet", orthanc, {})
        rows = (
            ("lesionmark, with the sender's count (C-FIND)", *_cells(counted)),
            ("lesionmark, by its quiet period of 10 s", *_cells(quiet)),
            ("Orthanc's stable event alone, without any analysis", *_cells([stable.result()])),
        )
    return Result(
        "Turn-around",
        _HOW,
        ("", "median, s", "fastest to slowest, s"),
        rows,
        (
            "A peer with a quiet timer of 5 s or 60 s (the defaults of others) cannot begin "
            "earlier than that.",
        ),
        {"counted s": median(counted), "quiet s": median(quiet)},
    )


def _rounds(folder: Path, orthanc: OrthancPacs, tables: dict[str, Any]) -> list[float]:
    node = Node(folder, (orthanc.ae_title, orthanc.dicom_port), tables=tables)
    node.process.start()
    try:
        return [_once(folder / f"ct-{n}", node, orthanc) for n in range(_ROUNDS)]
    finally:
        node.process.kill()


def _once(folder: Path, node: Node, orthanc: OrthancPacs) -> float:
    paths = write_series(folder, _COUNT)
    for path in paths:
        orthanc.upload(path)  # so that it knows how many there are
    peer = Destination(name="node", host=LOOPBACK, port=node.port, ae_title=AE_TITLE)
    delivery.send([(path,) for path in paths], peer, SENDER, timeout_s=30)
    answered = monotonic()
    study_uid = str(dcmread(paths[0], specific_tags=["StudyInstanceUID"]).StudyInstanceUID)
    wait_until(lambda: orthanc.reports(study_uid), "the report", limit_s=60, interval_s=0.02)
    return monotonic() - answered


def _stable_age(folder: Path) -> float:
    """Seconds from the last instance to Orthanc's StableSeries."""
    with OrthancPacs(folder / "orthanc", StableAge=_STABLE_AGE_S) as orthanc:
        for path in write_series(folder / "ct", _COUNT):
            orthanc.upload(path)
        sent = monotonic()

        def is_stable() -> bool:
            changes = orthanc.ask("GET", "/changes?limit=1000")["Changes"]
            return any(change["ChangeType"] == "StableSeries" for change in changes)

        wait_until(is_stable, "StableSeries", limit_s=2 * _STABLE_AGE_S, interval_s=0.2)
        return monotonic() - sent


def _cells(values: list[float]) -> tuple[str, str]:
    return f"{median(values):.2f}", f"{min(values):.2f} to {max(values):.2f}"
