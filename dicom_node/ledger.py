"""What became of every series, read back from the work queue; keeps no record of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from dicom_node import standing
from dicom_node.standing import ACTIVE
from dicom_node.states import SeriesState
from dicom_node.work import ANALYSE, DELIVER, PROVE, RETIRE, SETTLE, VOUCH, AnalysisId

if TYPE_CHECKING:
    from dbos import WorkflowStatus

    from dicom_node.standing import SeriesStatus

#: Finished work of no further use that is looked for at a time.
_SWEEP = 1000


class Queue(Protocol):
    """The part of dbos that lists work: DBOS itself, or a DBOSClient from another process."""

    def list_workflows(
        self,
        *,
        name: str | list[str] | None = None,
        status: str | list[str] | None = None,
        workflow_id_prefix: str | list[str] | None = None,
        executor_id: str | None = None,
        completed_after: str | None = None,
        completed_before: str | None = None,
        limit: int | None = None,
        load_input: bool = True,
        load_output: bool = True,
    ) -> list[WorkflowStatus]:
        """Work that matches, oldest first."""
        ...


class Ledger:
    """Reads the state of series."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def all(self) -> list[SeriesStatus]:
        """Every series and revision, oldest first."""
        return self._statuses(None)

    def newest(self, count: int) -> list[SeriesStatus]:
        """The newest of what is settled, and everything that is not, oldest first."""
        statuses = self.all()
        settled = [status for status in statuses if status.is_settled]
        hidden = {id(status) for status in settled[: max(0, len(settled) - count)]}
        return [status for status in statuses if id(status) not in hidden]

    def of(self, series_uid: str) -> list[SeriesStatus]:
        """Every revision of one series, oldest first."""
        return self._statuses(series_uid)

    def settled(self, series_uid: str) -> list[str] | None:
        """Digests of all revisions of a series.

        None as long as anything about the series is pending or waits for a person.
        """
        statuses = self.of(series_uid)
        if not all(status.is_settled for status in statuses):
            return None
        return [status.analysis.digest for status in statuses if status.analysis]

    def analysed(self) -> set[tuple[str, str]]:
        """(Series Instance UID, digest) of every revision whose analysis is in the queue."""
        works = self._queue.list_workflows(name=ANALYSE, load_input=False, load_output=False)
        ids = [AnalysisId.parse(work.workflow_id) for work in works]
        return {(this.series_uid, this.digest) for this in ids}

    def without_success(self, this: AnalysisId) -> list[tuple[AnalysisId, float]]:
        """The last analysis of a revision and when it ended, seconds since the epoch.

        Empty unless that one failed or was refused.
        """
        prefix = f"{ANALYSE}/{this.series_uid}/{this.digest}/"
        works = self._queue.list_workflows(
            name=ANALYSE, workflow_id_prefix=prefix, load_input=False
        )
        found = standing.statuses(map(standing.work_of, works))
        return [
            (status.analysis, status.ended_at or 0.0)
            for status in found
            if status.analysis and status.state in (SeriesState.FAILED, SeriesState.REFUSED)
        ]

    def waiting_to_retire(self) -> set[tuple[str, str]]:
        """(shelf, Series Instance UID) of everything whose time of retention is running."""
        works = self._queue.list_workflows(name=RETIRE, status=list(ACTIVE))
        return {(str(shelf), str(uid)) for uid, shelf in (_arguments(work) for work in works)}

    def about(self, series_uid: str, digests: list[str]) -> list[str]:
        """Workflow ids of everything about some revisions of a series."""
        return [
            work.workflow_id
            for digest in digests
            for name in (ANALYSE, DELIVER, PROVE)
            for work in self._queue.list_workflows(
                name=name,  # what they started is named after them, too
                workflow_id_prefix=f"{name}/{series_uid}/{digest}/",
                load_input=False,
                load_output=False,
            )
        ]

    def ended(self, before: float) -> list[str]:
        """Ids of what is not about a revision and ended before a moment, seconds since the epoch.

        Nobody can ask for them again: they are named by nothing. No more than some.
        """
        works = self._queue.list_workflows(
            name=[SETTLE, RETIRE, VOUCH],
            completed_before=datetime.fromtimestamp(before, UTC).isoformat(),
            limit=_SWEEP,
            load_input=False,
            load_output=False,
        )
        return [work.workflow_id for work in works]

    def running(self, executor_id: str) -> list[WorkflowStatus]:
        """What one process is at work on, so far as the queue knows."""
        return self._queue.list_workflows(
            status="PENDING", executor_id=executor_id, load_input=False, load_output=False
        )

    def workers(self) -> set[str]:
        """Executor ids of all workers that are at work, or were when they ended."""
        works = self._queue.list_workflows(status="PENDING", load_input=False, load_output=False)
        return {work.executor_id for work in works if work.executor_id}

    def broken_off(self, since: str) -> list[WorkflowStatus]:
        """What ended since a moment (ISO 8601) with an error in place of an outcome."""
        return self._queue.list_workflows(status="ERROR", completed_after=since)

    def _statuses(self, series_uid: str | None) -> list[SeriesStatus]:
        # In the order of the walk: what goes on meanwhile is seen twice, not overlooked.
        arriving = self._arriving(series_uid)
        works = [*self._list((ANALYSE,), series_uid), *self._list((DELIVER, PROVE), series_uid)]
        return [*standing.statuses(map(standing.work_of, works)), *arriving]

    def _list(self, names: tuple[str, ...], series_uid: str | None) -> list[WorkflowStatus]:
        prefixes = None if series_uid is None else [f"{name}/{series_uid}/" for name in names]
        return self._queue.list_workflows(
            name=list(names), workflow_id_prefix=prefixes, load_input=False
        )

    def _arriving(self, series_uid: str | None) -> list[SeriesStatus]:
        found = self.arriving()
        return [status for status in found if series_uid in (None, status.series_uid)]

    def arriving(self) -> list[SeriesStatus]:
        """Every series that will be looked at, oldest first."""
        looks = self._queue.list_workflows(name=SETTLE, status=list(ACTIVE), load_output=False)
        # A look that is being made may have ordered the next one already.
        found = {status.series_uid: status for status in map(_arriving, looks)}
        return list(found.values())


def _arriving(look: WorkflowStatus) -> SeriesStatus:
    (series_uid,) = _arguments(look)
    return standing.arriving(str(series_uid), (look.created_at or 0) / 1000)


def _arguments(work: WorkflowStatus) -> tuple[Any, ...]:
    """What a workflow was started with."""
    assert work.input is not None  # it was asked for
    return tuple(work.input["args"])
