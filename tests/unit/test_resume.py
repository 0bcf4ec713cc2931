"""What a person can ask for beyond what the acceptance tests of the page show."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from benchmarks import past
from dicom_node import config, database, resume
from dicom_node.errors import Busy, UnknownSeries, Useless
from dicom_node.receipts import Receipts
from dicom_node.revisions import Revisions
from dicom_node.spool import Shelf, Spool
from dicom_node.states import SeriesState
from plugin import Analysis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dbos import DBOSClient

NOW = 1_800_000_000.0
DELIVERED = past.Past("1.2.3", SeriesState.DELIVERED, NOW - 60)
SETTINGS = """\
[[listener.sender]]
ae_title = "S"
[[destination]]
name = "pacs"
host = "localhost"
port = 104
ae_title = "P"
[node]
state_dir = "{}"
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[DBOSClient]:
    """A queue that holds one delivered series."""
    settings = config.parse(SETTINGS.format(tmp_path))
    database.prepare(settings)
    past.write(tmp_path / "work.sqlite", [DELIVERED])
    with database.open_client(settings) as opened:
        yield opened


def rows(folder: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "work.sqlite")) as connection, connection:
        return connection.execute(statement).fetchall()


def digest_of(client: DBOSClient) -> str:
    [work] = client.list_workflows(name="analyse")
    return work.workflow_id.split("/")[2]


def test_an_analysis_that_waits_for_its_next_try_is_made_now(
    client: DBOSClient, tmp_path: Path
) -> None:
    rows(tmp_path, "DELETE FROM workflow_status WHERE name = 'deliver'")
    rows(
        tmp_path,
        "UPDATE workflow_status SET status = 'DELAYED', delay_until_epoch_ms = 9e15, "
        "completed_at = NULL",
    )
    assert resume.retry(client, "1.2.3", NOW) == [
        "series 1.2.3: analysis as soon as it is its turn"
    ]
    [(until,)] = rows(tmp_path, "SELECT delay_until_epoch_ms FROM workflow_status")
    assert float(str(until)) < 9e15


def test_an_analysis_that_waits_for_its_turn_is_left_alone(
    client: DBOSClient, tmp_path: Path
) -> None:
    rows(tmp_path, "DELETE FROM workflow_status WHERE name = 'deliver'")
    rows(tmp_path, "UPDATE workflow_status SET status = 'ENQUEUED', completed_at = NULL")
    assert resume.retry(client, "1.2.3", NOW) == []


def test_sending_again_forgets_the_receipts_and_takes_the_next_number(
    client: DBOSClient, tmp_path: Path
) -> None:
    digest, receipts = digest_of(client), Receipts(tmp_path / "reports")
    (tmp_path / "reports" / "1.2.3" / digest).mkdir(parents=True)
    receipts.add("1.2.3", digest, "pacs", tmp_path / "000-report.dcm")
    delivery = ("1.2.3", digest, "pacs")
    assert resume.resend(client, receipts, delivery, NOW) == [
        "series 1.2.3 to pacs: everything again"
    ]
    assert receipts.of(*delivery) == []
    [queued] = client.list_workflows(status="ENQUEUED")
    assert queued.workflow_id == f"deliver/1.2.3/{digest}/pacs/1"
    with pytest.raises(Busy, match="a try is under way"):
        resume.resend(client, receipts, delivery, NOW)


@pytest.mark.parametrize("destination", ["archive", ""])
def test_nothing_is_sent_again_that_was_never_sent(
    client: DBOSClient, tmp_path: Path, destination: str
) -> None:
    with pytest.raises(UnknownSeries, match="nothing of it has gone to"):
        resume.resend(client, Receipts(tmp_path), ("1.2.3", digest_of(client), destination), NOW)


def test_only_another_model_analyses_anew_and_only_what_is_kept(
    client: DBOSClient, tmp_path: Path
) -> None:
    revisions, spool = Revisions(tmp_path / "reports"), Spool(tmp_path / "spool")
    known = revisions.freeze("1.2.3", ["1.2.4"])
    revisions.save(known, Analysis((), ()), "one")
    with pytest.raises(Useless, match="this model has analysed it"):
        resume.analyse_anew(client, revisions, spool, known, "one")
    with pytest.raises(Useless, match="not all instances are kept"):
        resume.analyse_anew(client, revisions, spool, known, "two")
    spool.add(Shelf.SERIES, "1.2.3", "1.2.4", b"x")
    said = resume.analyse_anew(client, revisions, spool, known, "two")
    assert said == ["series 1.2.3 revision 1: analysis anew, as revision 2"]
    [queued] = client.list_workflows(status="ENQUEUED")
    assert queued.workflow_id == f"analyse/1.2.3/{revisions.of('1.2.3')[1].digest}/0"
