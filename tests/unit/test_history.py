from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from benchmarks import past
from dicom_node import config, database
from dicom_node.history import History, count
from dicom_node.ledger import Ledger
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.web import listing
from dicom_node.web.listing import Query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_800_000_000.0


class Kept:
    """A work queue on disk and its history in memory."""

    def __init__(self, folder: Path, series: list[past.Past]) -> None:
        settings = config.parse(
            f'[node]\nstate_dir = "{folder}"\n[[listener.sender]]\nae_title = "S"\n'
            '[[destination]]\nname = "pacs"\nhost = "localhost"\nport = 104\nae_title = "P"\n'
        )
        database.prepare(settings)
        self.file = folder / "work.sqlite"
        self.client = database.connect(settings)
        self.ledger = Ledger(self.client)
        self.now = NOW
        self.asked: list[dict[str, object]] = []
        self.history = History(self, self.ledger.arriving, lambda: self.now)
        past.write(self.file, series)

    def list_workflows(self, **asked: object) -> list[object]:
        self.asked.append(asked)
        return list(self.client.list_workflows(**asked))  # type: ignore[arg-type]

    def run(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(statement, values)


@pytest.fixture(scope="module")
def long_ago() -> list[past.Past]:
    return past.invent(2000, NOW - 60.0)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, long_ago: list[past.Past]) -> Iterator[Kept]:
    kept = Kept(tmp_path_factory.mktemp("large"), long_ago)
    yield kept
    kept.client.destroy()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path, past.invent(100, NOW - 60.0))
    yield kept
    kept.client.destroy()


def test_all_series_are_as_the_ledger_says(large: Kept, long_ago: list[past.Past]) -> None:
    statuses = large.history.statuses()
    assert [status.series_uid for status in statuses] == [
        one.series_uid for one in reversed(long_ago)
    ]
    assert +Counter(count(statuses)) == Counter(one.state for one in long_ago)
    assert sorted(map(repr, large.ledger.all())) == sorted(map(repr, statuses))
    assert statuses[0].whole_at == pytest.approx(long_ago[-1].whole_at)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query("", "", 1), 2000),
        (Query("", "refused", 1), 50),
        (Query("", "failed", 1), 20),
        (Query("", "open", 1), 20),
        (Query("0xA700 PACS", "", 1), 20),
        (Query("0xa700 nowhere", "", 1), 0),
        (Query("00001432", "", 1), 1),
        (Query("only 2 slices", "", 1), 50),
        (Query("only 2 slices", "failed", 1), 0),
    ],
)
def test_search_and_filter(large: Kept, query: Query, expected: int) -> None:
    found = listing.choose(large.history.statuses(), query)
    assert found.total == expected
    assert len(found.rows) == min(expected, listing.ROWS)


def test_pages_follow_each_other_and_end(large: Kept) -> None:
    statuses = large.history.statuses()
    seen = [
        row.series_uid
        for page in range(1, 41)
        for row in listing.choose(statuses, Query("", "", page)).rows
    ]
    assert seen == [status.series_uid for status in statuses]
    last = listing.choose(statuses, Query("", "", 999))
    assert (last.query.page, last.pages) == (40, 40)


def test_what_is_settled_is_not_read_again(small: Kept) -> None:
    small.history.statuses()
    small.asked.clear()
    small.now += 3600
    small.history.statuses()
    assert all("status" in asked or "completed_after" in asked for asked in small.asked)
    assert len(small.asked) == 2


def test_what_is_new_is_seen(small: Kept) -> None:
    small.history.statuses()
    [new] = past.invent(1, NOW)
    new = past.Past("1.2.3", new.state, NOW)
    past.write(small.file, [new])
    small.now += 5
    assert small.history.statuses()[0].series_uid == "1.2.3"


def test_what_is_under_way_is_followed_to_its_end(small: Kept) -> None:
    uid = small.history.statuses()[0].series_uid
    deliver = f"deliver/{uid}/%"
    small.run(
        "UPDATE workflow_status SET status = 'PENDING', completed_at = NULL "
        "WHERE workflow_uuid LIKE ?",
        deliver,
    )
    small.history.reread()
    assert small.history.statuses()[0].state is SeriesState.DELIVERING
    # Its end carries an old time, as of a worker whose clock is late.
    small.run(
        "UPDATE workflow_status SET status = 'SUCCESS', completed_at = 1000 "
        "WHERE workflow_uuid LIKE ?",
        deliver,
    )
    small.now += 5
    found = small.history.statuses()[0]
    assert found.state is SeriesState.DELIVERED
    assert found.deliveries[0].state is DeliveryState.DELIVERED


def test_what_retention_deletes_is_forgotten(small: Kept) -> None:
    uid = small.history.statuses()[0].series_uid
    small.run("DELETE FROM workflow_status WHERE workflow_uuid LIKE ?", f"%/{uid}/%")
    small.history.reread()
    assert uid not in {status.series_uid for status in small.history.statuses()}
    assert small.history.works(uid) == []


def test_works_of_one_series_are_in_order(small: Kept) -> None:
    newest = small.history.statuses()[0]
    assert [work.name for work in small.history.works(newest.series_uid)] == ["analyse", "deliver"]
    assert newest.turnaround_s is not None
    assert 0.4 < newest.turnaround_s < 3
