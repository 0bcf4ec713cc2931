"""The file of the work queue is damaged or lost: named at start, and nothing received is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_node.spool import Shelf
from tests.accounting import Books
from tests.instances import instance, spool_of, write_series
from tests.node import Node, eventually
from tests.pacs import ScriptedPacs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.instances import WrittenSeries


class Killed:
    """A node that was killed with one series reported, one about to be, one set aside."""

    def __init__(self, folder: Path, pacs: ScriptedPacs) -> None:
        pacs.start()
        self.pacs = pacs
        self.node = Node(folder / "node", [("pacs", pacs.ae_title, pacs.port)])
        self.queue = self.node.folder / "state" / "work.sqlite"
        self.reported = write_series(folder / "reported", 5)
        self.waiting = write_series(folder / "waiting", 5)
        with self.node as node:
            node.send(self.reported.paths)
            node.wait_for(self.reported, "delivered")
            node.send([*self.waiting.paths, aside(folder, self.waiting)])

    def balance(self) -> None:
        """Everything is reported once."""
        books = Books()
        for series in (self.reported, self.waiting):
            books.acknowledge_all(series)
            self.node.wait_for(series, "delivered")
        books.balance(self.node, self.pacs.reports)
        assert len(self.pacs.requests) == 2
        assert len(spool_of(self.node.folder).held(self.waiting.series_uid, Shelf.ASIDE)) == 1


def aside(folder: Path, series: WrittenSeries) -> Path:
    capture = instance(series.series_uid, series.study_uid, 99)
    capture.SOPClassUID = capture.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    path = folder / "capture.dcm"
    capture.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    found = Killed(tmp_path_factory.mktemp("queue"), ScriptedPacs())
    yield found
    found.node.process.kill()
    found.pacs.stop()


def overwrite_start(queue: Path) -> None:
    with queue.open("r+b") as file:
        file.write(b"no database any more" * 10)


def overwrite_middle(queue: Path) -> None:
    with queue.open("r+b") as file:
        file.seek(queue.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xee" * 4096 * 8)


def cut_off(queue: Path) -> None:
    with queue.open("r+b") as file:
        file.truncate(queue.stat().st_size // 2 + 100)


@pytest.mark.parametrize("damage", [overwrite_start, overwrite_middle, cut_off])
def test_a_damaged_queue_is_named_with_what_to_do(
    killed: Killed, damage: Callable[[Path], None]
) -> None:
    # What lies in the write-ahead log would mend the pages that are damaged here.
    with closing(sqlite3.connect(killed.queue)) as queue:
        queue.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = killed.queue.read_bytes()
    damage(killed.queue)
    ran = killed.node.call("serve")
    killed.queue.write_bytes(whole)
    assert ran.returncode == 1
    assert f"{killed.queue}: damaged: " in ran.stderr
    assert "Move work.sqlite and everything named work.sqlite-* to another folder" in ran.stderr


def test_a_queue_that_is_moved_away_is_rebuilt_from_the_spool(killed: Killed) -> None:
    for path in killed.queue.parent.glob("work.sqlite*"):
        path.rename(killed.node.folder / path.name)
    killed.node.process.start()
    killed.balance()
    eventually(
        lambda: ("aside", killed.waiting.series_uid) in killed.node.retiring(),
        "the retention of what was set aside",
    )
