"""What became of every series, read back from the work queue; keeps no record of its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dicom_node.states import DeliveryState, SeriesState
from dicom_node.work import ANALYSE, DELIVER, SETTLE, AnalysisId, DeliveryId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbos import WorkflowStatus

_WAITING = ("ENQUEUED", "DELAYED")
_ACTIVE = (*_WAITING, "PENDING")


class Queue(Protocol):
    """The part of dbos that lists work: DBOS itself, or a DBOSClient from another process."""

    def list_workflows(
        self,
        *,
        name: str | list[str] | None = None,
        status: str | list[str] | None = None,
        workflow_id_prefix: str | list[str] | None = None,
        load_input: bool = True,
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

    def of(self, series_uid: str) -> list[SeriesStatus]:
        """Every revision of one series, oldest first."""
        return self._statuses(series_uid)

    def is_settled(self, series_uid: str) -> bool:
        """Whether nothing about a series is pending or waits for a person."""
        settled = (SeriesState.DELIVERED, SeriesState.REFUSED)
        return all(status.state in settled for status in self.of(series_uid))

    def _statuses(self, series_uid: str | None) -> list[SeriesStatus]:
        deliveries = defaultdict(list)
        for delivery in _deliveries(self._list(DELIVER, series_uid)):
            deliveries[delivery.id.series_uid, delivery.id.digest].append(delivery)
        analyses = _newest(self._list(ANALYSE, series_uid))
        done = [_status(work, deliveries) for work in analyses]
        return [*done, *self._arriving(series_uid)]

    def _list(self, name: str, series_uid: str | None) -> list[WorkflowStatus]:
        prefix = None if series_uid is None else f"{name}/{series_uid}/"
        return self._queue.list_workflows(name=name, workflow_id_prefix=prefix, load_input=False)

    def _arriving(self, series_uid: str | None) -> list[SeriesStatus]:
        looks = self._queue.list_workflows(name=SETTLE, status=list(_ACTIVE))
        found = [_arriving(look) for look in looks]
        return [status for status in found if series_uid in (None, status.series_uid)]


def _arriving(look: WorkflowStatus) -> SeriesStatus:
    assert look.input is not None  # settle takes the Series Instance UID
    series_uid = str(look.input["args"][0])
    reason = "waiting until the series is whole"
    return SeriesStatus(series_uid, None, SeriesState.RECEIVING, reason, _since(look))


def _newest(works: Iterable[WorkflowStatus]) -> list[WorkflowStatus]:
    """The newest analysis of each revision."""
    newest: dict[tuple[str, str], WorkflowStatus] = {}
    for work in works:
        this = AnalysisId.parse(work.workflow_id)
        held = newest.get((this.series_uid, this.digest))
        if held is None or AnalysisId.parse(held.workflow_id).attempt < this.attempt:
            newest[this.series_uid, this.digest] = work
    return list(newest.values())


def _status(
    work: WorkflowStatus, deliveries: dict[tuple[str, str], list[DeliveryStatus]]
) -> SeriesStatus:
    this = AnalysisId.parse(work.workflow_id)
    state, reason = _analysis_state(work)
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
    return SeriesState.FAILED, f"{work.status}: {work.error or 'stopped from outside'}"


def _delivering_state(deliveries: tuple[DeliveryStatus, ...]) -> SeriesState:
    states = {delivery.state for delivery in deliveries}
    if states == {DeliveryState.DELIVERED}:
        return SeriesState.DELIVERED
    return SeriesState.FAILED if DeliveryState.FAILED in states else SeriesState.DELIVERING


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
        state = DeliveryState.RETRYING if before else DeliveryState.WAITING
        reason = before.output["reason"] if before and before.output else "not tried yet"
        return DeliveryStatus(this, state, reason)
    if last.status == "SUCCESS" and last.output:
        return DeliveryStatus(this, DeliveryState(last.output["state"]), last.output["reason"])
    return DeliveryStatus(this, DeliveryState.FAILED, f"{last.status}: {last.error}")


def _since(work: WorkflowStatus) -> float:
    return (work.created_at or 0) / 1000
