"""Senders that asked what we hold are told, however long they cannot be reached."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from dicom_node import commitment_scp, custody, delivery
from dicom_node.commitment_scp import Inquiry
from dicom_node.errors import describe
from dicom_node.patience import next_try_s
from dicom_node.states import DeliveryState
from dicom_node.work import VOUCH, Outcome, VouchId

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from dicom_node.config import Settings
    from dicom_node.config_tables import QueryPeer
    from dicom_node.delivery import Sent
    from dicom_node.live import Live
    from dicom_node.spool import Spool

log = logging.getLogger(__name__)


class Vouching:
    """A durable workflow for each try to report; a failed one schedules the next."""

    def __init__(self, live: Live[Settings], spool: Spool, clock: Callable[[], datetime]) -> None:
        self._live = live
        self._spool = spool
        self._clock = clock

    def register(self, busy: Callable[[], AbstractContextManager[str]], most_tries: int) -> None:
        """Make the workflow known to dbos; once in a process, before DBOS.launch."""

        @DBOS.workflow(name=VOUCH, max_recovery_attempts=most_tries)
        def vouch(sender: str, uid: str, instances: dict[str, str], since: float) -> Outcome:
            with busy() as workflow_id:
                inquiry = Inquiry(VouchId.parse(workflow_id), instances)
                outcome: Outcome = DBOS.run_step({"name": "report"}, self.report, inquiry, since)
                if outcome["again_s"] is not None:
                    this = inquiry.id.next()
                    self.later(this, (sender, uid, instances, since), outcome["again_s"])
                return outcome

        self._workflow = vouch

    def again(self, workflow_id: str, arguments: tuple[str, str, dict[str, str], float]) -> None:
        """Begin anew what broke off."""
        self.later(VouchId.parse(workflow_id).next(), arguments, 0.0)

    def later(
        self, this: VouchId, arguments: tuple[str, str, dict[str, str], float], delay_s: float
    ) -> None:
        """Put a try into the queue; the arguments are those of the workflow."""
        options = SetEnqueueOptions(delay_seconds=delay_s, queue_partition_key=this.sender)
        with SetWorkflowID(str(this)), options:
            DBOS.enqueue_workflow(VOUCH, self._workflow, *arguments)

    def report(self, inquiry: Inquiry, since: float) -> Outcome:
        """Report once to a sender what we hold at this moment of what it asked about.

        `since`, seconds since the epoch, is when it asked. Never raises: what goes wrong here
        is tried again.
        """
        try:
            sent = self._report(inquiry)
        except Exception as error:
            log.exception("LM519 storage commitment of %s: the report failed", inquiry.id.sender)
            sent = delivery.Sent(delivery.Outcome.TRY_AGAIN, describe(error))
        log.info("LM516 storage commitment of %s: %s", inquiry.id.sender, sent.reason)
        return self._judge(sent, inquiry, self._clock().timestamp(), since)

    def _report(self, inquiry: Inquiry) -> Sent:
        peer = self._peer(inquiry.id.sender)
        if peer is None:
            reason = "listener.sender has no report_to, and no destination is of that AE title"
            return delivery.Sent(delivery.Outcome.UNWILLING, reason)
        report = custody.judge(self._spool, inquiry.instances)
        return commitment_scp.tell(inquiry, report, peer, self._live.now.listener.ae_title)

    def _peer(self, sender: str) -> QueryPeer | None:
        """Where a sender listens for reports."""
        settings = self._live.now
        named = [s.report_to for s in settings.listener.sender if s.ae_title == sender]
        timeout_s = settings.delivery.timeout_s
        same = [peer.as_peer(timeout_s) for peer in settings.destination if peer.ae_title == sender]
        return next((peer for peer in [*named, *same] if peer is not None), None)

    def _judge(self, sent: Sent, inquiry: Inquiry, at: float, since: float) -> Outcome:
        if sent.outcome is delivery.Outcome.ACKNOWLEDGED:
            return Outcome(
                state=DeliveryState.DELIVERED.value, reason=sent.reason, at=at, again_s=None
            )
        slowly = sent.outcome is delivery.Outcome.UNWILLING
        again_s = next_try_s(self._live.now.delivery, at - since, slowly=slowly)
        if sent.outcome is delivery.Outcome.REFUSED or again_s is None:
            log.error("LM517 storage commitment of %s: given up", inquiry.id.sender)
            return Outcome(
                state=DeliveryState.FAILED.value, reason=sent.reason, at=at, again_s=None
            )
        if slowly:
            log.warning("LM518 %s cannot be told: %s", inquiry.id.sender, sent.reason)
        return Outcome(
            state=DeliveryState.RETRYING.value, reason=sent.reason, at=at, again_s=again_s
        )
