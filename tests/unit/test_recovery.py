from __future__ import annotations

import os
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy.exc import OperationalError

from dicom_node.ledger import Ledger
from dicom_node.live import fixed
from dicom_node.recovery import Recovery
from dicom_node.revisions import Revisions
from dicom_node.spool import Shelf, Spool
from dicom_node.work import ANALYSE, DELIVER, RETIRE, SETTLE, AnalysisId

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dbos import WorkflowStatus

    from dicom_node.workflow import Workflows


class Queue:
    """What a work queue holds, found by what these tests ask for."""

    def __init__(self) -> None:
        self.rows: list[WorkflowStatus] = []

    def add(
        self,
        name: str,
        workflow_id: str,
        status: str,
        *arguments: str,
        error: Exception | None = None,
        worker: str = "me",
    ) -> None:
        row = SimpleNamespace(
            name=name,
            workflow_id=workflow_id,
            status=status,
            input={"args": arguments},
            error=error,
            executor_id=worker,
        )
        self.rows.append(cast("WorkflowStatus", row))

    def list_workflows(self, **asked: Any) -> list[WorkflowStatus]:
        names, states = _several(asked.get("name")), _several(asked.get("status"))
        worker = asked.get("executor_id")
        return [
            row
            for row in self.rows
            if (not names or row.name in names)
            and (not states or row.status in states)
            and worker in (None, row.executor_id)
        ]


def _several(wanted: str | list[str] | None) -> list[str]:
    return [wanted] if isinstance(wanted, str) else wanted or []


class Begun:
    """Writes down what is begun, in place of dbos."""

    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []
        self.running: set[str] = set()

    def notice(self, series_uid: str, _: float) -> None:
        self.done.append(("notice", series_uid))

    def retire_later(self, series_uid: str, shelf: Shelf) -> None:
        self.done.append(("retire", series_uid, shelf.value))

    def is_running(self, workflow_id: str) -> bool:
        return workflow_id in self.running

    def resume(self, work: WorkflowStatus) -> None:
        self.done.append(("resume", work.workflow_id))

    def take_over(self, worker: str) -> list[str]:
        self.done.append(("take over", worker))
        return []

    def again(self, work: WorkflowStatus) -> None:
        self.done.append(("again", work.workflow_id))


class Names:
    """The names of workers, some of which nobody holds."""

    def __init__(self) -> None:
        self.free: set[str] = set()

    def hold(self) -> None: ...

    def renew(self) -> None: ...

    def release(self) -> None: ...

    @contextmanager
    def taken(self, name: str) -> Iterator[bool]:
        yield name in self.free


class World:
    def __init__(self, folder: Path) -> None:
        self.spool, self.revisions = Spool(folder / "spool"), Revisions(folder / "reports")
        self.queue, self.begun = Queue(), Begun()
        self.lease = Names()
        self.recovery = Recovery(
            self.spool,
            self.revisions,
            Ledger(self.queue),
            cast("Workflows", self.begun),
            self.lease,
            executor_id="me",
            quiet_period_s=3.0,
            keep_s=fixed(3600.0),
        )

    def hold(self, series_uid: str, *sop_instance_uids: str, shelf: Shelf = Shelf.SERIES) -> None:
        for uid in sop_instance_uids:
            self.spool.add(shelf, series_uid, uid, b"")

    def analyse(self, series_uid: str, *sop_instance_uids: str, in_queue: bool = True) -> None:
        revision = self.revisions.freeze(series_uid, sop_instance_uids)
        if in_queue:
            self.queue.add(ANALYSE, str(AnalysisId(series_uid, revision.digest, 0)), "SUCCESS")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_series_is_noticed_unless_it_is_analysed_as_it_lies_there(world: World) -> None:
    for series_uid in ("1.1", "1.2", "1.3", "1.4"):
        world.hold(series_uid, "9.1", "9.2")
    world.analyse("1.1", "9.1", "9.2")
    world.analyse("1.2", "9.1")  # one came late
    world.analyse("1.3", "9.1", "9.2", in_queue=False)  # killed, or the queue was lost
    world.recovery.take_stock()
    assert world.begun.done == [("notice", "1.2"), ("notice", "1.3"), ("notice", "1.4")]


def test_what_was_set_aside_gets_its_retention_back(world: World) -> None:
    for series_uid in ("1.1", "1.2"):
        world.hold(series_uid, "9.1", shelf=Shelf.ASIDE)
    world.queue.add(RETIRE, "some", "DELAYED", "1.1", "aside")
    world.recovery.take_stock()
    assert world.begun.done == [("retire", "1.2", "aside")]


def test_work_that_nobody_does_is_resumed_in_the_second_round(world: World) -> None:
    for workflow_id in ("dropped", "busy", "starting"):
        world.queue.add(SETTLE, workflow_id, "PENDING", "1.1")
    world.begun.running = {"busy"}
    world.recovery.patrol()
    assert world.begun.done == []
    world.begun.running = {"busy", "starting"}
    world.recovery.patrol()
    assert world.begun.done == [("resume", "dropped")]


def test_a_worker_counts_as_gone_in_the_second_round_that_misses_it(world: World) -> None:
    for worker in ("gone", "back", "there"):
        world.queue.add(SETTLE, f"of {worker}", "PENDING", worker=worker)
    for free in ({"gone", "back"}, {"gone"}, {"back"}):
        world.lease.free = free
        world.recovery.patrol()
    assert world.begun.done == [("take over", "gone")]


def test_what_broke_off_begins_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    full = OperationalError("INSERT", {"output": "Secret^Person"}, OSError("full"))
    world.queue.add(SETTLE, "broken", "ERROR", "1.1", error=full)
    world.queue.add(SETTLE, "fine", "SUCCESS", "1.2")
    world.recovery.patrol()
    assert world.begun.done == [("again", "broken")]
    assert "LM702 broken broke off and begins again: OSError: full" in caplog.text


def test_what_an_unforeseen_error_ended_is_left_to_a_person(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.queue.add(DELIVER, "odd", "ERROR", error=ValueError("Secret^Person"))
    world.recovery.patrol()
    assert world.begun.done == []
    assert "LM705 odd broke off: ValueError" in caplog.text
    assert "Secret" not in caplog.text


def test_unreadable_bytes_are_deleted_when_they_have_not_come_again(world: World) -> None:
    old, again = world.spool.quarantine(b"old"), world.spool.quarantine(b"again")
    for path in (old, again):
        os.utime(path, (1.0, 1.0))
    world.spool.quarantine(b"again")
    world.recovery.release_quarantined()
    assert [path.exists() for path in (old, again)] == [False, True]
