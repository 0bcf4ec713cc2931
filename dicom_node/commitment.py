"""Storage Commitment Push Model SCU: asks a peer to commit to what it was sent (PS3.4 J.3).

The report comes on the association of the request while that is open, else on one that the
peer opens to our listener, in which it is the requestor and has the role of the SCP.
"""

from __future__ import annotations

import logging
from queue import Empty, SimpleQueue
from threading import Thread, current_thread
from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import build_context, evt

from dicom_node.delivery import Outcome, Sent, not_associated
from dicom_node.errors import QueueUnavailable, describe
from dicom_node.requestor import associate
from dicom_node.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from dicom_node.statuses import ActionStatus, EventStatus
from dicom_node.transactions import Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom.association import Association
    from pynetdicom.events import Event

    from dicom_node.config_tables import QueryPeer
    from dicom_node.transactions import Transaction, Transactions
    from dicom_node.work import DeliveryId

    #: What answers an N-EVENT-REPORT: a status, and no event reply.
    Handler = Callable[[Event], tuple[int, None]]

log = logging.getLogger(__name__)

#: PS3.4 Table J.3-1: Request Storage Commitment.
_REQUEST = 1
#: PS3.4 Table J.3-2: Storage Commitment Request Successful; Complete - Failures Exist.
_EVENT_TYPES = (1, 2)

#: The peer offers no storage commitment, or not to us.
_UNWILLING = {
    ActionStatus.NO_SUCH_SOP_INSTANCE,
    ActionStatus.NO_SUCH_SOP_CLASS,
    ActionStatus.NO_SUCH_ACTION,
    ActionStatus.NOT_AUTHORIZED,
    ActionStatus.UNRECOGNIZED_OPERATION,
}


class Reports:
    """Takes the reports of all peers (PS3.4 J.3.3), whichever association they come on."""

    def __init__(
        self, transactions: Transactions, on_report: Callable[[DeliveryId], None] = lambda _: None
    ) -> None:
        """`on_report` is called when the report on the try that asked is on disk."""
        self._transactions = transactions
        self._on_report = on_report

    def handle(self, event: Event) -> tuple[int, None]:
        """Keep one report; Success only when it is on disk."""
        if event.event_type not in _EVENT_TYPES:
            return EventStatus.NO_SUCH_EVENT_TYPE, None
        try:
            uid, report = _read(event.event_information)
        except (AttributeError, TypeError, ValueError) as error:
            log.warning("LM506 storage commitment report cannot be understood: %s", describe(error))
            return EventStatus.INVALID_ARGUMENT_VALUE, None
        return self._keep(uid, report), None

    def _keep(self, uid: UID, report: Report) -> int:
        transaction = self._transactions.find(uid)
        if transaction is None:
            log.warning("LM507 storage commitment report on an unknown transaction")
            return EventStatus.INVALID_ARGUMENT_VALUE
        try:
            self._transactions.close(transaction, _about(transaction, report))
            self._on_report(transaction.delivery)
        except (OSError, QueueUnavailable) as error:
            log.error("LM508 storage commitment report cannot be kept: %s", error)  # noqa: TRY400
            return EventStatus.RESOURCE_LIMITATION
        return EventStatus.SUCCESS


def ask(
    transaction: Transaction,
    peer: QueryPeer,
    calling_ae_title: str,
    handle_report: Handler,
    *,
    hold_s: float,
) -> Sent:
    """Ask a peer to commit to the instances of a transaction; acknowledged is not committed.

    Holds the association open for `hold_s` seconds for a report on it.
    """
    came: SimpleQueue[Thread] = SimpleQueue()

    def handle(event: Event) -> tuple[int, None]:
        try:
            return handle_report(event)
        finally:
            came.put(current_thread())

    context = build_context(STORAGE_COMMITMENT)
    handlers = [(evt.EVT_N_EVENT_REPORT, handle)]
    association = associate([context], peer, calling_ae_title, peer.timeout_s, handlers)
    if not association.is_established:
        return not_associated(association)
    sent = _request(association, transaction)
    if sent.outcome is Outcome.ACKNOWLEDGED:
        _hold(came, hold_s, peer.timeout_s)
    if association.is_established:
        association.release()
    return sent


def _request(association: Association, transaction: Transaction) -> Sent:
    request = Dataset()
    request.TransactionUID = transaction.uid
    request.ReferencedSOPSequence = [
        _reference(*instance) for instance in transaction.instances.items()
    ]
    try:
        status, _ = association.send_n_action(
            request, _REQUEST, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
        )
    except RuntimeError as error:  # the association has ended
        return Sent(Outcome.TRY_AGAIN, f"N-ACTION: {error}")
    return _judge(status.get("Status"))


def _reference(sop_instance_uid: str, sop_class_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item


def _judge(status: int | None) -> Sent:
    if status is None:
        return Sent(Outcome.TRY_AGAIN, "N-ACTION: no answer: aborted, or timed out")
    if status in (ActionStatus.SUCCESS, ActionStatus.DUPLICATE_TRANSACTION_UID):
        # A duplicate was asked before a crash, and will be reported on.
        return Sent(Outcome.ACKNOWLEDGED, "asked to commit to its safekeeping")
    outcome = Outcome.UNWILLING if status in _UNWILLING else Outcome.TRY_AGAIN
    return Sent(outcome, f"N-ACTION: refused with status 0x{status:04X}")


def _hold(came: SimpleQueue[Thread], hold_s: float, timeout_s: float) -> None:
    try:
        thread = came.get(timeout=hold_s)
    except Empty:
        return
    thread.join(timeout_s)  # it has yet to send our answer to the report


def _read(information: Dataset) -> tuple[UID, Report]:
    kept = information.get("ReferencedSOPSequence") or ()
    failed = information.get("FailedSOPSequence") or ()
    report = Report(
        tuple(str(item.ReferencedSOPInstanceUID) for item in kept),
        {str(item.ReferencedSOPInstanceUID): int(item.FailureReason) for item in failed},
    )
    return UID(information.TransactionUID), report


def _about(transaction: Transaction, report: Report) -> Report:
    """The part of a report that was asked for; more would be the peer's to choose."""
    wanted = transaction.instances
    return Report(
        tuple(uid for uid in report.kept if uid in wanted and uid not in report.failed),
        {uid: reason for uid, reason in report.failed.items() if uid in wanted},
    )
