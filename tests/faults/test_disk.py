"""A disk that is full, or cannot be written: refused by name, mended by itself, nothing lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dicom_node.delivery import Outcome
from dicom_node.statuses import SUCCESS, StoreStatus
from tests.accounting import Books
from tests.faults.disks import filled, read_only, small_disk
from tests.instances import spool_of, write_series
from tests.node import Node, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.pacs import ScriptedPacs

#: PS3.8 Table 9-21: rejected-transient.
TRANSIENT = 2
#: PS3.8 Table 9-21: by the service provider, presentation related.
PRESENTATION = 3


@pytest.fixture
def pacs(scripted: ScriptedPacs) -> ScriptedPacs:
    scripted.start()
    return scripted


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 48) as folder:
        yield folder


def to(pacs: ScriptedPacs) -> list[tuple[str, str, int]]:
    return [("pacs", pacs.ae_title, pacs.port)]


def is_admitted(node: Node) -> bool:
    association = node.associate()
    if association.is_established:
        association.release()
    return association.is_released


def test_under_the_reserve_senders_are_sent_away_until_there_is_space(
    tmp_path: Path, disk: Path, pacs: ScriptedPacs
) -> None:
    series, books = write_series(tmp_path / "ct", 4), Books()
    with Node(disk / "node", to(pacs), listener={"disk_reserve_mb": 16}) as node:
        before = node.associate()
        assert before.send_c_store(series.paths[0]).Status == SUCCESS
        with filled(disk, but_mb=12):
            refused = before.send_c_store(series.paths[1])
            assert refused.Status == StoreStatus.OUT_OF_RESOURCES
            eventually(lambda: not is_admitted(node), "a rejection")
            answer = node.associate().acceptor.primitive
            assert (answer.result, answer.result_source) == (TRANSIENT, PRESENTATION)
        before.release()
        eventually(lambda: is_admitted(node), "recovery")
        assert node.send(series.paths).outcome is Outcome.ACKNOWLEDGED
        books.acknowledge_all(series)
        books.balance(node, pacs.reports)
        assert node.states(series)[-1] == "delivered"


def test_a_disk_without_a_byte_left_ends_no_work(
    tmp_path: Path, disk: Path, pacs: ScriptedPacs
) -> None:
    """While the plugin is at work, while a series waits, and while one is being sent."""
    analysing, waiting, sending = (write_series(tmp_path / name, 5) for name in "abc")
    books = Books()
    with Node(disk / "node", to(pacs)) as node:
        node.gate.touch()
        node.send(analysing.paths)
        node.wait_for(analysing, "analysing")
        node.send(waiting.paths)
        with filled(disk):
            assert node.send(sending.paths).outcome is Outcome.TRY_AGAIN
            node.gate.unlink()
            eventually(lambda: "LM403" in node.process.log.read_text(), "the analysis failing")
        assert node.send(sending.paths).outcome is Outcome.ACKNOWLEDGED
        for series in (analysing, waiting, sending):
            books.acknowledge_all(series)
            node.wait_for(series, "delivered")
        books.balance(node, pacs.reports)


@pytest.mark.parametrize("shelf", ["spool", "reports"])
def test_a_folder_that_cannot_be_written_for_a_while(
    tmp_path: Path, pacs: ScriptedPacs, shelf: str
) -> None:
    series, books = write_series(tmp_path / "ct", 4), Books()
    with Node(tmp_path / "node", to(pacs)) as node:
        with read_only(node.folder / "state" / shelf):
            taken = node.send(series.paths).outcome
            if shelf == "spool":
                assert taken is Outcome.TRY_AGAIN
                assert spool_of(node.folder).uids(series.series_uid) == set()
            else:
                assert taken is Outcome.ACKNOWLEDGED
                eventually(lambda: "LM202" in node.process.log.read_text(), "a look that failed")
        assert node.send(series.paths).outcome is Outcome.ACKNOWLEDGED
        books.acknowledge_all(series)
        books.balance(node, pacs.reports)
        assert node.states(series) == ["delivered"]
