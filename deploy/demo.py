"""`make demo`: a series goes through the node by DICOM, and its report comes back from a PACS.

SERIES=FOLDER takes DICOM of your own in place of a phantom; KEEP=1 leaves everything running.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from deploy.demo_node import NODE_AE_TITLE, DemoNode, Unreported
from deploy.demo_results import fetch, lesion_table, truth_table, unknown
from deploy.demo_series import find_series
from deploy.local_pacs import start_local_pacs
from deploy.processes import LOOPBACK, Died, NotInTime
from dicom_node.errors import NodeError
from plugin.datasets import phantom
from plugin.report import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.demo_results import Fetched
    from deploy.local_pacs import LocalPacs
    from deploy.processes import LocalProcess

#: Paths and UIDs are printed as they are: not wrapped, no colours, brackets kept.
out = Console(markup=False, highlight=False, soft_wrap=True)

#: Everything that a demo makes, in a folder of its own below this one.
OUTPUT = Path("demo-output")


@dataclass(frozen=True)
class Order:
    """What the person asked for."""

    #: Folder of DICOM to send; None for the phantom.
    series: Path | None
    #: Whether the PACS and the node go on running afterwards.
    keep: bool
    #: Where everything that this run makes is put.
    folder: Path


def main() -> int:
    """Run the demo; returns the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    order = read_order(os.environ, datetime.now().astimezone())
    try:
        run(order)
    except (Died, NotInTime, NodeError, Unreported) as error:
        out.print(f"The demo failed: {error}", style="red")
        out.print(f"What there is of it is in {order.folder}")
        return 1
    except KeyboardInterrupt:
        out.print("Interrupted; everything that was started has been stopped.")
        return 130
    return 0


def read_order(environment: Mapping[str, str], now: datetime) -> Order:
    """The order that make passes on in environment variables."""
    series = environment.get("SERIES")
    return Order(
        series=Path(series) if series else None,
        keep=environment.get("KEEP", "") not in ("", "0"),
        folder=OUTPUT.resolve() / f"{now:%Y%m%d-%H%M%S}",
    )


def run(order: Order) -> list[LocalProcess]:
    """The demo, step by step; returns what it left running.

    Raises Died, NotInTime, NodeError or Unreported, which say what went wrong.
    """
    truth = () if order.series else make_phantom(order.folder / "phantom")
    folder = order.series or order.folder / "phantom"
    series = find_series(folder)
    with ExitStack() as started:
        pacs = start_pacs(order.folder / "pacs", started)
        node = start_node(order.folder / "node", pacs, started)
        send(folder, pacs, node)
        delivered = node.wait_for(series, out.print)
        reports = fetch(delivered, pacs, order.folder)
        show(reports, truth)
        tell_where(order, pacs, reports)
        if not order.keep:
            return []
        started.pop_all()
    tell_how_to_stop([pacs.process, node.process])
    return [pacs.process, node.process]


def make_phantom(folder: Path) -> tuple[phantom.Lesion, ...]:
    """Draw a chest with known lesions; returns the truth about them."""
    out.print("Drawing a chest phantom with known lesions")
    return phantom.make(folder)


def start_pacs(folder: Path, started: ExitStack) -> LocalPacs:
    """A PACS that answers, and that ends with `started`."""
    pacs = start_local_pacs(folder)
    started.callback(pacs.process.stop)
    out.print(f"Started a PACS: {pacs.description}")
    return pacs


def start_node(folder: Path, pacs: LocalPacs, started: ExitStack) -> DemoNode:
    """A node that answers, and that ends with `started`."""
    node = DemoNode(folder, pacs)
    started.callback(node.process.stop)
    node.process.start()
    out.print(f"Started the node: {NODE_AE_TITLE} at {LOOPBACK}:{node.port}, {node.config}")
    out.print(f"Its status page: {node.page}", soft_wrap=True)
    return node


def send(folder: Path, pacs: LocalPacs, node: DemoNode) -> None:
    """Send the instances as a scanner would: to the PACS, which forwards them to the node.

    Where it cannot, or did not take all, the node gets them from us. Raises Unreported when the
    node does not take all of them either.
    """
    forwards = pacs.forward_to(NODE_AE_TITLE, node.port)
    out.print(f"Sending {folder} to the PACS by C-STORE")
    is_taken = node.send(folder, pacs.ae_title, pacs.dicom_port)
    if forwards and is_taken:
        out.print("The PACS forwards each series to the node as soon as it is stable")
        return
    if not is_taken:
        out.print("The PACS did not take all of it. It need not, for a report.", style="yellow")
    out.print(f"Sending {folder} to the node by C-STORE")
    if not node.send(folder, NODE_AE_TITLE, node.port):
        raise Unreported("the node did not take all of it")


def show(reports: list[Fetched], truth: tuple[phantom.Lesion, ...]) -> None:
    """Print what the reports say, and how it compares to the truth where that is known."""
    for report in reports:
        out.print(f"\n{report.path.name}, on series {report.series_instance_uid}:")
        out.print(lesion_table(report) if report.bookmarks else text.NO_LESION)
        if truth:
            out.print(truth_table(truth, report))
            out.print(f"Not a known lesion: {', '.join(unknown(truth, report)) or 'none'}")


def tell_where(order: Order, pacs: LocalPacs, reports: list[Fetched]) -> None:
    """Say where everything is."""
    out.print(f"\nReports and pictures of the key slices: {order.folder}")
    for report in reports:
        for path in (report.path, *report.pictures):
            out.print(f"  {path.relative_to(order.folder)}")
    out.print(f"Log of the node: {order.folder / 'node' / 'node.log'}")
    out.print(f"PACS: {pacs.description}")
    out.print(f"{text.RESEARCH_USE}.", style="bold")


def tell_how_to_stop(processes: list[LocalProcess]) -> None:
    """Say how to end what was left running."""
    pids = " ".join(str(process.pid) for process in processes)
    out.print(f"Both are still running. Stop them with: kill {pids}")


if __name__ == "__main__":
    sys.exit(main())
