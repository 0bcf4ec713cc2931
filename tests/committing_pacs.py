"""A PACS on a real socket that commits to what it was sent as a test tells it to (PS3.4 J)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from threading import Thread
from typing import TYPE_CHECKING

from pydicom import Dataset
from pynetdicom import AE, build_context, build_role, evt

from deploy.processes import LOOPBACK, free_port, listens
from dicom_node.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from dicom_node.statuses import SUCCESS, FailureReason
from tests.pacs import STORAGE

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

AE_TITLE = "COMMITTING"
_SUCCESSFUL, _FAILURES_EXIST = 1, 2


class Way(Enum):
    """On which association the report goes."""

    SAME = "the association of the request"
    NEW = "a new one"
    NEVER = "none"


@dataclass
class CommittingPacs:
    """Storage and Storage Commitment SCP."""

    #: Port of the node's listener, for reports on an association of their own.
    node_port: int
    way: Way = Way.NEW
    #: How many of the next acknowledged instances it forgets.
    forgets: int = 0
    #: Failure reasons to report first, one for each request; then the truth is told.
    failures: list[int] = field(default_factory=list)
    #: Statuses to answer N-ACTION with first; then Success.
    answers: list[int] = field(default_factory=list)
    #: Every data set of an N-ACTION.
    requests: list[Dataset] = field(default_factory=list)
    #: SOP Instance UIDs of every C-STORE.
    stored: list[str] = field(default_factory=list)
    #: SOP Instance UIDs that it holds.
    held: set[str] = field(default_factory=set)
    #: What the node answered to each report.
    replies: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port = free_port()
        self._entity: AE | None = None

    @property
    def destination(self) -> tuple[str, str, int]:
        return ("pacs", AE_TITLE, self.port)

    def start(self) -> None:
        self._entity = AE(AE_TITLE)
        for sop_class in (*STORAGE, STORAGE_COMMITMENT):
            self._entity.add_supported_context(sop_class)
        handlers = [(evt.EVT_C_STORE, self._handle_store), (evt.EVT_N_ACTION, self._handle_action)]
        self._entity.start_server((LOOPBACK, self.port), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        if self._entity is not None:
            self._entity.shutdown()
            self._entity = None

    def reset(self, way: Way) -> None:
        """As it was at first, but for what it holds."""
        self.way, self.forgets = way, 0
        for log in (self.failures, self.answers, self.requests, self.stored, self.replies):
            log.clear()

    def report_on(self, request: Dataset) -> None:
        """Report on a request now, over an association of its own, if anybody listens."""
        if not listens(self.node_port):  # pynetdicom would leave a socket open
            return
        entity = AE(AE_TITLE)
        role = build_role(STORAGE_COMMITMENT, scp_role=True)
        context = build_context(STORAGE_COMMITMENT)
        association = entity.associate(
            LOOPBACK, self.node_port, [context], "LESIONMARK", ext_neg=[role]
        )
        if association.is_established:
            self._send_report(association, request)
            association.release()

    def _handle_store(self, event: Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.stored.append(uid)
        if self.forgets:
            self.forgets -= 1
        else:
            self.held.add(uid)
        return SUCCESS

    def _handle_action(self, event: Event) -> tuple[int, None]:
        request = event.action_information
        self.requests.append(request)
        status = self.answers.pop(0) if self.answers else SUCCESS
        if status == SUCCESS and self.way is Way.SAME:
            Thread(target=self._send_report, args=(event.assoc, request)).start()
        if status == SUCCESS and self.way is Way.NEW:
            Thread(target=self.report_on, args=(request,)).start()
        return status, None

    def _send_report(self, association: Association, request: Dataset) -> None:
        report = self._report(request)
        event_type = _FAILURES_EXIST if "FailedSOPSequence" in report else _SUCCESSFUL
        status, _ = association.send_n_event_report(
            report, event_type, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
        )
        self.replies.append(status.get("Status", -1))

    def _report(self, request: Dataset) -> Dataset:
        reason = self.failures.pop(0) if self.failures else None
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        kept, failed = [], []
        for item in request.ReferencedSOPSequence:
            absent = item.ReferencedSOPInstanceUID not in self.held
            why = reason or (FailureReason.NO_SUCH_OBJECT_INSTANCE if absent else None)
            if why is not None:
                item.FailureReason = why
            (kept if why is None else failed).append(item)
        if kept:
            report.ReferencedSOPSequence = kept
        if failed:
            report.FailedSOPSequence = failed
        return report
