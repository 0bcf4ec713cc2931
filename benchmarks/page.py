"""How fast the status page opens with ten thousand series in the history."""

from __future__ import annotations

import time
from http.client import HTTPConnection
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks import past
from benchmarks.node import Node
from benchmarks.results import Result
from deploy.processes import LOOPBACK, free_port
from dicom_node import config, database

if TYPE_CHECKING:
    from pathlib import Path

_SERIES: Final = 10_000
_ROUNDS: Final = 15
_HOW: Final = f"""\
The work queue of a node holds {_SERIES:,} series, one a minute: of 40 one was refused, of 97 one \
could not be delivered. The clock runs from the request to the last byte of the page, over a \
connection of its own on the loopback; {_ROUNDS} requests of each kind, in turn."""


def measure(folder: Path) -> Result:
    """The pages one after the other, and the first one after a start."""
    port = free_port()
    node = Node(folder, ("NOBODY", free_port()), tables={"web": {"port": port}})
    database.prepare(config.load(node.config))
    series = past.invent(_SERIES, time.time() - 3600.0)
    past.write(folder / "state" / "work.sqlite", series)
    node.process.start()
    try:
        first = _seconds(port, "/series")
        pages = _pages(series[_SERIES // 2])
        rounds = [{name: _seconds(port, path) for name, path in pages} for _ in range(_ROUNDS)]
    finally:
        node.process.kill()
    times = {name: [one[name] for one in rounds] for name, _ in pages}
    rows = [(name, *_cells(of_one)) for name, of_one in times.items()]
    return Result(
        "The status page",
        _HOW,
        ("", "median, ms", "fastest to slowest, ms"),
        tuple(rows),
        (
            f"The first page after a start took {first:.1f} s: the history is read once as a "
            "whole, and from then on only what has changed.",
        ),
        {f"{name} s": median(of_one) for name, of_one in times.items()},
    )


def _pages(one: past.Past) -> list[tuple[str, str]]:
    return [
        ("the overview", "/"),
        ("the list", "/series"),
        ("its last page", f"/series?page={_SERIES // 50}"),
        ("a search for a UID", f"/series?q={one.series_uid}"),
        ("a search for words of a reason", "/series?q=out+of+resources"),
        ("a filter by state", "/series?state=failed"),
        ("one series", f"/series/{one.series_uid}"),
    ]


def _seconds(port: int, path: str) -> float:
    """How long one page takes; the node has said that it is ready."""
    began = time.perf_counter()
    connection = HTTPConnection(LOOPBACK, port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    took = time.perf_counter() - began
    if answer.status != 200 or b"</html>" not in text:
        raise RuntimeError(f"{path}: status {answer.status}")
    return took


def _cells(times: list[float]) -> tuple[str, str]:
    middle, low, high = (1000 * value for value in (median(times), min(times), max(times)))
    return f"{middle:.0f}", f"{low:.0f} to {high:.0f}"
