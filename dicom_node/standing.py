"""Where series stand, worked out from what the work queue says about each piece of work."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dicom_node.errors import describe
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.work import ANALYSE, PROVE, AnalysisId, DeliveryId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dbos import WorkflowStatus

    from dicom_node.work import Outcome

_WAITING: Final = ("ENQUEUED", "DELAYED")
#: What is not over, in dbos's words.
ACTIVE: Final = (*_WAITING, "PENDING")
#: Nothing remains to be done.
_SETTLED = (SeriesState.DELIVERED, SeriesState.KEPT, SeriesState.REFUSED)
_GOOD = (DeliveryState.DELIVERED, DeliveryState.KEPT)


@dataclass(frozen=True, slots=True)
class Work:
    """What is kept in mind of one workflow: few bytes, for there may be many thousands."""

    #: Workflow id.
    id: str
    #: ANALYSE, DELIVER or PROVE.
    name: str
    #: In dbos's words.
    status: str
    #: How it ended; None while it has not, or when it broke off.
    outcome: Outcome | None
    #: Why it broke off, without patient data; empty when it did not.
    fault: str
    #: When it was put into the queue, seconds since the epoch.
    created_at: float
    #: When it was taken up last, seconds since the epoch; None before.
    begun_at: float | None
    #: When it ended, seconds since the epoch; None before.
    ended_at: float | None
    #: When it may begin at the earliest, seconds since the epoch; None for at once.
    not_before: float | None

    @property
    def is_active(self) -> bool:
        """Whether it waits or is being done."""
        return self.status in ACTIVE

    @property
    def series_uid(self) -> str:
        """Series Instance UID."""
        return self.id.split("/")[1]

    @property
    def attempt(self) -> int:
        """From 0; deliveries and proofs are numbered through."""
        return int(self.id.rsplit("/", 1)[1])


@dataclass(frozen=True, slots=True)
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
    #: When that answer came, seconds since the epoch; None before the first.
    at: float | None = None
    #: When the next try is due, seconds since the epoch; None when none waits for its time.
    next_at: float | None = None
    #: When the destination acknowledged everything, seconds since the epoch; None before.
    acknowledged_at: float | None = None


@dataclass(frozen=True, slots=True)
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
    #: When the first analysis of this revision was ordered, seconds since the epoch.
    whole_at: float = 0.0
    #: When the newest thing about it ended, seconds since the epoch; None before the first.
    ended_at: float | None = None
    #: When its analysis is tried again, seconds since the epoch; None when none waits for its time.
    next_at: float | None = None

    @property
    def why(self) -> str:
        """What those destinations say that do not have the report, and the reason."""
        open_ = (d for d in self.deliveries if d.state not in _GOOD and d.at is not None)
        return "; ".join([*(f"{d.id.destination}: {d.reason}" for d in open_), self.reason])

    @property
    def is_settled(self) -> bool:
        """Whether nothing remains to be done, by us or by a person."""
        return self.state in _SETTLED and all(d.settled for d in self.deliveries)

    @property
    def turnaround_s(self) -> float | None:
        """Seconds from the whole series to the report at every destination; None before."""
        times = [delivery.acknowledged_at for delivery in self.deliveries]
        done = [at for at in times if at is not None]
        return max(done) - self.whole_at if done and len(done) == len(times) else None


def work_of(status: WorkflowStatus) -> Work:
    """What is kept in mind of a workflow about a revision."""
    outcome = status.output if status.status == "SUCCESS" else None
    broken = status.status not in (*ACTIVE, "SUCCESS")
    return Work(
        id=status.workflow_id,
        name=status.name,
        status=status.status,
        outcome=outcome or None,
        fault=f"{status.status}: {cause(status)}" if broken else "",
        created_at=(status.created_at or 0) / 1000,
        begun_at=_seconds(status.dequeued_at),
        ended_at=_seconds(status.completed_at),
        not_before=_seconds(status.delay_until_epoch_ms),
    )


def cause(work: WorkflowStatus) -> str:
    """Why work ended without an outcome, without patient data."""
    # The driver's own words: those around them hold the statement. An error that cannot be read
    # back is given as a string, with all that it quotes.
    error = getattr(work.error, "orig", None) or work.error
    return describe(error) if isinstance(error, BaseException) else "stopped from outside"


def statuses(works: Iterable[Work]) -> list[SeriesStatus]:
    """Where every revision stands that these works are about, oldest first."""
    analyses: dict[tuple[str, str], dict[int, Work]] = defaultdict(dict)
    tries: dict[tuple[str, str, str], dict[int, Work]] = defaultdict(dict)
    for work in works:
        if work.name == ANALYSE:
            this = AnalysisId.parse(work.id)
            analyses[this.series_uid, this.digest][this.attempt] = work
        else:
            that = DeliveryId.parse(work.id)
            tries[that.series_uid, that.digest, that.destination][that.attempt] = work
    deliveries: dict[tuple[str, str], list[DeliveryStatus]] = defaultdict(list)
    for (series_uid, digest, _), of_one in tries.items():
        deliveries[series_uid, digest].append(_delivery(of_one))
    found = [
        _status([attempts[number] for number in sorted(attempts)], tuple(deliveries[revision]))
        for revision, attempts in analyses.items()
    ]
    return sorted(found, key=lambda status: status.whole_at)


def arriving(series_uid: str, since: float) -> SeriesStatus:
    """The status of a series that will be looked at, seconds since the epoch."""
    reason = "waiting until the series is whole"
    return SeriesStatus(series_uid, None, SeriesState.RECEIVING, reason, since, whole_at=since)


def analysis_state(work: Work) -> tuple[SeriesState, str]:
    """Where one analysis stands, and why."""
    if work.status in _WAITING:
        return SeriesState.QUEUED, "waiting for its turn"
    if work.status == "PENDING":
        return SeriesState.ANALYSING, "the plugin is at work"
    if work.outcome:
        return SeriesState(work.outcome["state"]), work.outcome["reason"]
    return SeriesState.FAILED, work.fault


def _status(attempts: list[Work], deliveries: tuple[DeliveryStatus, ...]) -> SeriesStatus:
    work = attempts[-1]
    this = AnalysisId.parse(work.id)
    state, reason = analysis_state(work)
    if state is SeriesState.QUEUED and len(attempts) > 1:
        reason = f"waiting for another try: {analysis_state(attempts[-2])[1]}"
    if state is SeriesState.DELIVERING:
        state = _delivering_state(deliveries)
    ends = [work.ended_at, *(delivery.at for delivery in deliveries)]
    return SeriesStatus(
        this.series_uid,
        this,
        state,
        reason,
        work.created_at,
        deliveries,
        whole_at=_whole_at(attempts),
        ended_at=max((end for end in ends if end is not None), default=None),
        next_at=work.not_before if work.status == "DELAYED" else None,
    )


def _whole_at(attempts: list[Work]) -> float:
    """When the series was whole; until its analysis is done, when that was ordered."""
    ordered_at, outcome = attempts[0].created_at, attempts[-1].outcome
    return outcome.get("whole_at", ordered_at) if outcome else ordered_at


def _delivering_state(deliveries: tuple[DeliveryStatus, ...]) -> SeriesState:
    states = {delivery.state for delivery in deliveries}
    if DeliveryState.FAILED in states:
        return SeriesState.FAILED
    if not states or not states <= set(_GOOD):
        return SeriesState.DELIVERING
    kept = DeliveryState.KEPT in states and all(delivery.settled for delivery in deliveries)
    return SeriesState.KEPT if kept else SeriesState.DELIVERED


def _delivery(tries: Mapping[int, Work]) -> DeliveryStatus:
    """Where a delivery stands after its newest try, with the last answer it got."""
    last = tries[max(tries)]
    this = DeliveryId.parse(last.id)
    before = tries.get(this.attempt - 1)
    acknowledged = _acknowledged_at(tries)
    if last.is_active:
        answer = before.outcome if before else None
        return DeliveryStatus(
            this,
            _active_state(this),
            answer["reason"] if answer else "not tried yet",
            settled=False,
            at=answer["at"] if answer else None,
            next_at=last.not_before if last.status == "DELAYED" else None,
            acknowledged_at=acknowledged,
        )
    state, reason = DeliveryState.FAILED, last.fault
    if last.outcome:
        state, reason = DeliveryState(last.outcome["state"]), last.outcome["reason"]
    return DeliveryStatus(this, state, reason, state in _GOOD, last.ended_at, None, acknowledged)


def _acknowledged_at(tries: Mapping[int, Work]) -> float | None:
    """When the first try ended that the destination acknowledged."""
    times = [
        work.outcome["at"]
        for work in tries.values()
        if work.outcome and work.outcome["state"] in _GOOD
    ]
    return min(times, default=None)


def _active_state(this: DeliveryId) -> DeliveryState:
    if this.work == PROVE:
        return DeliveryState.DELIVERED
    return DeliveryState.RETRYING if this.attempt else DeliveryState.WAITING


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
