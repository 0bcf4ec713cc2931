"""Several listening processes on one port."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.processes import LOOPBACK, Died, listens, wait_until
from tests.instances import write_series
from tests.node import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.local_pacs import OrthancPacs


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, orthanc: OrthancPacs) -> Iterator[Node]:
    to = [("pacs", orthanc.ae_title, orthanc.dicom_port)]
    with Node(tmp_path_factory.mktemp("node"), to, listener={"processes": 2}) as running:
        yield running


def children(node: Node) -> set[int]:
    path = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children")
    found = {int(pid) for task in path.parent.parent.iterdir() for pid in pids(task / "children")}
    return {pid for pid in found if b"--attached" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def pids(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except FileNotFoundError:
        return []


def said(node: Node, words: str) -> int:
    return node.process.log.read_text().count(words)


def wait_until_all_said(node: Node, words: str, count: int) -> None:
    wait_until(lambda: said(node, words) == count, f"{count} times {words}", limit_s=60)


def test_one_that_is_killed_is_replaced_and_the_other_goes_on(
    node: Node, orthanc: OrthancPacs, tmp_path: Path
) -> None:
    wait_until_all_said(node, "LM001", 3)
    killed = min(children(node))
    os.kill(killed, signal.SIGKILL)
    series = write_series(tmp_path / "ct", 4)
    node.send(series.paths)
    node.wait_for(series, "delivered")
    assert len(orthanc.reports(series.study_uid)) == 1
    wait_until_all_said(node, "LM001", 4)
    assert killed not in children(node)
    assert len(children(node)) == 2
    assert said(node, "LM111 a listener ended (-9)") == 1


def test_they_stop_in_good_order_though_a_sender_does_not_go(node: Node) -> None:
    association = node.associate()
    node.process.stop()
    assert node.process.returncode == 0
    assert said(node, "LM003") == 3
    wait_until(lambda: association.is_aborted, "the end of the association", limit_s=10)


def test_a_port_that_is_taken_ends_the_node(node: Node) -> None:
    with socket.create_server((LOOPBACK, node.port)), pytest.raises(Died, match="in use"):
        node.process.start()


def test_none_outlives_its_node(node: Node) -> None:
    ready, stopped = said(node, "LM001"), said(node, "LM003")
    node.process.start()
    wait_until_all_said(node, "LM001", ready + 3)
    node.process.kill()
    wait_until_all_said(node, "LM003", stopped + 2)
    assert not listens(node.port)
