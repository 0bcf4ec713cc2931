"""However a sender cuts a series into associations, it ends in one report on all of it."""

from __future__ import annotations

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from deploy.processes import LOOPBACK, find_dcmtk
from dicom_node import delivery
from dicom_node.delivery import Outcome
from tests.accounting import Books
from tests.conftest import missing
from tests.instances import spool_of, write_series
from tests.node import SENDER, Node
from tests.pacs import ScriptedPacs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.instances import WrittenSeries


class Running:
    """A node and the destination of its reports."""

    def __init__(self, folder: Path) -> None:
        self.pacs = ScriptedPacs()
        self.pacs.start()
        self.node = Node(folder / "node", [("pacs", self.pacs.ae_title, self.pacs.port)])

    def reports(self, series: WrittenSeries) -> list[str]:
        """The reports on a study in words."""
        kept = [r for r in self.pacs.kept if r.StudyInstanceUID == series.study_uid]
        return sorted(report.StudyDescription for report in kept)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    both = Running(tmp_path_factory.mktemp("associations"))
    with both.node:
        yield both
    both.pacs.stop()


def send(node: Node, paths: Sequence[Path], calling: str = SENDER) -> Outcome:
    """Over one association."""
    return delivery.send([(path,) for path in paths], node.peer, calling, timeout_s=30).outcome


def test_one_association_for_each_instance(running: Running, tmp_path: Path) -> None:
    series = write_series(tmp_path, 6)
    assert {send(running.node, [path]) for path in series.paths} == {Outcome.ACKNOWLEDGED}
    running.node.wait_for(series, "delivered")
    assert running.reports(series) == ["6 instances"]


def test_one_association_for_a_study(running: Running, tmp_path: Path) -> None:
    first = write_series(tmp_path / "a", 3)
    others = [write_series(tmp_path / n, 4, study_uid=first.study_uid) for n in "bc"]
    paths = [path for series in (first, *others) for path in series.paths]
    assert send(running.node, paths) is Outcome.ACKNOWLEDGED
    for series in (first, *others):
        running.node.wait_for(series, "delivered")
    assert running.reports(first) == ["3 instances", "4 instances", "4 instances"]


def test_parallel_associations_share_a_series(running: Running, tmp_path: Path) -> None:
    """Every instance comes twice, over two of the four."""
    series = write_series(tmp_path, 12)
    parts = [series.paths[n % 4 :: 4] + series.paths[(n + 1) % 4 :: 4] for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = set(pool.map(lambda part: send(running.node, part), parts))
    assert outcomes == {Outcome.ACKNOWLEDGED}
    running.node.wait_for(series, "delivered")
    assert running.reports(series) == ["12 instances"]


def test_one_series_from_several_senders(running: Running, tmp_path: Path) -> None:
    series = write_series(tmp_path, 6)
    assert send(running.node, series.paths[:4], "SENDER") is Outcome.ACKNOWLEDGED
    assert send(running.node, series.paths[2:], "ORTHANC") is Outcome.ACKNOWLEDGED
    running.node.wait_for(series, "delivered")
    assert running.reports(series) == ["6 instances"]


@contextmanager
def cutting(port: int, after: int) -> Iterator[int]:
    """A port that leads to another one, until that many bytes have gone there."""
    with socket.create_server((LOOPBACK, 0)) as server:
        thread = Thread(target=_lead, args=(server, port, after))
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def _lead(server: socket.socket, port: int, after: int) -> None:
    there, _ = server.accept()
    with there, socket.create_connection((LOOPBACK, port)) as node:
        back = Thread(target=_copy, args=(node, there, 1 << 30))
        back.start()
        _copy(there, node, after)
        for end in (node, there):
            end.shutdown(socket.SHUT_RDWR)
        back.join()


def _copy(source: socket.socket, target: socket.socket, most: int) -> None:
    try:
        while most and (data := source.recv(min(most, 4096))):
            target.sendall(data)
            most -= len(data)
    except OSError:  # the other direction has been cut
        return


def storescu(port: int, paths: Sequence[Path]) -> int:
    """Send with DCMTK; how many instances were answered with Success."""
    program = find_dcmtk("storescu")
    if program is None:
        missing("DCMTK (storescu)")
    called = ["-v", "-aet", SENDER, "-aec", "LESIONMARK", LOOPBACK, str(port)]
    ran = subprocess.run(
        [program, *called, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return (ran.stdout + ran.stderr).count("Received Store Response (Success)")


@pytest.mark.parametrize("after", [100, 9900, 11000, 13000, 15500])
def test_a_sender_that_is_cut_off_anywhere(running: Running, tmp_path: Path, after: int) -> None:
    """Within the request for the association, within an instance, between two."""
    series, books = write_series(tmp_path, 6), Books()
    with cutting(running.node.port, after) as port:
        acknowledged = storescu(port, series.paths)
    held = spool_of(running.node.folder).uids(series.series_uid)
    assert acknowledged < 6
    assert len(held) in (acknowledged, acknowledged + 1)
    assert storescu(running.node.port, series.paths) == 6
    books.acknowledge_all(series)
    books.balance(running.node, running.pacs.reports)
    assert "6 instances" in running.reports(series)
