"""Takes up work that was dropped.

The queue keeps work through a crash. Work is dropped only where even the queue could not be
written: its file was lost, or the disk was full at the moment when a step ended. So on start
every series in the spool that no analysis knows is noticed, and while the node runs a patrol
looks for work that nobody does although the queue says so.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from dicom_node import database
from dicom_node.errors import NodeError, QueueUnavailable
from dicom_node.spool import Shelf
from dicom_node.standing import cause

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbos import WorkflowStatus

    from dicom_node.lease import Lease
    from dicom_node.ledger import Ledger
    from dicom_node.live import Live
    from dicom_node.revisions import Revisions
    from dicom_node.spool import Spool
    from dicom_node.workflow import Workflows

log = logging.getLogger(__name__)

#: What ends work although the work is sound: the queue or the disk could not be used.
_PASSING = (SQLAlchemyError, QueueUnavailable, OSError)
#: Seconds between two rounds. Work counts as dropped when two rounds in a row find it so.
_PERIOD_S = 5.0
#: Seconds that a round may take; one reads the headers of no instance, and waits for no peer.
_LONGEST_ROUND_S = 900.0


class Recovery:
    """Runs in the process that runs the workflows; no other may have its executor id."""

    def __init__(
        self,
        spool: Spool,
        revisions: Revisions,
        ledger: Ledger,
        workflows: Workflows,
        lease: Lease,
        *,
        executor_id: str,
        quiet_period_s: float,
        keep_s: Live[float],
    ) -> None:
        self._spool = spool
        self._revisions = revisions
        self._ledger = ledger
        self._workflows = workflows
        self._lease = lease
        self._executor_id = executor_id
        self._quiet_period_s = quiet_period_s
        self._keep_s = keep_s
        self._suspects: set[str] = set()
        self._missed: set[str] = set()
        self._since = datetime.now(UTC)
        self._stop = Event()
        self._round_at = monotonic()
        self._thread = Thread(target=self._run, name="recovery", daemon=True)

    def start(self) -> None:
        """Take stock and go on patrol; to be called when the queues are open."""
        self._round_at = monotonic()
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """End the patrol."""
        self._stop.set()
        self._thread.join(within_s)

    def stuck(self) -> str | None:
        """What is wrong if a round takes far too long: then nothing moves in the work queue."""
        silent_s = monotonic() - self._round_at
        if self._thread.is_alive() and silent_s > _LONGEST_ROUND_S:
            return f"the patrol of the work queue has not come round for {silent_s:.0f} s"
        return None

    def take_stock(self) -> None:
        """Notice every series in the spool that the queue does not know as it lies there."""
        known = self._ledger.analysed()
        for series_uid in self._spool.series(Shelf.SERIES):
            if not self._is_known(series_uid, known):
                self._workflows.notice(series_uid, self._quiet_period_s)
        waiting = self._ledger.waiting_to_retire()
        for series_uid in self._spool.series(Shelf.ASIDE):
            if (Shelf.ASIDE.value, series_uid) not in waiting:
                self._workflows.retire_later(series_uid, Shelf.ASIDE)

    def patrol(self) -> None:
        """One round: resume what nobody does, begin again what could not be written down."""
        self._lease.renew()
        self._resume_dropped()
        self._take_over()
        began = datetime.now(UTC)
        for work in self._ledger.broken_off(since=self._since.isoformat()):
            self._begin_again(work)
        self._since = began

    def _begin_again(self, work: WorkflowStatus) -> None:
        if not isinstance(work.error, _PASSING):
            log.error("LM705 %s broke off: %s", work.workflow_id, cause(work))
            return
        log.warning("LM702 %s broke off and begins again: %s", work.workflow_id, cause(work))
        self._workflows.again(work)

    def release_quarantined(self) -> None:
        """Delete unreadable bytes that have not come again for the retention time."""
        count = self._spool.release_quarantined(time.time() - self._keep_s.now)
        if count:
            log.info("LM602 %d unreadable files deleted", count)

    def _resume_dropped(self) -> None:
        idle = {
            work.workflow_id: work
            for work in self._ledger.running(self._executor_id)
            if not self._workflows.is_running(work.workflow_id)
        }
        for workflow_id in self._suspects & set(idle):
            log.warning("LM701 %s was dropped and goes on", workflow_id)
            self._workflows.resume(idle[workflow_id])
        self._suspects = set(idle)

    def _take_over(self) -> None:
        """Give the work of workers that are gone to whoever has time for it.

        One that has only lost its connection takes its name again within a round.
        """
        missed, self._missed = self._missed, set()
        for name in self._ledger.workers() - {self._executor_id}:
            with self._lease.taken(name) as is_free:
                if is_free:
                    self._missed.add(name)
                is_gone = is_free and name in missed
                for workflow_id in self._workflows.take_over(name) if is_gone else ():
                    log.warning("LM704 %s of worker %s goes on", workflow_id, name)

    def _is_known(self, series_uid: str, known: set[tuple[str, str]]) -> bool:
        held = self._spool.uids(series_uid)
        return any(
            held <= set(revision.instances) and (series_uid, revision.digest) in known
            for revision in self._revisions.of(series_uid)
        )

    def _run(self) -> None:
        while not self._patiently(self.take_stock) and not self._stop.wait(_PERIOD_S):
            pass
        while not self._stop.wait(_PERIOD_S):
            self._patiently(self.patrol)
            self._patiently(self.release_quarantined)
            self._round_at = monotonic()

    def _patiently(self, task: Callable[[], None]) -> bool:
        """Whether the task could be done; a disk that is full now may be free in the next round."""
        try:
            with database.explained():
                task()
        except (NodeError, OSError) as error:
            log.error("LM703 recovery has to wait: %s", error)  # noqa: TRY400
            return False
        return True
