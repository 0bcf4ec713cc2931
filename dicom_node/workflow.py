"""The durable walk of one series, on a work queue that survives a crash (dbos).

    notice(series)             an instance came, or an association ended
    settle(series)             after the quiet period: whole? else look again later
    analyse(series, revision)  the plugin, once for each revision
    deliver(..., destination)  one try; a failed one schedules the next
    prove(..., destination)    one look for proof that the destination keeps the report
    vouch(sender, request)     one try to tell a sender what we hold of what it sent
    retire(series)             pixels deleted, after confirmation and retention

Workflow ids are made of what they name, so starting the same work twice starts it once.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import astuple
from typing import TYPE_CHECKING

from dbos import DBOS, Debouncer, SetEnqueueOptions, SetWorkflowID

from dicom_node import database
from dicom_node.spool import Shelf
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.work import ANALYSE, DELIVER, PROVE, RETIRE, SETTLE, VOUCH, AnalysisId, DeliveryId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbos import WorkflowStatus

    from dicom_node.ledger import Ledger
    from dicom_node.proof import Proofs
    from dicom_node.steps import Steps
    from dicom_node.vouching import Vouching
    from dicom_node.work import Outcome

#: How often a worker looks for work, s. Each look is one small query.
_POLL_S = 0.1
#: Looks at several series may wait for their query peer at the same time.
_PARALLEL_LOOKS = 4
#: The time between two attempts to delete a series where nothing is to be kept, s.
_LEAST_KEPT_S = 1.0
#: A series that has killed the process this often is not tried again by itself.
_MOST_RECOVERIES = 20


class Workflows:
    """Registers the walk with dbos; make it once in a process, before DBOS.launch."""

    def __init__(
        self,
        steps: Steps,
        proofs: Proofs,
        vouching: Vouching,
        ledger: Ledger,
        *,
        parallel_deliveries: int,
    ) -> None:
        self._steps = steps
        self._proofs = proofs
        self._vouching = vouching
        self._ledger = ledger
        self._limits = {SETTLE: _PARALLEL_LOOKS, ANALYSE: 1, RETIRE: 1}
        self._limits_per_peer = dict.fromkeys((DELIVER, PROVE, VOUCH), parallel_deliveries)
        self._running: set[str] = set()
        self._register()
        vouching.register(self._busy, _MOST_RECOVERIES)
        self._settle_later: Debouncer[[str], None] = Debouncer(SETTLE, queue=SETTLE)
        self._retire_later: Debouncer[[str, str], None] = Debouncer(RETIRE, queue=RETIRE)

    def open_queues(self) -> None:
        """Start taking work; to be called after DBOS.launch."""
        for name, limit in self._limits.items():
            DBOS.register_queue(name, worker_concurrency=limit, polling_interval_sec=_POLL_S)
        for name, limit in self._limits_per_peer.items():
            DBOS.register_queue(
                name, partition_worker_concurrency=limit, polling_interval_sec=_POLL_S
            )

    def notice(self, series_uid: str, look_after_s: float) -> None:
        """Something happened to a series: look at it after a while, and only then.

        Durable on return. A later notice of the same series moves the look.
        Raises QueueUnavailable when that cannot be written down.
        """
        with database.written_down(series_uid):
            self._settle_later.debounce(series_uid, look_after_s, series_uid)

    def retire_later(self, series_uid: str, shelf: Shelf) -> None:
        """Delete the instances of a series when they have lain for the retention time.

        Durable on return. Raises QueueUnavailable when that cannot be written down.
        """
        key = f"{shelf}/{series_uid}"
        with database.written_down(series_uid):
            keep_s = max(self._steps.keep_s, _LEAST_KEPT_S)
            self._retire_later.debounce(key, keep_s, series_uid, shelf.value)

    def is_running(self, workflow_id: str) -> bool:
        """Whether a thread of this process is at work on it."""
        return workflow_id in self._running

    def resume(self, work: WorkflowStatus) -> None:
        """Go on with work that nobody does, after the last step that was written down."""
        DBOS.resume_workflow(work.workflow_id, queue_name=work.name)

    def take_over(self, worker: str) -> list[str]:
        """Give the work of a worker that is gone to whoever has time; the ids of that work.

        It counts as a recovery, so what kills its process does not kill every worker for ever.
        """
        handles = DBOS._recover_pending_workflows([worker])
        return [handle.workflow_id for handle in handles]

    def again(self, work: WorkflowStatus) -> None:
        """Begin work anew that ended because the queue itself could not be used."""
        arguments = work.input["args"] if work.input else ()
        if work.name == SETTLE:
            self.notice(arguments[0], 0.0)
        elif work.name == RETIRE:
            self.retire_later(arguments[0], Shelf(arguments[1]))
        elif work.name == ANALYSE:
            self._analyse_later(AnalysisId.parse(work.workflow_id).next())
        elif work.name == VOUCH:
            self._vouching.again(work.workflow_id, arguments)
        else:
            this, (since, resends) = DeliveryId.parse(work.workflow_id), arguments[-2:]
            self._try_later(this.next(this.work), since, resends)

    @contextmanager
    def _busy(self) -> Iterator[str]:
        workflow_id = DBOS.workflow_id
        assert workflow_id is not None  # only workflows are busy
        self._running.add(workflow_id)
        try:
            yield workflow_id
        finally:
            self._running.discard(workflow_id)

    def _register(self) -> None:
        # Workflows are closures, because dbos finds them by name and debounces no methods.
        @DBOS.workflow(name=SETTLE, max_recovery_attempts=_MOST_RECOVERIES)
        def settle(series_uid: str) -> None:
            with self._busy():
                self._settle(series_uid)

        @DBOS.workflow(name=ANALYSE, max_recovery_attempts=_MOST_RECOVERIES)
        def analyse(series_uid: str, digest: str) -> Outcome:
            with self._busy() as workflow_id:
                attempt = AnalysisId.parse(workflow_id).attempt
                return self._analyse(AnalysisId(series_uid, digest, attempt))

        @DBOS.workflow(name=DELIVER, max_recovery_attempts=_MOST_RECOVERIES)
        def deliver(
            series_uid: str, digest: str, destination: str, attempt: int, since: float, resends: int
        ) -> Outcome:
            this = DeliveryId(DELIVER, series_uid, digest, destination, attempt)
            with self._busy():
                return self._deliver(this, since, resends)

        @DBOS.workflow(name=PROVE, max_recovery_attempts=_MOST_RECOVERIES)
        def prove(
            series_uid: str, digest: str, destination: str, attempt: int, since: float, resends: int
        ) -> Outcome:
            this = DeliveryId(PROVE, series_uid, digest, destination, attempt)
            with self._busy():
                return self._prove(this, since, resends)

        @DBOS.workflow(name=RETIRE, max_recovery_attempts=_MOST_RECOVERIES)
        def retire(series_uid: str, shelf: str) -> None:
            with self._busy():
                self._retire(series_uid, Shelf(shelf))

        self._analyse_workflow = analyse
        self._delivery_workflows = {DELIVER: deliver, PROVE: prove}

    def _settle(self, series_uid: str) -> None:
        look = DBOS.run_step({"name": "look"}, self._steps.look, series_uid)
        if look["again_s"] is not None:
            self.notice(series_uid, look["again_s"])
        elif look["digest"] is not None:
            first = AnalysisId(series_uid, look["digest"], 0)
            chosen = DBOS.run_step({"name": "choose"}, self._choose, first)
            self._analyse_later(AnalysisId.parse(chosen))
        else:
            self.retire_later(series_uid, Shelf.SERIES)

    def _choose(self, first: AnalysisId) -> str:
        """The analysis to make: a new one if instances came since the last had no success."""
        for last, ended_at in self._ledger.without_success(first):
            if self._steps.newest(first.series_uid) > ended_at:
                return str(last.next())
        return str(first)

    def _analyse_later(self, this: AnalysisId, delay_s: float | None = None) -> None:
        with SetWorkflowID(str(this)), SetEnqueueOptions(delay_seconds=delay_s):
            DBOS.enqueue_workflow(ANALYSE, self._analyse_workflow, this.series_uid, this.digest)

    def _analyse(self, this: AnalysisId) -> Outcome:
        series_uid, digest, _ = astuple(this)
        outcome: Outcome = DBOS.run_step({"name": "analyse"}, self._analyse_in_turn, this)
        if outcome["again_s"] is not None:
            self._analyse_later(this.next(), outcome["again_s"])
        if outcome["state"] == SeriesState.DELIVERING:
            for destination in self._steps.destinations:
                first = DeliveryId(DELIVER, series_uid, digest, destination, 0)
                self._try_later(first, outcome["at"])
        if outcome["state"] == SeriesState.REFUSED:
            self.retire_later(series_uid, Shelf.SERIES)
        return outcome

    def _analyse_in_turn(self, this: AnalysisId) -> Outcome:
        """A revision names the one before it, which another worker may have at hand."""
        series_uid, digest, attempt = astuple(this)
        before = self._steps.digests_before(series_uid, digest)
        busy = (SeriesState.QUEUED, SeriesState.ANALYSING)
        for status in self._ledger.of(series_uid) if before else ():
            if status.analysis and status.analysis.digest in before and status.state in busy:
                return self._steps.postpone(series_uid, attempt)
        return self._steps.analyse(series_uid, digest)

    def _deliver(self, this: DeliveryId, since: float, resends: int) -> Outcome:
        """`resends` counts how often the destination had lost what it acknowledged."""
        outcome = DBOS.run_step(
            {"name": "send"},
            self._steps.send,
            this.series_uid,
            this.digest,
            this.destination,
            since,
        )
        if outcome["again_s"] is not None:
            self._try_later(this.next(DELIVER), since, resends, outcome["again_s"])
        if outcome["state"] == DeliveryState.DELIVERED:
            self._confirm(this, outcome["at"], resends)
        return outcome

    def _confirm(self, this: DeliveryId, at: float, resends: int) -> None:
        if self._steps.wants_proof(this.destination):
            self._try_later(this.next(PROVE), at, resends)
        else:
            self.retire_later(this.series_uid, Shelf.SERIES)

    def _prove(self, this: DeliveryId, since: float, resends: int) -> Outcome:
        outcome = DBOS.run_step({"name": "prove"}, self._proofs.prove, this, since, resends)
        if outcome["state"] == DeliveryState.RETRYING:
            DBOS.run_step({"name": "revoke"}, self._proofs.revoke, this)
            self._try_later(this.next(DELIVER), outcome["at"], resends + 1)
        elif outcome["again_s"] is not None:
            self._try_later(this.next(PROVE), since, resends, outcome["again_s"])
            self._hurry_if_reported(this)
        elif outcome["state"] in (DeliveryState.KEPT, DeliveryState.DELIVERED):
            self.retire_later(this.series_uid, Shelf.SERIES)
        return outcome

    def _hurry_if_reported(self, this: DeliveryId) -> None:
        """The report may have come after the look for it and before the next was scheduled."""
        if DBOS.run_step({"name": "look"}, self._proofs.is_reported, this):
            DBOS.set_workflow_delay(str(this.next(PROVE)), delay_seconds=0)

    def _try_later(
        self, this: DeliveryId, since: float, resends: int = 0, delay_s: float | None = None
    ) -> None:
        # A queue of its own for each destination, so that one that stalls holds up no other.
        options = SetEnqueueOptions(delay_seconds=delay_s, queue_partition_key=this.destination)
        with SetWorkflowID(str(this)), options:
            DBOS.enqueue_workflow(
                this.work,
                self._delivery_workflows[this.work],
                this.series_uid,
                this.digest,
                this.destination,
                this.attempt,
                since,
                resends,
            )

    def _retire(self, series_uid: str, shelf: Shelf) -> None:
        if shelf is Shelf.ASIDE:
            if DBOS.run_step({"name": "forget"}, self._steps.forget_aside, series_uid):
                self.retire_later(series_uid, Shelf.ASIDE)
        else:
            self._retire_settled(series_uid)
        before = self._steps.outlived_before
        DBOS.delete_workflows(DBOS.run_step({"name": "ended"}, self._ledger.ended, before))

    def _retire_settled(self, series_uid: str) -> None:
        settled = DBOS.run_step({"name": "settled"}, self._ledger.settled, series_uid)
        if settled is None:
            self.retire_later(series_uid, Shelf.SERIES)
            return
        DBOS.run_step({"name": "forget"}, self._steps.forget, series_uid, settled)
        about = DBOS.run_step({"name": "about"}, self._ledger.about, series_uid, settled)
        DBOS.run_step({"name": "forget proofs"}, self._proofs.forget, about)
        DBOS.delete_workflows(about)
