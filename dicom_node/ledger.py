"""What became of every series, read back from the work queue; keeps no record of its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from dicom_node.errors import describe
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.work import ANALYSE, DELIVER, PROVE, RETIRE, SETTLE, AnalysisId, DeliveryId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbos import WorkflowStatus

_WAITING = ("ENQUEUED", "DELAYED")
_ACTIVE = (*_WAITING, "PENDING")
#: Nothing remains to be done.
_SETTLED = (SeriesState.DELIVERED, SeriesState.KEPT, SeriesState.REFUSED)
_GOOD = (DeliveryState.DELIVERED, DeliveryState.KEPT)
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


@dataclass(frozen=True)
class DeliveryStatus:
    """One report on its way to one destination."""

    #: The newest try.
    id: DeliveryId
    #: Where it stands.
    state: DeliveryState
    #: The destination's last answer, in words.
    reason: str
    #: Whether it has ended well: acknowledged, and proved to be kept where that is wanted.
    settled: bool


@dataclass(frozen=True)
class SeriesStatus:
    """One series, or one revision of it."""

    #: Series Instance UID.
    series_uid: str
    #: The newest analysis; None while instances arrive.
    analysis: AnalysisId | None
    #: Where it stands.
    state: SeriesState
    #: Why, for a person.
    reason: str
    #: When this work began, seconds since the epoch.
    since: float
    #: One for each destination.
    deliveries: tuple[DeliveryStatus, ...] = ()


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
        settled = [status for status in statuses if _is_settled(status)]
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
        if not all(_is_settled(status) for status in statuses):
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
        return [
            (AnalysisId.parse(last.workflow_id), (last.completed_at or 0) / 1000)
            for *_, last in _attempts(works)
            if _analysis_state(last)[0] in (SeriesState.FAILED, SeriesState.REFUSED)
        ]

    def waiting_to_retire(self) -> set[tuple[str, str]]:
        """(shelf, Series Instance UID) of everything whose time of retention is running."""
        works = self._queue.list_workflows(name=RETIRE, status=list(_ACTIVE))
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
        """Ids of looks and deletions that ended before a moment, seconds since the epoch.

        Nobody can ask for them again: they are named by nothing. No more than some.
        """
        works = self._queue.list_workflows(
            name=[SETTLE, RETIRE],
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
        analyses = _attempts(self._list((ANALYSE,), series_uid))
        deliveries = defaultdict(list)
        for delivery in _deliveries(self._list((DELIVER, PROVE), series_uid)):
            deliveries[delivery.id.series_uid, delivery.id.digest].append(delivery)
        return [*(_status(attempts, deliveries) for attempts in analyses), *arriving]

    def _list(self, names: tuple[str, ...], series_uid: str | None) -> list[WorkflowStatus]:
        prefixes = None if series_uid is None else [f"{name}/{series_uid}/" for name in names]
        return self._queue.list_workflows(
            name=list(names), workflow_id_prefix=prefixes, load_input=False
        )

    def _arriving(self, series_uid: str | None) -> list[SeriesStatus]:
        looks = self._queue.list_workflows(name=SETTLE, status=list(_ACTIVE))
        # A look that is being made may have ordered the next one already.
        found = {status.series_uid: status for status in map(_arriving, looks)}
        return [status for uid, status in found.items() if series_uid in (None, uid)]


def cause(work: WorkflowStatus) -> str:
    """Why work ended without an outcome, without patient data."""
    # The driver's own words: those around them hold the statement. An error that cannot be read
    # back is given as a string, with all that it quotes.
    error = getattr(work.error, "orig", None) or work.error
    return describe(error) if isinstance(error, BaseException) else "stopped from outside"


def _arriving(look: WorkflowStatus) -> SeriesStatus:
    (series_uid,) = _arguments(look)
    reason = "waiting until the series is whole"
    return SeriesStatus(str(series_uid), None, SeriesState.RECEIVING, reason, _since(look))


def _arguments(work: WorkflowStatus) -> tuple[Any, ...]:
    """What a workflow was started with."""
    assert work.input is not None  # it was asked for
    return tuple(work.input["args"])


def _attempts(works: Iterable[WorkflowStatus]) -> list[list[WorkflowStatus]]:
    """The analyses of each revision, the newest last."""
    attempts: dict[tuple[str, str], dict[int, WorkflowStatus]] = defaultdict(dict)
    for work in works:
        this = AnalysisId.parse(work.workflow_id)
        attempts[this.series_uid, this.digest][this.attempt] = work
    return [[of_one[number] for number in sorted(of_one)] for of_one in attempts.values()]


def _status(
    attempts: list[WorkflowStatus], deliveries: dict[tuple[str, str], list[DeliveryStatus]]
) -> SeriesStatus:
    work = attempts[-1]
    this = AnalysisId.parse(work.workflow_id)
    state, reason = _analysis_state(work)
    if state is SeriesState.QUEUED and len(attempts) > 1:
        reason = f"waiting for another try: {_analysis_state(attempts[-2])[1]}"
    mine = tuple(deliveries.get((this.series_uid, this.digest), ()))
    if state is SeriesState.DELIVERING:
        state = _delivering_state(mine)
    return SeriesStatus(this.series_uid, this, state, reason, _since(work), mine)


def _analysis_state(work: WorkflowStatus) -> tuple[SeriesState, str]:
    if work.status in _WAITING:
        return SeriesState.QUEUED, "waiting for its turn"
    if work.status == "PENDING":
        return SeriesState.ANALYSING, "the plugin is at work"
    if work.status == "SUCCESS" and work.output:
        return SeriesState(work.output["state"]), work.output["reason"]
    return SeriesState.FAILED, f"{work.status}: {cause(work)}"


def _delivering_state(deliveries: tuple[DeliveryStatus, ...]) -> SeriesState:
    states = {delivery.state for delivery in deliveries}
    if DeliveryState.FAILED in states:
        return SeriesState.FAILED
    if not states or not states <= set(_GOOD):
        return SeriesState.DELIVERING
    kept = DeliveryState.KEPT in states and all(delivery.settled for delivery in deliveries)
    return SeriesState.KEPT if kept else SeriesState.DELIVERED


def _is_settled(status: SeriesStatus) -> bool:
    return status.state in _SETTLED and all(delivery.settled for delivery in status.deliveries)


def _deliveries(works: Iterable[WorkflowStatus]) -> list[DeliveryStatus]:
    """The newest try of each delivery, with the last answer it got."""
    tries: dict[tuple[str, str, str], dict[int, WorkflowStatus]] = defaultdict(dict)
    for work in works:
        this = DeliveryId.parse(work.workflow_id)
        tries[this.series_uid, this.digest, this.destination][this.attempt] = work
    return [_delivery(of_one) for of_one in tries.values()]


def _delivery(tries: dict[int, WorkflowStatus]) -> DeliveryStatus:
    last = tries[max(tries)]
    this = DeliveryId.parse(last.workflow_id)
    before = tries.get(this.attempt - 1)
    if last.status in _ACTIVE:
        reason = before.output["reason"] if before and before.output else "not tried yet"
        return DeliveryStatus(this, _active_state(this), reason, settled=False)
    if last.status == "SUCCESS" and last.output:
        state = DeliveryState(last.output["state"])
        return DeliveryStatus(this, state, last.output["reason"], settled=state in _GOOD)
    reason = f"{last.status}: {cause(last)}"
    return DeliveryStatus(this, DeliveryState.FAILED, reason, settled=False)


def _active_state(this: DeliveryId) -> DeliveryState:
    if this.work == PROVE:
        return DeliveryState.DELIVERED
    return DeliveryState.RETRYING if this.attempt else DeliveryState.WAITING


def _since(work: WorkflowStatus) -> float:
    return (work.created_at or 0) / 1000
