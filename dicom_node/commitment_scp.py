"""Storage Commitment Push Model SCP: answers senders that ask what we hold (PS3.4 J.3).

Whoever asks may wait on the same association for the report, or leave: then it comes on one
that we open, in which we are the requestor and take the role of the SCP (PS3.7 D.3.3.4).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydicom import Dataset
from pynetdicom import build_context

from dicom_node import custody
from dicom_node.delivery import Outcome, Sent, not_associated
from dicom_node.errors import InvalidUID, QueueUnavailable, describe
from dicom_node.requestor import associate
from dicom_node.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from dicom_node.spool import check_uid
from dicom_node.statuses import ActionStatus, EventStatus
from dicom_node.wording import plural
from dicom_node.work import VouchId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pynetdicom.association import Association
    from pynetdicom.events import Event

    from dicom_node.config_tables import QueryPeer
    from dicom_node.spool import Spool
    from dicom_node.transactions import Report

log = logging.getLogger(__name__)

#: PS3.4 Table J.3-1: Request Storage Commitment.
REQUEST: Final = 1
#: PS3.4 Table J.3-2: Storage Commitment Request Successful.
SUCCESSFUL: Final = 1
#: PS3.4 Table J.3-2: Storage Commitment Request Complete - Failures Exist.
FAILURES_EXIST: Final = 2
#: Seconds of silence after which a sender is taken to wait for the report on its association.
HOLD_S: Final = 1.0
#: Instances that one request may name; a study has some thousands.
MOST_INSTANCES: Final = 100_000

#: The peer knows nothing of the transaction, so telling it again is useless.
_FINAL = {EventStatus.NO_SUCH_EVENT_TYPE, EventStatus.INVALID_ARGUMENT_VALUE}


@dataclass(frozen=True)
class Inquiry:
    """What one N-ACTION asks."""

    #: Who asks, and under which Transaction UID.
    id: VouchId
    #: SOP Class UID of each instance, by its SOP Instance UID.
    instances: Mapping[str, str]


class Book(Protocol):
    """Where an inquiry is written down, so that it is answered whatever happens to us."""

    def inquire(self, this: VouchId, instances: Mapping[str, str]) -> None:
        """Durable on return. Raises QueueUnavailable."""
        ...

    def report_now(self, this: VouchId) -> None:
        """The sender no longer waits for it on its association. Raises QueueUnavailable."""
        ...

    def reported_on(self, this: VouchId) -> None:
        """The sender has the report. Raises QueueUnavailable."""
        ...


class Inquiries:
    """Takes the requests for storage commitment of all senders."""

    def __init__(self, spool: Spool, book: Book) -> None:
        self._spool = spool
        self._book = book

    def handle(self, event: Event) -> tuple[int, None]:
        """Take one request (PS3.4 J.3.2); Success only when it is written down."""
        request: Any = event.request
        if request.RequestedSOPInstanceUID != STORAGE_COMMITMENT_INSTANCE:
            return ActionStatus.NO_SUCH_SOP_INSTANCE, None
        if event.action_type != REQUEST:
            return ActionStatus.NO_SUCH_ACTION, None
        try:
            inquiry = _read(event.assoc.requestor.ae_title, event.action_information)
        except (AttributeError, TypeError, ValueError, InvalidUID) as error:
            log.warning("LM511 request for storage commitment refused: %s", describe(error))
            return ActionStatus.INVALID_ARGUMENT_VALUE, None
        return self._take(inquiry, event.assoc), None

    def _take(self, inquiry: Inquiry, association: Any) -> int:
        try:
            self._book.inquire(inquiry.id, inquiry.instances)
        except QueueUnavailable as error:
            log.error("LM512 request for storage commitment refused: %s", error)  # noqa: TRY400
            return ActionStatus.RESOURCE_LIMITATION
        leaves = partial(self._hurry, inquiry.id)
        association.when_quiet(HOLD_S, partial(self._answer, inquiry, association, leaves), leaves)
        return ActionStatus.SUCCESS

    def _answer(self, inquiry: Inquiry, association: Association, leaves: Any) -> None:
        """Report on the association of the request."""
        report = custody.judge(self._spool, inquiry.instances)
        sent = send_report(association, inquiry, report)
        log.info("LM513 storage commitment of %s: %s", inquiry.id.sender, sent.reason)
        if sent.outcome is not Outcome.ACKNOWLEDGED:
            leaves()
            return
        try:
            self._book.reported_on(inquiry.id)
        except QueueUnavailable as error:
            log.warning("LM514 a report on storage commitment will be sent twice: %s", error)

    def _hurry(self, this: VouchId) -> None:
        try:
            self._book.report_now(this)
        except QueueUnavailable as error:
            log.warning("LM515 a report on storage commitment has to wait: %s", error)


def tell(inquiry: Inquiry, report: Report, peer: QueryPeer, calling_ae_title: str) -> Sent:
    """Report to a sender over an association of our own (PS3.4 J.3.3)."""
    association = associate(
        [build_context(STORAGE_COMMITMENT)],
        peer,
        calling_ae_title,
        peer.timeout_s,
        stores=[STORAGE_COMMITMENT],
    )
    if not association.is_established:
        return not_associated(association)
    sent = send_report(association, inquiry, report)
    if association.is_established:
        association.release()
    return sent


def send_report(association: Association, inquiry: Inquiry, report: Report) -> Sent:
    """Send an N-EVENT-REPORT over an association that stands."""
    event_type = FAILURES_EXIST if report.failed else SUCCESSFUL
    try:
        status, _ = association.send_n_event_report(
            _information(inquiry, report),
            event_type,
            STORAGE_COMMITMENT,
            STORAGE_COMMITMENT_INSTANCE,
        )
    except (RuntimeError, ValueError) as error:  # it has ended, or has no such context
        return Sent(Outcome.TRY_AGAIN, f"N-EVENT-REPORT: {error}")
    return _judge(status.get("Status"), report)


def _judge(status: int | None, report: Report) -> Sent:
    if status is None:
        return Sent(Outcome.TRY_AGAIN, "N-EVENT-REPORT: no answer: aborted, or timed out")
    if status in _FINAL:
        return Sent(Outcome.REFUSED, f"N-EVENT-REPORT: refused with status 0x{status:04X}")
    if status != EventStatus.SUCCESS:
        return Sent(Outcome.TRY_AGAIN, f"N-EVENT-REPORT: status 0x{status:04X}")
    told = f"{plural(len(report.kept), 'instance')} kept, {len(report.failed)} not"
    return Sent(Outcome.ACKNOWLEDGED, told)


def _information(inquiry: Inquiry, report: Report) -> Dataset:
    """Event information (PS3.4 Table J.3-2); a sequence without items is left out."""
    information = Dataset()
    information.TransactionUID = inquiry.id.transaction_uid
    kept = [_reference(inquiry, uid) for uid in report.kept]
    failed = [_reference(inquiry, uid, reason) for uid, reason in report.failed.items()]
    if kept:
        information.ReferencedSOPSequence = kept
    if failed:
        information.FailedSOPSequence = failed
    return information


def _reference(inquiry: Inquiry, uid: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = inquiry.instances[uid]
    item.ReferencedSOPInstanceUID = uid
    if reason is not None:
        item.FailureReason = reason
    return item


def _read(sender: str, information: Dataset) -> Inquiry:
    """Raises AttributeError, TypeError, ValueError or InvalidUID when it is no request."""
    items = information.ReferencedSOPSequence
    if not 0 < len(items) <= MOST_INSTANCES:
        raise ValueError(f"it names {len(items)} instances")
    instances = {
        str(item.ReferencedSOPInstanceUID): str(item.ReferencedSOPClassUID) for item in items
    }
    return Inquiry(VouchId(sender, check_uid(information.TransactionUID), 0), instances)
