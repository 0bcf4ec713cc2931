"""The walk of one revision, step by step, as the work queue has written it down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from dicom_node.standing import analysis_state
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.work import ANALYSE, PROVE, AnalysisId, DeliveryId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dbos import StepInfo

    from dicom_node.spool import Held
    from dicom_node.standing import Work

#: So many stages of one revision are shown, the newest; a delivery may have had hundreds of tries.
MOST: Final = 40


class Steps(Protocol):
    """The part of dbos that lists what a workflow has done."""

    def list_workflow_steps(self, workflow_id: str, *, load_output: bool = True) -> list[StepInfo]:
        """Its steps in order."""
        ...


@dataclass(frozen=True)
class Step:
    """One step that was done and will not be done again."""

    #: What was done.
    name: str
    #: How long it took, s.
    took_s: float


@dataclass(frozen=True)
class Stage:
    """One piece of the walk."""

    #: What it is.
    title: str
    #: A SeriesState or DeliveryState, "received" or "analysed".
    state: str
    #: How it ended or what it waits for.
    reason: str
    #: When it was ordered, seconds since the epoch; the queue may know that only to the second.
    ordered_at: float
    #: When it may begin at the earliest; None for at once.
    not_before: float | None = None
    #: What it consisted of.
    steps: tuple[Step, ...] = ()


def stages(works: Iterable[Work], digest: str, queue: Steps) -> list[Stage]:
    """The newest stages of one revision, oldest first."""
    mine = [work for work in works if work.id.split("/")[2] == digest]
    return [_stage(work, _steps(work, queue)) for work in mine[-MOST:]]


def reception(held: Sequence[Held], instances: Sequence[str], whole_at: float) -> Stage:
    """How the instances of a revision came, so far as they are still kept."""
    mine = set(instances)
    times = [one.stored_at for one in held if one.sop_instance_uid in mine]
    reason = f"{len(instances)} instances"
    if not times:
        reason += "; deleted since, because their time of retention is over"
    first, last = min(times, default=whole_at), max(times, default=whole_at)
    return Stage("Reception", "received", reason, first, steps=(Step("arrival", last - first),))


def _stage(work: Work, steps: tuple[Step, ...]) -> Stage:
    title, state, reason = _analysis(work) if work.name == ANALYSE else _delivery(work)
    return Stage(
        title,
        state,
        reason,
        ordered_at=work.created_at,
        not_before=work.not_before if work.status == "DELAYED" else None,
        steps=steps,
    )


def _analysis(work: Work) -> tuple[str, str, str]:
    state, reason = analysis_state(work)
    attempt = AnalysisId.parse(work.id).attempt
    title = f"Analysis, try {attempt + 1}" if attempt else "Analysis"
    return title, "analysed" if state is SeriesState.DELIVERING else state.value, reason


def _delivery(work: Work) -> tuple[str, str, str]:
    this = DeliveryId.parse(work.id)
    what = "Proof from" if work.name == PROVE else "Delivery to"
    title = f"{what} {this.destination}" + (f", try {this.attempt + 1}" if this.attempt else "")
    if work.outcome:
        return title, work.outcome["state"], work.outcome["reason"]
    if work.is_active:
        state = DeliveryState.RETRYING if this.attempt else DeliveryState.WAITING
        return title, state.value, "being done" if work.status == "PENDING" else "waits"
    return title, DeliveryState.FAILED.value, work.fault


def _steps(work: Work, queue: Steps) -> tuple[Step, ...]:
    """Those that took time of their own; what the queue did by itself is left out."""
    found = queue.list_workflow_steps(work.id, load_output=False)
    return tuple(
        Step(step["function_name"], (ended - begun) / 1000)
        for step in found
        if (begun := step["started_at_epoch_ms"]) is not None
        and (ended := step["completed_at_epoch_ms"]) is not None
        and not step["function_name"].startswith("DBOS.")
        and not step["child_workflow_id"]
    )
