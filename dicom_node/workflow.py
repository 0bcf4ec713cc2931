"""The durable walk of one series, on a work queue that survives a crash (dbos).

    notice(series)             an instance came, or an association ended
    settle(series)             after the quiet period: whole? else look again later
    analyse(series, revision)  the plugin, once for each revision
    deliver(..., destination)  one try; a failed one schedules the next
    retire(series)             pixels deleted, after confirmation and retention

Workflow ids are made of what they name, so starting the same work twice starts it once.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import astuple
from typing import TYPE_CHECKING

from dbos import DBOS, Debouncer, SetEnqueueOptions, SetWorkflowID
from sqlalchemy.exc import SQLAlchemyError

from dicom_node.errors import QueueUnavailable
from dicom_node.spool import Shelf
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.work import ANALYSE, DELIVER, RETIRE, SETTLE, AnalysisId, DeliveryId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.ledger import Ledger
    from dicom_node.steps import Outcome, Steps

#: How often a worker looks for work, s. Each look is one small query.
_POLL_S = 0.1
#: Looks at several series may wait for their query peer at the same time.
_PARALLEL_LOOKS = 4
#: A series that has killed the process this often is not tried again by itself.
_MOST_RECOVERIES = 20


class Workflows:
    """Registers the walk with dbos; make it once in a process, before DBOS.launch."""

    def __init__(self, steps: Steps, ledger: Ledger, *, parallel_deliveries: int) -> None:
        self._steps = steps
        self._ledger = ledger
        self._limits = {
            SETTLE: _PARALLEL_LOOKS,
            ANALYSE: 1,
            DELIVER: parallel_deliveries,
            RETIRE: 1,
        }
        self._register()
        self._settle_later: Debouncer[[str], None] = Debouncer(SETTLE, queue=SETTLE)
        self._retire_later: Debouncer[[str, str], None] = Debouncer(RETIRE, queue=RETIRE)

    def open_queues(self) -> None:
        """Start taking work; to be called after DBOS.launch."""
        for name, limit in self._limits.items():
            DBOS.register_queue(name, worker_concurrency=limit, polling_interval_sec=_POLL_S)

    def notice(self, series_uid: str, look_after_s: float) -> None:
        """Something happened to a series: look at it after a while, and only then.

        Durable on return. A later notice of the same series moves the look.
        Raises QueueUnavailable when that cannot be written down.
        """
        with _written_down(series_uid):
            self._settle_later.debounce(series_uid, look_after_s, series_uid)

    def retire_later(self, series_uid: str, shelf: Shelf) -> None:
        """Delete the instances of a series when they have lain for the retention time.

        Durable on return. Raises QueueUnavailable when that cannot be written down.
        """
        key = f"{shelf}/{series_uid}"
        with _written_down(series_uid):
            self._retire_later.debounce(key, self._steps.keep_s, series_uid, shelf.value)

    def _register(self) -> None:
        # Workflows are closures, because dbos finds them by name and debounces no methods.
        @DBOS.workflow(name=SETTLE, max_recovery_attempts=_MOST_RECOVERIES)
        def settle(series_uid: str) -> None:
            self._settle(series_uid)

        @DBOS.workflow(name=ANALYSE, max_recovery_attempts=_MOST_RECOVERIES)
        def analyse(series_uid: str, digest: str) -> Outcome:
            return self._analyse(series_uid, digest)

        @DBOS.workflow(name=DELIVER, max_recovery_attempts=_MOST_RECOVERIES)
        def deliver(
            series_uid: str, digest: str, destination: str, attempt: int, since: float
        ) -> Outcome:
            return self._deliver(DeliveryId(series_uid, digest, destination, attempt), since)

        @DBOS.workflow(name=RETIRE, max_recovery_attempts=_MOST_RECOVERIES)
        def retire(series_uid: str, shelf: str) -> None:
            self._retire(series_uid, Shelf(shelf))

        self._analyse_workflow, self._deliver_workflow = analyse, deliver

    def _settle(self, series_uid: str) -> None:
        look_again_s = DBOS.run_step({"name": "judge"}, self._steps.judge, series_uid)
        if look_again_s is not None:
            self.notice(series_uid, look_again_s)
            return
        digest = DBOS.run_step({"name": "freeze"}, self._steps.freeze, series_uid)
        if digest is not None:
            with SetWorkflowID(str(AnalysisId(series_uid, digest, 0))):
                DBOS.enqueue_workflow(ANALYSE, self._analyse_workflow, series_uid, digest)

    def _analyse(self, series_uid: str, digest: str) -> Outcome:
        outcome = DBOS.run_step({"name": "analyse"}, self._steps.analyse, series_uid, digest)
        if outcome["state"] == SeriesState.DELIVERING:
            for destination in self._steps.destinations:
                self._deliver_later(DeliveryId(series_uid, digest, destination, 0), outcome["at"])
        if outcome["state"] == SeriesState.REFUSED:
            self.retire_later(series_uid, Shelf.SERIES)
        return outcome

    def _deliver(self, this: DeliveryId, since: float) -> Outcome:
        series_uid, digest, destination, attempt = astuple(this)
        outcome = DBOS.run_step(
            {"name": "send"}, self._steps.send, series_uid, digest, destination, attempt, since
        )
        if outcome["state"] == DeliveryState.RETRYING:
            self._deliver_later(this.next(), since, self._steps.backoff_s(attempt))
        if outcome["state"] == DeliveryState.DELIVERED:
            self.retire_later(series_uid, Shelf.SERIES)
        return outcome

    def _deliver_later(self, this: DeliveryId, since: float, delay_s: float | None = None) -> None:
        with SetWorkflowID(str(this)), SetEnqueueOptions(delay_seconds=delay_s):
            DBOS.enqueue_workflow(
                DELIVER,
                self._deliver_workflow,
                this.series_uid,
                this.digest,
                this.destination,
                this.attempt,
                since,
            )

    def _retire(self, series_uid: str, shelf: Shelf) -> None:
        if shelf is Shelf.SERIES and not self._ledger.is_settled(series_uid):
            self.retire_later(series_uid, shelf)
            return
        DBOS.run_step({"name": "forget"}, self._steps.forget, series_uid, shelf)


@contextmanager
def _written_down(series_uid: str) -> Iterator[None]:
    """What goes wrong in the database becomes QueueUnavailable."""
    try:
        yield
    except SQLAlchemyError as error:
        raise QueueUnavailable(f"series {series_uid}: {error}") from error
