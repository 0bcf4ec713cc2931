"""A sender on real sockets that asks the node for storage commitment (PS3.4 J)."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING

from pydicom import Dataset
from pynetdicom import AE, build_context, evt

from deploy.processes import LOOPBACK, free_port
from dicom_node.config_tables import QueryPeer
from dicom_node.requestor import associate
from dicom_node.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from dicom_node.statuses import SUCCESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pynetdicom.association import Association
    from pynetdicom.events import Event

AE_TITLE = "SENDER"


class AskingSender:
    """Storage Commitment SCU, which hears reports on its own association and on a port."""

    def __init__(self, node_port: int) -> None:
        self.port = free_port()
        #: Every report: its event type, its data set, and whether we had requested the association.
        self.reports: SimpleQueue[tuple[int, Dataset, bool]] = SimpleQueue()
        #: Statuses to answer reports with first; then Success.
        self.answers: list[int] = []
        self.node_port = node_port
        self._entity: AE | None = None

    def __enter__(self) -> AskingSender:
        self._entity = AE(AE_TITLE)
        self._entity.add_supported_context(STORAGE_COMMITMENT, scu_role=False, scp_role=True)
        handlers = [(evt.EVT_N_EVENT_REPORT, self._handle_report)]
        self._entity.start_server((LOOPBACK, self.port), block=False, evt_handlers=handlers)
        return self

    def __exit__(self, *_: object) -> None:
        if self._entity is not None:
            self._entity.shutdown()

    def associate(self) -> Association:
        """An association with the node for a request."""
        handlers = [(evt.EVT_N_EVENT_REPORT, self._handle_report)]
        peer = QueryPeer(host=LOOPBACK, port=self.node_port, ae_title="LESIONMARK")
        # Ours, because pynetdicom's own now and then drops an answer (see requestor.AnswersOnly).
        return associate([build_context(STORAGE_COMMITMENT)], peer, AE_TITLE, 10.0, handlers)

    def _handle_report(self, event: Event) -> tuple[int, None]:
        self.reports.put((event.event_type, event.event_information, event.assoc.is_requestor))
        return (self.answers.pop(0) if self.answers else SUCCESS), None


def ask(
    association: Association,
    transaction_uid: str,
    instances: Mapping[str, str],
    *,
    action: int = 1,
    well_known: str = STORAGE_COMMITMENT_INSTANCE,
) -> int:
    """Send an N-ACTION request; the status of the answer."""
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = []
    for uid, sop_class_uid in instances.items():
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, uid
        request.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(request, action, STORAGE_COMMITMENT, well_known)
    return int(status.Status)
